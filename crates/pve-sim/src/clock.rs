// SPDX-License-Identifier: GPL-3.0-only
//! The simulated clock.
//!
//! PVE's timestamps (snapshots, tasks, tickets) come from this clock: real time plus an offset that
//! tests can increase. It never runs backwards. Network delays use real time, not this clock.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Seconds since the Unix epoch, with fractions.
pub type Seconds = f64;

/// Real time plus an adjustable offset.
#[derive(Debug, Clone)]
pub struct Clock {
    origin: Seconds,
    started: Instant,
    advanced: Duration,
}

impl Clock {
    /// Starts at `start`; `None`: real time.
    pub fn new(start: Option<Seconds>) -> Self {
        let real = || {
            SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0.0, |since| since.as_secs_f64())
        };
        Self {
            origin: start.unwrap_or_else(real),
            started: Instant::now(),
            advanced: Duration::ZERO,
        }
    }

    /// The simulated time in seconds since the Unix epoch.
    pub fn now(&self) -> Seconds {
        self.origin + (self.started.elapsed() + self.advanced).as_secs_f64()
    }

    /// The time at which the clock started.
    pub fn start(&self) -> Seconds {
        self.origin
    }

    /// Advances the clock. Ignores negative and invalid values.
    pub fn advance(&mut self, seconds: Seconds) {
        if let Ok(more) = Duration::try_from_secs_f64(seconds) {
            self.advanced = self.advanced.saturating_add(more);
        }
    }
}

/// Whole seconds since the epoch, as PVE writes them into configurations.
#[expect(
    clippy::cast_possible_truncation,
    reason = "drops the fraction on purpose; dates are far below the limit"
)]
pub fn whole(seconds: Seconds) -> i64 {
    seconds.floor() as i64
}

/// A date and time in UTC; all simulated nodes use UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Civil {
    /// The year.
    pub year: i64,
    /// The month, from 1.
    pub month: i64,
    /// The day of the month, from 1.
    pub day: i64,
    /// The hour, 0 to 23.
    pub hour: i64,
    /// The minute.
    pub minute: i64,
    /// The second.
    pub second: i64,
}

impl Civil {
    /// Converts seconds since the epoch. The calendar repeats every 400 years (146,097 days). Years
    /// are counted from 1 March, so that a leap day is the last day of its year.
    pub fn from_epoch(epoch: i64) -> Self {
        let (days, rest) = (epoch.div_euclid(86_400), epoch.rem_euclid(86_400));
        let shifted = days + 719_468;
        let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
        let leap_days = day_of_era / 1_460 - day_of_era / 36_524 + day_of_era / 146_096;
        let year_of_era = (day_of_era - leap_days) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * day_of_year + 2) / 153;
        let month = if from_march < 10 {
            from_march + 3
        } else {
            from_march - 9
        };
        Self {
            year: era * 400 + year_of_era + i64::from(month <= 2),
            month,
            day: day_of_year - (153 * from_march + 2) / 5 + 1,
            hour: rest / 3_600,
            minute: rest / 60 % 60,
            second: rest % 60,
        }
    }

    /// The time of day as `05:10:00`.
    fn time(&self) -> String {
        format!("{:02}:{:02}:{:02}", self.hour, self.minute, self.second)
    }
}

/// Formats a time as `2026-11-28T05:10:00Z`.
pub fn utc(epoch: i64) -> String {
    let civil = Civil::from_epoch(epoch);
    let (year, month, day) = (civil.year, civil.month, civil.day);
    format!("{year:04}-{month:02}-{day:02}T{}Z", civil.time())
}

/// Formats a time as `Sat Nov 28 05:10:00 2026`.
pub fn asctime(epoch: i64) -> String {
    // 1 January 1970 was a Thursday.
    const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let civil = Civil::from_epoch(epoch);
    let index = |number: i64| usize::try_from(number).unwrap_or_default();
    let weekday = WEEKDAYS[index(epoch.div_euclid(86_400).rem_euclid(7))];
    let month = MONTHS[index(civil.month - 1)];
    let (day, year) = (civil.day, civil.year);
    format!("{weekday} {month} {day:>2} {} {year}", civil.time())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_follow_the_gregorian_calendar() {
        for (epoch, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_795_910_400, "2026-11-29T00:00:00Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
        ] {
            assert_eq!(utc(epoch), expected);
        }
    }

    #[test]
    fn the_clock_advances_and_never_runs_backwards() {
        let mut clock = Clock::new(Some(1_000.0));
        clock.advance(500.0);
        clock.advance(-300.0);
        clock.advance(f64::NAN);
        let now = clock.now();
        assert!((1_500.0..1_560.0).contains(&now), "{now}");
        assert_eq!(whole(1_500.9), 1_500);
    }
}
