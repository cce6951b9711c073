// SPDX-License-Identifier: GPL-3.0-only
//! Properties of all events.

use jiff::ToSpan;
use jiff::civil::Date;
use proptest::prelude::*;

use super::*;

/// A list of numbers of a unit, and the values that it has.
fn list(first: u32, last: u32) -> impl Strategy<Value = (String, Vec<u32>)> {
    let number = first..=last;
    let item = prop_oneof![
        number
            .clone()
            .prop_map(|value| (value.to_string(), vec![value])),
        (number.clone(), number.clone()).prop_map(|(one, other)| {
            let (from, to) = (one.min(other), one.max(other));
            (format!("{from}..{to}"), (from..=to).collect())
        }),
        (number.clone(), 1..=last).prop_map(move |(from, step)| {
            (
                format!("{from}/{step}"),
                (from..=last).step_by(step as usize).collect(),
            )
        }),
        (number.clone(), number, 1..=last).prop_map(|(one, other, step)| {
            let (from, to) = (one.min(other), one.max(other));
            (
                format!("{from}..{to}/{step}"),
                (from..=to).step_by(step as usize).collect(),
            )
        }),
    ];
    let items = proptest::collection::vec(item, 1..3).prop_map(|items: Vec<(String, Vec<u32>)>| {
        let (texts, values): (Vec<_>, Vec<_>) = items.into_iter().unzip();
        (texts.join(","), values.concat())
    });
    let steps = (1..=last).prop_map(move |step| {
        (
            format!("*/{step}"),
            (first..=last).step_by(step as usize).collect(),
        )
    });
    prop_oneof![
        2 => Just(("*".to_owned(), (first..=last).collect())),
        1 => steps,
        4 => items,
    ]
}

/// An event by what it consists of.
#[derive(Clone, Debug)]
struct Model {
    text: String,
    weekdays: Vec<usize>,
    months: Vec<u32>,
    days: Vec<u32>,
    hours: Vec<u32>,
    minutes: Vec<u32>,
}

impl Model {
    fn matches(&self, time: DateTime) -> bool {
        let has = |values: &[u32], value: i8| values.contains(&u32::from(value.unsigned_abs()));
        let weekday = time.date().weekday().to_monday_zero_offset();
        self.weekdays.contains(&usize::from(weekday.unsigned_abs()))
            && has(&self.months, time.month())
            && has(&self.days, time.day())
            && has(&self.hours, time.hour())
            && has(&self.minutes, time.minute())
            && time.second() == 0
    }
}

fn weekdays() -> impl Strategy<Value = (String, Vec<usize>)> {
    const NAMES: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    prop_oneof![
        2 => Just((String::new(), (0..7).collect())),
        1 => (0..7_usize, 0..7_usize).prop_map(|(first, days)| {
            let days: Vec<usize> = (first..=first + days).map(|day| day % 7).collect();
            (format!("{}..{} ", NAMES[first], NAMES[*days.last().unwrap()]), days)
        }),
        1 => proptest::sample::subsequence((0..7).collect::<Vec<_>>(), 1..4).prop_map(|days| {
            let names: Vec<&str> = days.iter().map(|day| NAMES[*day]).collect();
            (names.join(",") + " ", days)
        }),
    ]
}

fn model() -> impl Strategy<Value = Model> {
    let date = prop_oneof![
        2 => Just((String::new(), (1..=12).collect(), (1..=31).collect())),
        1 => (list(1, 12), list(1, 31)).prop_map(|((month, months), (day, days))| {
            (format!("{month}-{day} "), months, days)
        }),
    ];
    let time = prop_oneof![
        2 => (list(0, 23), list(0, 59)).prop_map(|((hour, hours), (minute, minutes))| {
            (format!("{hour}:{minute}"), hours, minutes)
        }),
        1 => list(0, 59).prop_map(|(minute, minutes)| (minute, (0..24).collect(), minutes)),
    ];
    (weekdays(), date, time).prop_map(
        |((weekday, weekdays), (date, months, days), (time, hours, minutes))| Model {
            text: format!("{weekday}{date}{time}"),
            weekdays,
            months,
            days,
            hours,
            minutes,
        },
    )
}

fn time() -> impl Strategy<Value = DateTime> {
    (0..1500_i64, 0..86_400_i64).prop_map(|(day, second)| {
        let start = Date::new(2024, 1, 1)
            .unwrap()
            .to_datetime(jiff::civil::Time::midnight());
        start.checked_add(day.days().seconds(second)).unwrap()
    })
}

