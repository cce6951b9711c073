// SPDX-License-Identifier: GPL-3.0-only
//! Formats and timestamps in tables.

use jiff::civil::date;

use super::super::proposal::FALLBACK_FORMAT;
use super::*;

fn format(text: &str) -> TimestampFormat {
    TimestampFormat::parse(text).unwrap()
}

/// A Monday afternoon whose parts all differ.
fn monday() -> DateTime {
    date(2009, 6, 15).at(13, 45, 7, 617_425_900)
}

#[test]
fn formats_write_what_dotnet_writes() {
    for (text, expected) in [
        ("yyMMddHHmmss", "090615134507"),
        ("yyyyMMdd_dddd", "20090615_Monday"),
        ("%y", "9"),
        ("%yM", "96"),
        ("yyy", "2009"),
        ("yyyy", "2009"),
        ("yyyyy", "02009"),
        ("%M", "6"),
        ("MM", "06"),
        ("MMM", "Jun"),
        ("MMMM", "June"),
        ("MMMMMM", "June"),
        ("%d", "15"),
        ("%dd", "1515"),
        ("ddd", "Mon"),
        ("dddd", "Monday"),
        ("ddddd", "Monday"),
        ("%h", "1"),
        ("hh", "01"),
        ("hhh", "01"),
        ("%H", "13"),
        ("HHH", "13"),
        ("%m", "45"),
        ("%s", "7"),
        ("ss", "07"),
        ("%f", "6"),
        ("ff", "61"),
        ("fff", "617"),
        ("fffffff", "6174259"),
        ("%t", "P"),
        ("tt", "PM"),
        ("ttt", "PM"),
        ("yyyy'year'", "2009year"),
        ("yyyy\"-d-\"dd", "2009-d-15"),
        (r"yyyy\d\ydd", "2009dy15"),
        (r"yyyy'a\d'", "2009ad"),
        ("yyyy''MM", "200906"),
        ("yyyy-MM-ddTHH-mm-ssZ", "2009-06-15T13-45-07Z"),
        ("YYYY_MM_DD", "YYYY_06_DD"),
    ] {
        assert_eq!(format(text).format(&monday()), expected, "{text}");
    }
    let midnight = date(2000, 1, 1).at(0, 0, 0, 0);
    assert_eq!(format("h-tt-yy-%d").format(&midnight), "12-AM-00-1");
    let noon = date(2007, 2, 3).at(12, 0, 0, 0);
    assert_eq!(format("hh-tt-%y").format(&noon), "12-PM-7");
}

#[test]
fn invalid_formats_are_refused_with_one_that_works() {
    use FormatFlaw::{Character, Constant, Empty, Standard, Unfinished};
    let unsupported = |specifier: &str, meaning| FormatFlaw::Unsupported {
        specifier: specifier.to_owned(),
        meaning,
    };
    let fallback = FALLBACK_FORMAT;
    for (text, flaw, proposal) in [
        ("", Empty, fallback),
        ("d", Standard, fallback),
        ("s", Standard, fallback),
        ("-", Standard, fallback),
        ("ü", Standard, fallback),
        ("yyyy-MM-dd HH:mm:ss", Character(' '), "yyyy-MM-dd_HH-mm-ss"),
        ("HH:mm", Character(':'), fallback),
        ("dd/MM/yyyy", Character('/'), "dd-MM-yyyy_HHmmss"),
        ("dd.MM.yy", Character('.'), "dd-MM-yy_HHmmss"),
        ("yyyy年MM", Character('年'), fallback),
        (
            "yyMMddHHmm' o clock'",
            Character(' '),
            "yyMMddHHmm'_o_clock'",
        ),
        (r"yyyy\:MM\:ddHHmm", Character(':'), r"yyyy\-MM\-ddHHmm"),
        (
            "yyyyMMddHHmmsszzz",
            unsupported("zzz", "the zone, such as +02:00"),
            "yyyyMMddHHmmss",
        ),
        (
            "yyyyMMddK",
            unsupported("K", "the zone, such as +02:00"),
            "yyyyMMdd_HHmmss",
        ),
        ("yyyyMMdd gg", Character(' '), "yyyyMMdd_HHmmss"),
        (
            "yyyyMMddgg",
            unsupported("gg", "the era, A.D."),
            "yyyyMMdd_HHmmss",
        ),
        (
            "ssFFF",
            unsupported("FFF", "a fraction without its zeros"),
            fallback,
        ),
        (
            "ssffffffff",
            unsupported("ffffffff", "more than seven digits of a second"),
            fallback,
        ),
        ("yyyy'MMddHHmm", Unfinished('\''), "yyyyMMddHHmm"),
        ("yyyy\"", Unfinished('"'), fallback),
        ("yyyy\\", Unfinished('\\'), fallback),
        ("yyyy%", Unfinished('%'), fallback),
        ("%%", Unfinished('%'), fallback),
        ("'daily'", Constant, fallback),
        ("YYYYDD", Constant, fallback),
        ("''", Constant, fallback),
        (":::", Character(':'), fallback),
    ] {
        let error = TimestampFormat::parse(text).unwrap_err();
        assert_eq!(
            (error.flaw(), error.proposal()),
            (&flaw, proposal),
            "{text:?}"
        );
        assert!(TimestampFormat::parse(proposal).is_ok(), "{proposal} works");
    }
    assert_eq!(
        TimestampFormat::parse("HH:mm").unwrap_err().to_string(),
        "invalid timestamp format `HH:mm`: PVE refuses ':' in the name of a snapshot and accepts only letters \
         without accents, digits, `-` and `_`; `yyyy-MM-dd_HH-mm-ss` works"
    );
}

