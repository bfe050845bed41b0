//! Dates as providers write them.

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Unix milliseconds of `Tue, 03 Mar 2026 10:15:00 +0000`; the weekday may be missing.
pub fn rfc2822(text: &str) -> Option<u64> {
    let date = text.split_once(',').map_or(text, |(_, date)| date);
    let mut parts = date.split_whitespace();
    let day = within(parts.next()?, 1, 31)?;
    let name = parts.next()?;
    let month = u64::try_from(MONTHS.iter().position(|month| *month == name)?).ok()? + 1;
    let year = within(parts.next()?, 1970, 9999)?;
    let mut clock = parts.next()?.split(':');
    let (hour, minute, second) =
        (within(clock.next()?, 0, 23)?, within(clock.next()?, 0, 59)?, within(clock.next()?, 0, 60)?);
    let local = ((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
    local.checked_add_signed(-seconds_east(parts.next()?)?)?.checked_mul(1_000)
}

/// Unix milliseconds of `2026-03-03T10:15:00.250Z`; the zone may be `+01:00`.
pub fn rfc3339(text: &str) -> Option<u64> {
    let (date, rest) = text.split_once(['T', 't'])?;
    let mut date = date.split('-');
    let (year, month, day) =
        (within(date.next()?, 1970, 9999)?, within(date.next()?, 1, 12)?, within(date.next()?, 1, 31)?);
    let zone_at = rest.find(['Z', 'z', '+', '-'])?;
    let (clock, zone) = rest.split_at(zone_at);
    let mut clock = clock.split(':');
    let (hour, minute) = (within(clock.next()?, 0, 23)?, within(clock.next()?, 0, 59)?);
    let (second, fraction) = clock.next().map(|second| second.split_once('.').unwrap_or((second, "")))?;
    let millis = format!("{fraction:0<3}").get(..3)?.parse::<u64>().ok()?;
    let local = ((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + within(second, 0, 60)?;
    let east = if zone.eq_ignore_ascii_case("z") { 0 } else { seconds_east(&zone.replace(':', ""))? };
    local.checked_add_signed(-east)?.checked_mul(1_000)?.checked_add(millis)
}

fn within(text: &str, least: u64, most: u64) -> Option<u64> {
    text.parse().ok().filter(|number| (least..=most).contains(number))
}

/// Days since 1970 by the civil calendar, with years that begin in March so that a leap day is a year's last.
fn days(year: u64, month: u64, day: u64) -> u64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 719_469
}

fn seconds_east(zone: &str) -> Option<i64> {
    if matches!(zone, "GMT" | "UTC" | "UT" | "Z") {
        return Some(0);
    }
    let (sign, digits) =
        zone.strip_prefix('+').map(|east| (1, east)).or(zone.strip_prefix('-').map(|west| (-1, west)))?;
    let number = (digits.len() == 4).then(|| digits.parse::<u16>().ok())??;
    Some(sign * (i64::from(number / 100) * 3_600 + i64::from(number % 100) * 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_with_and_without_a_zone_of_their_own_are_read() {
        assert_eq!(rfc2822("Thu, 01 Jan 1970 00:00:00 +0000"), Some(0));
        assert_eq!(rfc2822("Tue, 03 Mar 2026 10:15:00 +0000"), Some(1_772_532_900_000));
        assert_eq!(rfc2822("3 Mar 2026 11:15:00 +0100"), Some(1_772_532_900_000));
        assert_eq!(rfc2822("Tue, 03 Mar 2026 02:15:00 -0800"), Some(1_772_532_900_000));
        assert_eq!(rfc2822("Thu, 29 Feb 2024 23:59:59 GMT"), Some(1_709_251_199_000));
    }

    #[test]
    fn what_is_no_date_is_nothing() {
        let wrong = [
            "",
            "yesterday",
            "Tue, 03 Mar 2026",
            "Tue, 99 Mar 2026 10:15:00 +0000",
            "Tue, 03 Mar 18446744073709551615 10:15:00 +0000",
            "Tue, 03 Mar 2026 10:15:00",
            "Tue, 03 Mar 2026 10:15:00 +1",
            "Thu, 01 Jan 1970 00:00:00 +0100",
        ];
        for text in wrong {
            assert_eq!(rfc2822(text), None, "{text:?}");
        }
    }

    #[test]
    fn iso_dates_are_read() {
        assert_eq!(rfc3339("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(rfc3339("2026-01-02T03:05:06.789Z"), Some(1_767_323_106_789));
        assert_eq!(rfc3339("2026-01-02T04:05:06.7+01:00"), Some(1_767_323_106_700));
        assert_eq!(rfc3339("2024-02-29T12:00:00.123456Z"), Some(1_709_208_000_123));
        for wrong in [
            "",
            "2026-01-02",
            "2026-13-02T00:00:00Z",
            "2026-01-02T24:00:00Z",
            "2026-01-02T00:00:00",
            "2026-01-02T00:00:00.xZ",
        ] {
            assert_eq!(rfc3339(wrong), None, "{wrong}");
        }
    }
}
