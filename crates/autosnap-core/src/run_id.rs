// SPDX-License-Identifier: GPL-3.0-only
//! The identifier of a run: unique over processes and machines, and ordered by time.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The identifier of a run, a UUID of version 7 (RFC 9562).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct RunId(u128);

/// A text that is not the identifier of a run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid run ID `{0}`: must be a UUID")]
pub struct RunIdError(String);

/// The bits of a UUID that contain its version and variant.
const FIXED_BITS: u128 = 0xf000_c000_0000_0000_0000;
/// Version 7 and the variant of RFC 9562.
const VERSION_AND_VARIANT: u128 = 0x7000_8000_0000_0000_0000;
/// The lengths of the groups of digits in the text.
const GROUPS: [usize; 5] = [8, 4, 4, 4, 12];

impl RunId {
    /// The identifier of a run that started at `started`; the caller provides random bits.
    pub fn new(started: Timestamp, random: u128) -> Self {
        let milliseconds = u128::try_from(started.as_millisecond()).unwrap_or(0);
        let time = milliseconds << 80;
        let random = random & ((1 << 80) - 1) & !FIXED_BITS;
        Self(time | VERSION_AND_VARIANT | random)
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = format!("{:032x}", self.0);
        let mut rest = digits.as_str();
        for (index, length) in GROUPS.into_iter().enumerate() {
            let (group, others) = rest.split_at(length);
            let separator = if index == 0 { "" } else { "-" };
            write!(formatter, "{separator}{group}")?;
            rest = others;
        }
        Ok(())
    }
}

impl FromStr for RunId {
    type Err = RunIdError;

    fn from_str(text: &str) -> Result<Self, RunIdError> {
        let invalid = || RunIdError(text.to_owned());
        let groups: Vec<&str> = text.split('-').collect();
        let is_uuid = groups.iter().map(|group| group.len()).eq(GROUPS)
            && text
                .bytes()
                .all(|byte| byte == b'-' || byte.is_ascii_hexdigit());
        if !is_uuid {
            return Err(invalid());
        }
        u128::from_str_radix(&groups.concat(), 16)
            .map(Self)
            .map_err(|_| invalid())
    }
}

impl TryFrom<String> for RunId {
    type Error = RunIdError;

    fn try_from(text: String) -> Result<Self, RunIdError> {
        text.parse()
    }
}

impl From<RunId> for String {
    fn from(id: RunId) -> Self {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_uuid_of_version_7_that_begins_with_the_time() {
        let started = Timestamp::from_millisecond(0x0192_3456_789a).unwrap();
        let id = RunId::new(started, u128::MAX);
        assert_eq!(id.to_string(), "01923456-789a-7fff-bfff-ffffffffffff");
        assert_eq!(
            RunId::new(started, 0).to_string(),
            "01923456-789a-7000-8000-000000000000"
        );
        assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[test]
    fn ids_are_ordered_by_the_start_of_their_runs() {
        let at = |second| Timestamp::from_second(second).unwrap();
        assert!(RunId::new(at(1), u128::MAX) < RunId::new(at(2), 0));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "01923456789a7fffbfffffffffffffff",
            "01923456-789a-7fff-bfff-fffffffffff",
            "01923456-789a-7fff-bfff-fffffffffffg",
            "0192345é-789a-7fff-bfff-ffffffffffff",
        ] {
            assert!(text.parse::<RunId>().is_err(), "{text}");
        }
    }
}