/// Rust pads numbers to at most 65,535 digits and panics above.
#[test]
fn a_year_longer_than_any_name_is_refused() {
    for count in [40, 70_000] {
        let error = TimestampFormat::parse(&"y".repeat(count)).unwrap_err();
        assert_eq!(error.proposal(), "yyyy-MM-dd_HH-mm-ss");
    }
    assert!(TimestampFormat::parse(&"y".repeat(39)).is_ok());
}

#[test]
fn timestamps_are_texts_that_the_format_writes() {
    for (text, timestamp, expected) in [
        ("yyMMddHHmmss", "231123170958", true),
        ("yyMMddHHmmss", "231123170960", false),
        ("yyMMddHHmmss", "231123240000", false),
        ("yyMMddHHmmss", "231323170958", false),
        ("yyMMddHHmmss", "230229000000", false),
        ("yyMMddHHmmss", "240229000000", true),
        ("yyMMddHHmmss", "23112317095", false),
        ("yyMMddHHmmss", "2311231709588", false),
        ("yyMMddHHmmss", "+31123170958", false),
        ("yyMMddHHmmss", "", false),
        ("yyMMddHHmmss", "２３1123170958", false),
        ("MMdd", "0229", true),
        ("MMdd", "0230", false),
        ("ddHH", "3123", true),
        ("yyyyMMdd_dddd", "20231123_Thursday", true),
        ("yyyyMMdd_dddd", "20231123_Friday", false),
        ("yyyyMMdd_dddd", "20231123_thursday", false),
        ("yyyyMMdd_dddd", "20231123_Donnerstag", false),
        ("yyyyMMdd_ddd", "20231123_Thu", true),
        // A weekday alone does not decide: it needs year, month and day.
        ("yyyy_dddd", "2023_Friday", true),
        ("MMdd_dddd", "1123_Friday", true),
        ("yyyyMM_dddd", "202311_Friday", true),
        ("MMMyy", "May24", true),
        ("MMMMyy", "May24", true),
        ("MMMMyy", "Sep24", false),
        ("MMMM-MM", "September-09", true),
        ("MMMM-MM", "September-08", false),
        ("yyyy-yy", "2023-23", true),
        ("yyyy-yy", "2023-24", false),
        ("hhmmtt", "0115PM", true),
        ("hhmmtt", "1315PM", false),
        ("hhmmtt", "0015AM", false),
        ("HHhhtt", "1301PM", true),
        ("HHhhtt", "1301AM", false),
        ("HHhhtt", "1302PM", false),
        ("HH-HH", "13-13", true),
        ("HH-HH", "13-14", false),
        ("yyMMddHmmss", "23112370958", true),
        ("yyMMddHmmss", "231123170958", true),
        ("yyMMddHmmss", "231123070958", false),
        ("%d", "0", false),
        ("%H", "0", true),
        ("Md", "111", true),
        ("Md", "1111", true),
        ("Md", "11111", false),
        ("ssfff", "58617", true),
        ("ssfff", "5861", false),
        ("%t", "A", true),
        ("%t", "X", false),
        ("'at'HH", "at07", true),
        ("'at'HH", "AT07", false),
    ] {
        assert_eq!(
            format(text).matches(timestamp),
            expected,
            "{timestamp} in {text}"
        );
    }
}

#[test]
fn two_digits_of_a_year_mean_1950_to_2049() {
    for (timestamp, year) in [
        ("00", 2000),
        ("23", 2023),
        ("49", 2049),
        ("50", 1950),
        ("99", 1999),
    ] {
        assert_eq!(
            format("yy").parse_timestamp(timestamp).unwrap().year(),
            Some(year)
        );
    }
    assert_eq!(
        format("yyyy").parse_timestamp("2050").unwrap().year(),
        Some(2050)
    );
    assert_eq!(
        format("yyyyyy").parse_timestamp("002050").unwrap().year(),
        Some(2050)
    );
    assert_eq!(format("MM").parse_timestamp("12").unwrap().year(), None);
}

#[test]
fn missing_parts_come_from_another_time() {
    let other = date(2024, 2, 29).at(22, 33, 44, 55);
    for (text, timestamp, expected) in [
        (
            "yyMMddHHmmss",
            "231123170958",
            Some(date(2023, 11, 23).at(17, 9, 58, 0)),
        ),
        ("HHmm", "0102", Some(date(2024, 2, 29).at(1, 2, 44, 0))),
        ("MMdd", "1231", Some(date(2024, 12, 31).at(22, 33, 44, 0))),
        ("yyyy", "2023", None),
        ("hhtt", "12AM", Some(date(2024, 2, 29).at(0, 33, 44, 0))),
        ("hhtt", "12PM", Some(date(2024, 2, 29).at(12, 33, 44, 0))),
        (
            "hh-tt-ss",
            "11-PM-01",
            Some(date(2024, 2, 29).at(23, 33, 1, 0)),
        ),
        ("hhmm", "0102", Some(date(2024, 2, 29).at(1, 2, 44, 0))),
    ] {
        let parts = format(text).parse_timestamp(timestamp).unwrap();
        assert_eq!(
            parts.completed_from(other),
            expected,
            "{timestamp} in {text}"
        );
    }
}

#[test]
fn the_widths_of_a_format_are_those_of_its_shortest_and_longest_timestamp() {
    for (text, widths) in [
        ("yyMMddHHmmss", 12..=12),
        ("yyyy-M-d_H-m-s", 14..=19),
        ("MMMM_dddd", 10..=19),
        ("MMM_ddd", 7..=7),
        ("hhtt", 4..=4),
        ("h-t", 3..=4),
        ("yyyyyfff'at'", 10..=10),
    ] {
        assert_eq!(format(text).widths, widths, "{text}");
    }
}
