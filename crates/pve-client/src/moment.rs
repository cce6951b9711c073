// SPDX-License-Identifier: GPL-3.0-only
//! Instants as certificates write them, in seconds since the epoch.
//!
//! Two fixed forms of UTC are no reason for a library of dates. Leap seconds do not exist here, as
//! in POSIX.

/// A time of a certificate: `UTCTime` (`261123014246Z`) or `GeneralizedTime` (`20261123014246Z`),
/// with the only endings that RFC 5280 allows (section 4.1.2.5).
pub(crate) fn of_certificate(text: &str) -> Option<i64> {
    let digits = text.strip_suffix('Z')?;
    let (year, rest) = match digits.len() {
        12 => {
            let year = number(digits.get(..2)?)?;
            // Two digits mean 1950 to 2049.
            let century = if year < 50 { 2000 } else { 1900 };
            (century + year, digits.get(2..)?)
        }
        14 => (number(digits.get(..4)?)?, digits.get(4..)?),
        _ => return None,
    };
    let mut parts = [year, 0, 0, 0, 0, 0];
    for (index, part) in parts.iter_mut().skip(1).enumerate() {
        *part = number(rest.get(index * 2..index * 2 + 2)?)?;
    }
    seconds(parts)
}

fn number(digits: &str) -> Option<i64> {
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if plain { digits.parse().ok() } else { None }
}

/// Year, month, day, hour, minute, second to seconds since the epoch, by counting the days of
/// years that begin in March, so that the leap day is a year's last.
fn seconds([year, month, day, hour, minute, second]: [i64; 6]) -> Option<i64> {
    let valid = (1..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    if !valid {
        return None;
    }
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let leap_days = year / 4 - year / 100 + year / 400;
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    let days = 365 * year + leap_days + day_of_year - 719_468;
    Some(((days * 24 + hour) * 60 + minute) * 60 + second)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_instants_are_met() {
        for (text, expected) in [
            ("700101000000Z", 0),
            ("941106084937Z", 784_111_777),
            ("000229120000Z", 951_825_600),
            ("20000301000000Z", 951_868_800),
            ("20261123014246Z", 1_795_398_166),
        ] {
            assert_eq!(of_certificate(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn both_forms_of_a_certificate_agree() {
        assert_eq!(of_certificate("700101000000Z"), Some(0));
        assert_eq!(
            of_certificate("491231235959Z"),
            of_certificate("20491231235959Z")
        );
        assert_eq!(of_certificate("500101000000Z"), Some(-631_152_000));
    }

    #[test]
    fn other_texts_are_no_instants() {
        for text in ["", "Z", "261323014246Z", "261123014246", "2611230142-6Z"] {
            assert_eq!(of_certificate(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in ".{0,40}") {
            let _ = of_certificate(&text);
        }
    }
}
