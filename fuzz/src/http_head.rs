// SPDX-License-Identifier: GPL-3.0-only
//! Heads of HTTP replies: duplicate `Connection` lines are removed before hyper parses them.

use pve_client::fuzzing::repaired_head;

/// Repairs the head; only `Connection` lines may be removed, and never the last one.
pub fn run(input: &[u8]) {
    let repaired = repaired_head(input, b"rest");
    assert!(repaired.ends_with(b"rest"));
    let repaired = &repaired[..repaired.len() - b"rest".len()];
    let (before, after) = (lines(input), lines(repaired));
    let others = |lines: &[&[u8]]| -> Vec<Vec<u8>> {
        let others = lines.iter().filter(|line| !is_connection(line));
        others.map(|line| line.to_vec()).collect()
    };
    assert_eq!(others(&before), others(&after));
    let last = |lines: &[&[u8]]| -> Option<Vec<u8>> {
        let last = lines.iter().rfind(|line| is_connection(line));
        last.map(|line| line.to_vec())
    };
    assert_eq!(last(&before), last(&after));
    assert_eq!(repaired_head(repaired, b""), repaired);
}

fn lines(head: &[u8]) -> Vec<&[u8]> {
    head.split_inclusive(|byte| *byte == b'\n').collect()
}

fn is_connection(line: &[u8]) -> bool {
    line.to_ascii_lowercase().starts_with(b"connection:")
}
