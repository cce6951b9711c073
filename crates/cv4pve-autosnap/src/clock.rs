// SPDX-License-Identifier: GPL-3.0-only
//! The clock of a command. A run reads its time from one clock, because the time is part of its snapshots' names.

use std::time::Duration;

use jiff::{Timestamp, Zoned};

/// A clock in the time zone that snapshot names use.
#[derive(Debug, Clone)]
pub enum Clock {
    /// The clock and the time zone of this machine.
    System,
    /// A fixed time, for the demo and for tests.
    Fixed(Zoned),
}

impl Clock {
    /// The current time.
    pub fn now(&self) -> Zoned {
        match self {
            Self::System => Zoned::now(),
            Self::Fixed(now) => now.clone(),
        }
    }

    /// Whether it is the clock of this machine.
    pub fn is_system(&self) -> bool {
        match self {
            Self::System => true,
            Self::Fixed(_) => false,
        }
    }

    /// Waits for the next second, so that two runs in succession have different times. A fixed clock does not wait.
    pub async fn next_second(&self) {
        match self {
            Self::System => tokio::time::sleep(until_next_second(Timestamp::now())).await,
            Self::Fixed(_) => {}
        }
    }
}

fn until_next_second(now: Timestamp) -> Duration {
    let past = now
        .subsec_nanosecond()
        .rem_euclid(1_000_000_000)
        .unsigned_abs();
    Duration::from_nanos(1_000_000_000 - u64::from(past))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_second_is_at_most_one_second_away() {
        for (nanosecond, expected) in [(0, 1_000_000_000), (1, 999_999_999), (999_999_999, 1)] {
            let now = Timestamp::new(1_800_000_000, nanosecond).unwrap();
            assert_eq!(until_next_second(now), Duration::from_nanos(expected));
        }
    }
}
