// SPDX-License-Identifier: GPL-3.0-only
//! The reserved seconds for snapshot names: runs of one label that start in the same second use different ones.
//!
//! This is independent of their guests, because cron starts several jobs at the same time. The last reserved second is
//! stored in a file in the folder for lock files. If it cannot be read or written, the run uses the current second; a
//! name that exists is then found by the plan or refused by PVE.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use jiff::{ToSpan, Zoned};
use pve_client::Endpoint;

use super::{digest_of_hosts, folder, open};

/// The maximum number of seconds that a run may be ahead of the clock. If the stored second is further ahead, the
/// clock was set back.
const MAX_AHEAD: i64 = 30;

/// Reserves a time for the names of a run: now, or the next second that is free.
///
/// A second is free if no other run of this user has reserved it for the label on these hosts.
pub fn reserve_second(label: &str, hosts: &[Endpoint], now: Zoned) -> Zoned {
    let name = format!("{label}-{:016x}.second", digest_of_hosts(hosts));
    let reserved = folder::find()
        .map_err(io::Error::other)
        .and_then(|folder| reserve_in(&folder.join(name), &now));
    match reserved {
        Ok(ahead) => now.saturating_add(ahead.seconds()),
        Err(error) => {
            tracing::debug!(%error, "cannot reserve a second for the names of the run");
            now
        }
    }
}

/// Reserves a second in a file; returns how many seconds it is ahead of now.
fn reserve_in(path: &Path, now: &Zoned) -> io::Result<i64> {
    let mut file = open(path)?;
    file.lock()?;
    let now = now.timestamp().as_second();
    let ahead = match read(&mut file)? {
        Some(last) if (now..now.saturating_add(MAX_AHEAD)).contains(&last) => last - now + 1,
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
    fn runs_in_one_second_reserve_successive_seconds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("daily.second");
        let taken: Vec<i64> = [1000, 1000, 1000, 1001, 1010, 1010]
            .map(|second| second + reserve_in(&path, &at(second)).unwrap())
            .into();
        assert_eq!(taken, [1000, 1001, 1002, 1003, 1010, 1011]);
    }

    #[test]
    fn a_clock_set_back_and_a_damaged_file_are_tolerated() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("daily.second");
        assert_eq!(reserve_in(&path, &at(5000)).unwrap(), 0);
        assert_eq!(reserve_in(&path, &at(1000)).unwrap(), 0);
        std::fs::write(&path, [0xff; 100]).unwrap();
        assert_eq!(reserve_in(&path, &at(1000)).unwrap(), 0);
        assert_eq!(reserve_in(&path, &at(1000)).unwrap(), 1);
    }
}
