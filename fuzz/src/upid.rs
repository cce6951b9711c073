// SPDX-License-Identifier: GPL-3.0-only
//! UPIDs, the IDs of tasks.

use pve_client::Upid;

/// Parses a UPID; its parts must be those of the text, which must not change.
pub fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    match text.parse::<Upid>() {
        Ok(upid) => {
            assert!(text.trim().starts_with(upid.as_str()));
            assert_eq!(upid.to_string().parse().as_ref(), Ok(&upid));
            let parts: Vec<&str> = upid.as_str().split(':').collect();
            assert_eq!(parts.len(), 9, "{upid}");
            assert_eq!(
                [parts[1], parts[5], parts[6], parts[7]],
                [upid.node(), upid.kind(), upid.id(), upid.user()]
            );
            assert!(
                [upid.node(), upid.kind(), upid.user()]
                    .iter()
                    .all(|part| !part.is_empty())
            );
            assert_eq!(u32::from_str_radix(parts[2], 16), Ok(upid.process()));
            assert_eq!(u64::from_str_radix(parts[3], 16), Ok(upid.process_start()));
            assert_eq!(i64::from_str_radix(parts[4], 16), Ok(upid.started_at()));
            assert!(!upid.as_str().contains(char::is_control));
        }
        // A whole HTML page instead of a UPID must not appear in the error.
        Err(error) => assert!(error.to_string().chars().count() < 300),
    }
}
