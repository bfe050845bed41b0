//! What a call cost: providers know it a while after its end, and are asked a few times, ever more rarely.

use crate::events::Report;

/// Milliseconds from the end to the first question, and from each question to the next.
const PAUSES: [u64; 4] = [10_000, 60_000, 300_000, 1_800_000];

/// When a provider is asked that was asked so often already; none when it was asked often enough.
pub fn next_question(now: u64, tries: u32) -> Option<u64> {
    let pause = PAUSES.get(usize::try_from(tries).ok()?)?;
    Some(now + pause)
}

/// What a report adds to the duration (seconds) and the cost (amount and currency) that are known: a longer duration, another
/// cost.
pub fn news(
    report: &Report,
    duration: Option<u32>,
    cost: Option<&(String, String)>,
) -> (Option<u32>, Option<(String, String)>) {
    let duration = report.duration.filter(|said| duration.is_none_or(|known| *said > known));
    let cost = report.cost.clone().filter(|said| cost != Some(said));
    (duration, cost)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unpriced_call_is_asked_for_four_times() {
        let mut now = 0;
        let mut asked = Vec::new();
        while let Some(at) = next_question(now, u32::try_from(asked.len()).unwrap_or(0)) {
            asked.push(at - now);
            now = at;
        }
        assert_eq!(asked, [10_000, 60_000, 300_000, 1_800_000]);
    }

    #[test]
    fn only_what_is_longer_or_other_is_news() {
        let cost = ("0.01".to_owned(), "USD".to_owned());
        let report = Report { duration: Some(42), cost: Some(cost.clone()), ..Report::default() };
        assert_eq!(news(&report, None, None), (Some(42), Some(cost.clone())));
        assert_eq!(news(&report, Some(42), Some(&cost)), (None, None));
        assert_eq!(news(&report, Some(41), Some(&("0".to_owned(), "USD".to_owned()))), (Some(42), Some(cost)));
    }
}
