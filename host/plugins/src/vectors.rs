//! Holds a build to test vectors before it serves: to those it ships, and for a provider that has a plugin in the binary,
//! to what that plugin's vectors know about signatures.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jackfield_vectors::{Arguments, Bundle, Instance, Interface, Outcome, SECTION, Script, Subject};
use serde_json::Value;
use tokio::runtime::Handle;

use crate::compiler::stepping_back;
use crate::conformance::Conformance;
use crate::generation::Generation;
use crate::limits::GuestLimits;
use crate::sections;
use crate::stock::StockPlugin;

/// All vectors of a build are through by then, or the build is refused.
const TIME: Duration = Duration::from_secs(30);
/// So many times as long as in service may a call take. Some calls are billed by the clock, and these wait for all others.
const PATIENCE: u32 = 20;
/// Characters of a difference that are told.
const TOLD: usize = 600;

/// Are a build's vectors run?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Vectors {
    Run,
    /// No, for this reason.
    Skip(&'static str),
}

/// The section with the vectors that a build ships, if it ships any.
pub(crate) fn shipped(bytes: &[u8]) -> Result<Option<&[u8]>, String> {
    match &sections::custom(bytes, SECTION).map_err(|unfit| unfit.to_string())?[..] {
        [] => Ok(None),
        [section] => Ok(Some(section.content)),
        several => {
            Err(format!("the build has {} sections with vectors. Build it anew: it has one at most.", several.len()))
        }
    }
}

/// Limits under which time is not what is judged: a machine that is busy must not refuse a good build.
pub(crate) fn patient(limits: &GuestLimits) -> GuestLimits {
    GuestLimits {
        webhook_cpu: limits.webhook_cpu.saturating_mul(PATIENCE),
        media_cpu: limits.media_cpu.saturating_mul(PATIENCE),
        wall: limits.wall.saturating_mul(PATIENCE),
        ..limits.clone()
    }
}

/// Runs them on a thread that takes what time the others leave. Says how many hold.
///
/// # Errors
/// Names the first one that does not, and how.
pub(crate) async fn hold(
    generation: Arc<Generation>,
    shipped: Option<Vec<u8>>,
    stock: Option<StockPlugin>,
) -> Result<String, String> {
    if shipped.is_none() && stock.is_none() {
        return Ok("it ships none; there are none of ours for its provider".to_owned());
    }
    let conformance = Conformance::new(generation, Handle::current());
    let work = move || stepping_back(|| run(conformance, shipped, stock));
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| format!("the vectors could not be run: {error}"))?
}

fn run(asked: Conformance, shipped: Option<Vec<u8>>, stock: Option<StockPlugin>) -> Result<String, String> {
    let subject = Timed { asked, until: Instant::now() + TIME };
    let own = match shipped {
        Some(section) => {
            let bundle = Bundle::of_section(&section).map_err(|why| {
                format!("the vectors that the build ships cannot be read: {why}. Build it anew from its folder.")
            })?;
            // It may be large, and the bundle has it all.
            drop(section);
            let all = counted(bundle.run(&subject), |name, why| {
                format!("its vector `{name}` does not hold: {why}. Mend the plugin, or the vector that it ships.")
            });
            format!("{} of its own hold", all?)
        }
        None => "it ships none".to_owned(),
    };
    let ours = stock.map(|stock| run_ours(&subject, stock)).transpose()?;
    Ok(match (ours, stock) {
        (Some(count @ 1..), Some(stock)) => format!("{own}; {count} of ours for `{}` hold", stock.name),
        _ => format!("{own}; there are none of ours for its provider"),
    })
}

fn run_ours(subject: &dyn Subject, stock: StockPlugin) -> Result<usize, String> {
    let Some(section) = shipped(stock.bytes)? else { return Ok(0) };
    let bundle = Bundle::of_section(section).map_err(|why| {
        format!("the vectors of `{}` in the binary cannot be read: {why}. Build the host anew.", stock.name)
    })?;
    counted(bundle.run_proofs(subject), |name, why| {
        format!(
            "the vector `{name}` of our own plugin for `{}` does not hold: {why}. A build for this provider takes for \
             genuine what the provider signs, by the fields that accounts have, and nothing else.",
            stock.name
        )
    })
}

/// How many there are, if they all hold.
fn counted(outcomes: impl Iterator<Item = Outcome>, refusal: impl Fn(&str, &str) -> String) -> Result<usize, String> {
    let mut count = 0;
    for outcome in outcomes {
        if let Err(why) = outcome.verdict {
            let why: String = why.chars().take(TOLD).collect();
            return Err(refusal(&outcome.name, why.trim_end_matches('.')));
        }
        count += 1;
    }
    Ok(count)
}

/// Answers until its time is up.
struct Timed<S> {
    asked: S,
    until: Instant,
}

fn in_time(until: Instant) -> Result<(), String> {
    match Instant::now() < until {
        true => Ok(()),
        false => Err(format!("all vectors together took longer than {} s", TIME.as_secs())),
    }
}

impl<S: Subject> Subject for Timed<S> {
    fn instance(&self, interface: Interface, script: &Script) -> Result<Box<dyn Instance + '_>, String> {
        in_time(self.until)?;
        Ok(Box::new(TimedInstance { asked: self.asked.instance(interface, script)?, until: self.until }))
    }
}

struct TimedInstance<'a> {
    asked: Box<dyn Instance + 'a>,
    until: Instant,
}

impl Instance for TimedInstance<'_> {
    fn call(&mut self, function: &str, given: Arguments) -> Result<Value, String> {
        in_time(self.until)?;
        self.asked.call(function, given)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    /// Needs a moment for each question.
    struct Slow;

    const MOMENT: Duration = Duration::from_millis(5);

    impl Subject for Slow {
        fn instance(&self, _: Interface, _: &Script) -> Result<Box<dyn Instance + '_>, String> {
            Ok(Box::new(Self))
        }
    }

    impl Instance for Slow {
        fn call(&mut self, _: &str, _: Arguments) -> Result<Value, String> {
            std::thread::sleep(MOMENT);
            Ok(Value::Array(Vec::new()))
        }
    }

    #[test]
    fn cases_that_take_too_long_together_or_within_one_are_cut_off() {
        let steps = vec![serde_json::json!({ "text": {} }); 1_000];
        let media = serde_json::json!({ "media": { "steps": steps } }).to_string();
        let file = |path: &str, text: &str| (path.to_owned(), text.as_bytes().to_vec());
        let one =
            [file("a/request.json", &media), file("a/expect.json", "{}"), file("account.json", r#"{"fields": {}}"#)];
        let many = (0..1_000).flat_map(|number| {
            [
                file(&format!("{number}/request.json"), r#"{"check": {}}"#),
                file(&format!("{number}/expect.json"), "[]"),
                file(&format!("{number}/account.json"), r#"{"fields": {}}"#),
            ]
        });
        for bundle in [Bundle::of_files(one).unwrap(), Bundle::of_files(many).unwrap()] {
            let began = Instant::now();
            let subject = Timed { asked: Slow, until: began + 20 * MOMENT };
            let refusal = counted(bundle.run(&subject), |_, why| why.to_owned()).unwrap_err();
            assert!(refusal.contains("longer than 30 s"), "{refusal}");
            assert!(began.elapsed() < 400 * MOMENT, "{:?}", began.elapsed());
        }
    }
}
