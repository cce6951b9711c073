// SPDX-License-Identifier: GPL-3.0-only
//! Seconds for the names of snapshots: runs of one label that begin in the same second use different ones,
//! whichever guests they select, as cron starts several jobs at once.
//!
//! The last second in use is stored in a file beside the lock files. If it cannot be read or written, the
//! run uses the current second, and the plan and PVE notice a name that exists already.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use jiff::{ToSpan, Zoned};
use pve_client::Endpoint;

use super::{folder, identity_of_hosts, open};

/// How many seconds a run may be ahead of the clock. A stored second further ahead means that the clock
/// was set back.
const MOST_AHEAD: i64 = 30;

/// The time for the names of a run: now, or the first second after it that no other run of this user
/// has taken for the label on these hosts.
pub fn take_second(label: &str, hosts: &[Endpoint], now: Zoned) -> Zoned {
    let name = format!("{label}-{:016x}.second", identity_of_hosts(hosts));
    let taken = folder::find()
        .map_err(io::Error::other)
        .and_then(|folder| take_at(&folder.join(name), &now));
    match taken {
        Ok(ahead) => now.saturating_add(ahead.seconds()),
        Err(error) => {
            tracing::debug!(%error, "the last second that a run took is not known");
            now
        }
    }
}

/// Reserves a second in this file; returns how many seconds it is ahead of now.
fn take_at(path: &Path, now: &Zoned) -> io::Result<i64> {
    let mut file = open(path)?;
    file.lock()?;
    let now = now.timestamp().as_second();
    let ahead = match read(&mut file)? {
        Some(last) if (now..now.saturating_add(MOST_AHEAD)).contains(&last) => last - now + 1,
        Some(_) | None => 0,
    };
    file.set_len(0)?;
    file.seek(SeekFrom::Start(0))?;
    file.write_all(format!("{}\n", now + ahead).as_bytes())?;
    Ok(ahead)
}

fn read(file: &mut File) -> io::Result<Option<i64>> {
    let mut text = Vec::new();
    file.take(32).read_to_end(&mut text)?;
    let text = String::from_utf8_lossy(&text);
    Ok(text.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use jiff::tz::TimeZone;

    use super::*;

    fn at(second: i64) -> Zoned {
        Timestamp::from_second(second)
            .unwrap()
            .to_zoned(TimeZone::UTC)
    }

    #[test]
    fn runs_of_one_second_take_one_second_after_the_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("daily.second");
        let taken: Vec<i64> = [1000, 1000, 1000, 1001, 1010, 1010]
            .map(|second| second + take_at(&path, &at(second)).unwrap())
            .into();
        assert_eq!(taken, [1000, 1001, 1002, 1003, 1010, 1011]);
    }

    #[test]
    fn neither_a_clock_that_was_set_back_nor_a_damaged_file_matters() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("daily.second");
        assert_eq!(take_at(&path, &at(5000)).unwrap(), 0);
        assert_eq!(take_at(&path, &at(1000)).unwrap(), 0);
        std::fs::write(&path, [0xff; 100]).unwrap();
        assert_eq!(take_at(&path, &at(1000)).unwrap(), 0);
        assert_eq!(take_at(&path, &at(1000)).unwrap(), 1);
    }
}
