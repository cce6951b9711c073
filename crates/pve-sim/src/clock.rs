// SPDX-License-Identifier: GPL-3.0-only
//! The simulated clock.
//!
//! Everything that PVE dates (snapshots, tasks, tickets) is dated by this
//! clock: the real one plus an offset that tests and the demonstration may
//! advance. It never runs backwards. Delays on the wire are real time and do
//! not concern this module.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Seconds since the Unix epoch, with fractions.
pub type Seconds = f64;

/// A clock that runs with real time and can be advanced by hand.
#[derive(Debug, Clone)]
pub struct Clock {
    origin: Seconds,
    began: Instant,
    advanced: Duration,
}

impl Clock {
    /// A clock that shows `start` now; without `start` it shows real time.
    pub fn new(start: Option<Seconds>) -> Self {
        let real = || {
            SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0.0, |since| since.as_secs_f64())
        };
        Self {
            origin: start.unwrap_or_else(real),
            began: Instant::now(),
            advanced: Duration::ZERO,
        }
    }

    /// The simulated time in seconds since the Unix epoch.
    pub fn now(&self) -> Seconds {
        self.origin + (self.began.elapsed() + self.advanced).as_secs_f64()
    }

    /// The time the clock showed when it was made.
    pub fn start(&self) -> Seconds {
        self.origin
    }

    /// Moves the clock on. Negative and absurd amounts are ignored.
    pub fn advance(&mut self, seconds: Seconds) {
        if let Ok(more) = Duration::try_from_secs_f64(seconds) {
            self.advanced = self.advanced.saturating_add(more);
        }
    }
}

/// Whole seconds since the epoch, as PVE writes them into configurations.
#[expect(
    clippy::cast_possible_truncation,
    reason = "dropping the fraction is the purpose; the range is never exceeded by a date"
)]
pub fn whole(seconds: Seconds) -> i64 {
    seconds.floor() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advancing_moves_on_and_never_back() {
        let mut clock = Clock::new(Some(1_000.0));
        clock.advance(500.0);
        clock.advance(-300.0);
        clock.advance(f64::NAN);
        let now = clock.now();
        assert!((1_500.0..1_560.0).contains(&now), "{now}");
        assert_eq!(whole(1_500.9), 1_500);
    }
}