const ZONES: [&str; 6] = [
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Santiago",
    "Africa/Casablanca",
    "UTC",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// In UTC the next run is the first minute that matches.
    #[test]
    fn the_next_run_is_the_first_minute_that_matches(model in model(), from in time()) {
        let event = event(&model.text);
        let from = from.to_zoned(TimeZone::UTC).unwrap();
        let next = event.next_after(&from).map(|run| run.datetime());
        let minute = from.datetime().with().second(0).build().unwrap();
        let minutes = std::iter::successors(Some(minute), |time| time.checked_add(1.minute()).ok());
        // Forty days of minutes.
        let first = minutes.skip(1).take(57_600).find(|time| model.matches(*time));
        let end = from.datetime().checked_add(40.days()).unwrap();
        let is_later = |next: DateTime| model.matches(next) && next >= end;
        prop_assert!(next == first || first.is_none() && next.is_none_or(is_later), "{next:?}, not {first:?}");
    }

    /// Runs are strictly ordered in all zones; each is a time of the event, or one that a clock change has moved.
    #[test]
    fn runs_are_strictly_ordered(model in model(), from in time(), zone in 0..ZONES.len()) {
        let event = event(&model.text);
        let zone = TimeZone::get(ZONES[zone]).unwrap();
        let from = from.to_zoned(zone.clone()).unwrap();
        let mut last = from.clone();
        for run in event.runs_after(&from).take(50) {
            prop_assert!(run > last, "{run} after {last}");
            let moved = |minutes: i64| {
                let before = run.checked_sub(minutes.minutes()).unwrap();
                let time = run.datetime().checked_sub(minutes.minutes()).unwrap();
                before.offset() != run.offset() && model.matches(time)
            };
            prop_assert!(model.matches(run.datetime()) || moved(60) || moved(30), "{}: {run}", model.text);
            last = run;
        }
    }

    /// Every time of the event that exists once has a run.
    #[test]
    fn no_time_of_the_event_is_left_out(model in model(), from in time(), zone in 0..ZONES.len()) {
        let event = event(&model.text);
        let zone = TimeZone::get(ZONES[zone]).unwrap();
        for hour in 0..48 {
            let time = from.with().second(0).build().unwrap().checked_add(hour.hours()).unwrap();
            let ambiguous = zone.to_ambiguous_timestamp(time);
            if model.matches(time) && !ambiguous.is_ambiguous() {
                let run = ambiguous.compatible().unwrap();
                let before = run.checked_sub(1.second()).unwrap().to_zoned(zone.clone());
                prop_assert_eq!(event.next_after(&before).map(|run| run.timestamp()), Some(run), "{}", time);
            }
        }
    }

    /// With every hour, and changes of whole hours, the time between two runs is that of other days.
    #[test]
    fn events_of_every_hour_keep_their_distance((text, minutes) in list(0, 59), from in time(), zone in 0..2_usize) {
        let event = event(&text);
        let from = from.to_zoned(TimeZone::get(ZONES[zone]).unwrap()).unwrap();
        let utc = from.with_time_zone(TimeZone::UTC);
        let here: Vec<Timestamp> = event.runs_after(&from).take(200).map(|run| run.timestamp()).collect();
        let there: Vec<Timestamp> = event.runs_after(&utc).take(200).map(|run| run.timestamp()).collect();
        prop_assert_eq!(here, there, "{:?}", minutes);
    }

    /// A daily event runs once on each day that exists.
    #[test]
    fn daily_events_run_once_a_day(hour in 0..24_u32, minute in 0..60_u32, from in time(), zone in 0..ZONES.len()) {
        let event = event(&format!("{hour}:{minute}"));
        let from = from.date().to_zoned(TimeZone::get(ZONES[zone]).unwrap()).unwrap();
        // A run at midnight of the first day is not after midnight.
        let days: Vec<Date> = event.runs_after(&from).take(400).map(|run| run.date()).collect();
        for pair in days.windows(2) {
            prop_assert_eq!(pair[0].tomorrow().unwrap(), pair[1]);
        }
    }

    /// Text of any kind is parsed or refused with a position in the text; a correction is valid.
    #[test]
    fn corrections_are_valid(text in r"[ 0-9a-zA-Z*/,.:~@T-]{0,20}|((mon|Tue|fri|daily|UTC|utc|[0-9]{1,2}|[*/,.: -]|\.\.)){1,9}") {
        match CalendarEvent::parse(&text) {
            Ok(event) => prop_assert_eq!(CalendarEvent::parse(&event.to_string()), Ok(event)),
            Err(error) => {
                prop_assert!(error.position() <= text.trim().chars().count() + 1);
                if let Some(correction) = error.correction() {
                    prop_assert!(CalendarEvent::parse(correction).is_ok(), "{correction}");
                    prop_assert!(error.to_string().contains(correction));
                }
            }
        }
    }
}
