//! HTTP dates (RFC 9110 section 5.6.7), read in their three formats and written in the preferred one. It reads
//! no clock.

const MONTHS: &[u8; 36] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
const DAYS: &[u8; 21] = b"SunMonTueWedThuFriSat";
const LONG_DAYS: [&[u8]; 7] =
    [b"Sunday", b"Monday", b"Tuesday", b"Wednesday", b"Thursday", b"Friday", b"Saturday"];

const SECONDS_PER_DAY: u64 = 86_400;
/// From 1 March of the year 0 to 1 January 1970.
const DAYS_TO_1970: u64 = 719_468;
/// 9999-12-31T23:59:59Z: what four digits of a year can say.
const LAST: u64 = 253_402_300_799;

/// Seconds since 1970; None for anything but a whole and possible date in one of the three formats. Dates before
/// 1970 count as 1970. `now_unix_s` decides the century of a year of two digits: not more than 50 years ahead.
#[must_use]
pub fn parse(text: &[u8], now_unix_s: u64) -> Option<u64> {
    match text.get(3)? {
        b',' => imf_fixdate(text),
        b' ' => asctime(text),
        _ => rfc850(text, now_unix_s),
    }
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`
fn imf_fixdate(text: &[u8]) -> Option<u64> {
    let text: &[u8; 29] = text.try_into().ok()?;
    day_name(&text[..3])?;
    (&text[3..5] == b", "
        && text[7] == b' '
        && text[11] == b' '
        && text[16] == b' '
        && &text[25..] == b" GMT")
        .then_some(())?;
    let (day, month) = (number(&text[5..7])?, month(&text[8..11])?);
    seconds(number(&text[12..16])?, month, day, &text[17..25])
}

/// `Sun Nov  6 08:49:37 1994`
fn asctime(text: &[u8]) -> Option<u64> {
    let text: &[u8; 24] = text.try_into().ok()?;
    day_name(&text[..3])?;
    (text[7] == b' ' && text[10] == b' ' && text[19] == b' ').then_some(())?;
    let day = if text[8] == b' ' { number(&text[9..10])? } else { number(&text[8..10])? };
    seconds(number(&text[20..])?, month(&text[4..7])?, day, &text[11..19])
}

/// `Sunday, 06-Nov-94 08:49:37 GMT`
fn rfc850(text: &[u8], now_unix_s: u64) -> Option<u64> {
    let comma = text.iter().position(|&byte| byte == b',')?;
    LONG_DAYS.contains(&&text[..comma]).then_some(())?;
    let text: &[u8; 24] = text[comma..].try_into().ok()?;
    (&text[..2] == b", " && text[4] == b'-' && text[8] == b'-' && text[11] == b' ' && &text[20..] == b" GMT")
        .then_some(())?;
    let (day, month, two) = (number(&text[2..4])?, month(&text[5..8])?, number(&text[9..11])?);
    let this_year = civil(now_unix_s / SECONDS_PER_DAY).0;
    let mut year = this_year - this_year % 100 + two;
    if year > this_year + 50 {
        year -= 100;
    }
    seconds(year, month, day, &text[12..20])
}

fn day_name(text: &[u8]) -> Option<usize> {
    DAYS.chunks_exact(3).position(|day| day == text)
}

/// 1 to 12.
fn month(text: &[u8]) -> Option<u64> {
    MONTHS.chunks_exact(3).position(|month| month == text).map(|at| at as u64 + 1)
}

fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + u64::from(byte - b'0')))
}

/// `time` is `08:49:37`; a leap second counts as the second before it.
fn seconds(year: u64, month: u64, day: u64, time: &[u8]) -> Option<u64> {
    let [h1, h2, b':', m1, m2, b':', s1, s2] = *time else { return None };
    let (hour, minute, second) = (number(&[h1, h2])?, number(&[m1, m2])?, number(&[s1, s2])?);
    let possible = (1..=days_of(year, month)).contains(&day) && hour < 24 && minute < 60 && second <= 60;
    possible.then_some(())?;
    let in_day = hour * 3_600 + minute * 60 + second.min(59);
    Some(match days_since_year_0(year, month, day).checked_sub(DAYS_TO_1970) {
        Some(days) => days * SECONDS_PER_DAY + in_day,
        None => 0,
    })
}

fn days_of(year: u64, month: u64) -> u64 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 => 28 + u64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1 March of the year 0. Years are counted from March, so that the leap day is a year's last.
fn days_since_year_0(year: u64, month: u64, day: u64) -> u64 {
    // A January or February before the first March is of no use to anyone: it counts as that March.
    let Some(year) = year.checked_sub(u64::from(month <= 2)) else { return 0 };
    let from_march = (month + 9) % 12;
    year * 365 + year / 4 - year / 100 + year / 400 + (153 * from_march + 2) / 5 + day - 1
}

/// Year, month (1 to 12) and day of the month, of days since 1970.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + DAYS_TO_1970;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let month = (from_march + 2) % 12 + 1;
    (era * 400 + year_of_era + u64::from(month <= 2), month, day_of_year - (153 * from_march + 2) / 5 + 1)
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`. Later than the year 9999 counts as its end.
#[must_use]
pub fn write(unix_s: u64) -> [u8; 29] {
    let unix_s = unix_s.min(LAST);
    let (days, in_day) = (unix_s / SECONDS_PER_DAY, unix_s % SECONDS_PER_DAY);
    let (year, month, day) = civil(days);
    let mut text = *b"Sun, 00 Jan 0000 00:00:00 GMT";
    // 1 January 1970 was a Thursday.
    let weekday = ((days + 4) % 7) as usize * 3;
    text[..3].copy_from_slice(&DAYS[weekday..weekday + 3]);
    let month = (month as usize - 1) * 3;
    text[8..11].copy_from_slice(&MONTHS[month..month + 3]);
    for (at, number) in [
        (5, day),
        (12, year / 100),
        (14, year % 100),
        (17, in_day / 3_600),
        (20, in_day / 60 % 60),
        (23, in_day % 60),
    ] {
        text[at] = b'0' + (number / 10) as u8;
        text[at + 1] = b'0' + (number % 10) as u8;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use headgate_model::dice::Dice;

    const NOW: u64 = 1_795_000_000;

    #[test]
    fn the_three_formats_of_the_rfc_are_the_same_second() {
        for text in
            ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"]
        {
            assert_eq!(parse(text.as_bytes(), NOW), Some(784_111_777), "{text}");
        }
        assert_eq!(&write(784_111_777), b"Sun, 06 Nov 1994 08:49:37 GMT");
    }

    #[test]
    fn a_year_of_two_digits_is_at_most_50_years_ahead() {
        // NOW is in 2026.
        let year = |two: &str| {
            let seconds = parse(format!("Thursday, 18-Aug-{two} 02:01:18 GMT").as_bytes(), NOW).unwrap();
            civil(seconds / SECONDS_PER_DAY).0
        };
        assert_eq!(
            [year("26"), year("76"), year("77"), year("99"), year("00")],
            [2026, 2076, 1977, 1999, 2000]
        );
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in [
            "0",
            "",
            "foo",
            "Thu 18 Aug 2050 02:01:18 GMT",
            "Thu, 18 Aug 2050 02:01:18 UTC",
            "Thu, 18 Aug 50 02:01:18 GMT",
            "Thu, 18  Aug  2050 02:01:18 GMT",
            "Thu, 18-Aug-2050 02:01:18 GMT",
            "Thu, 18 Aug 2050 02.01.18 GMT",
            "Thu, 18 Aug 2050 2:01:18 GMT",
            "Thu, 31 Feb 2050 02:01:18 GMT",
            "Thu, 18 Aug 2050 24:00:00 GMT",
            "Thu, 18 Aug 2050 02:01:18 GMTx",
        ] {
            assert_eq!(parse(text.as_bytes(), NOW), None, "{text}");
        }
    }

    #[test]
    fn every_second_is_read_back_as_it_was_written() {
        let dice = &mut Dice::new(3);
        for _ in 0..20_000 {
            let second = dice.below(LAST);
            assert_eq!(parse(&write(second), NOW), Some(second));
        }
        for second in [0, 951_782_400, 951_868_799, 4_107_542_399, LAST] {
            assert_eq!(parse(&write(second), NOW), Some(second));
        }
        assert_eq!(&write(u64::MAX), b"Fri, 31 Dec 9999 23:59:59 GMT");
        assert_eq!(parse(b"Wed, 31 Dec 1969 23:59:59 GMT", NOW), Some(0));
        assert_eq!(parse(b"Sat, 01 Jan 0000 00:00:00 GMT", NOW), Some(0));
    }

    #[test]
    fn an_independent_parser_reads_the_same() {
        let seconds = |text: &str| {
            let time = httpdate::parse_http_date(text).ok()?;
            time.duration_since(std::time::UNIX_EPOCH).ok().map(|since| since.as_secs())
        };
        let (mut both, mut changed) = (0, 0);
        for seed in 0..100_000 {
            let dice = &mut Dice::new(seed);
            let mut text = write(dice.below(LAST)).to_vec();
            if dice.below(2) == 0 {
                // The same moment as asctime has it.
                let date = String::from_utf8(text).unwrap();
                let day = date[5..7].trim_start_matches('0');
                text =
                    format!("{} {} {day:>2} {} {}", &date[..3], &date[8..11], &date[17..25], &date[12..16])
                        .into();
            }
            if dice.below(2) == 0 {
                let at = dice.below(text.len() as u64) as usize;
                text[at] = b"0123456789 :,JanGMT"[dice.below(19) as usize];
                changed += 1;
            }
            let Ok(text) = String::from_utf8(text) else { continue };
            let (ours, theirs) = (parse(text.as_bytes(), NOW), seconds(&text));
            // It checks the day of the week, we do not; a date before 1970 is none to it.
            if let Some(theirs) = theirs {
                assert_eq!(ours, Some(theirs), "seed {seed}: {text}");
                both += 1;
            }
        }
        assert!(both > 50_000 && changed > 40_000, "{both} {changed}");
    }
}
