// SPDX-License-Identifier: GPL-3.0-only
//! Parameter files.

use cv4pve_autosnap::fuzzing::arguments;
use cv4pve_autosnap::response_file::Problem;

/// Reads the file; its arguments must be the same after they are written and read again.
pub fn run(input: &[u8]) {
    match arguments(input) {
        Ok(found) => {
            let whole = |argument: &String| !argument.contains(['"', '\n', '\r', '\0']);
            assert!(found.iter().all(whole), "{found:?}");
            let quoted: Vec<String> = found
                .iter()
                .map(|argument| format!("\"{argument}\""))
                .collect();
            for separator in [" ", "\n", "\r\n# a comment\r\n"] {
                let again = arguments(quoted.join(separator).as_bytes());
                assert!(again.is_ok_and(|again| again == found), "{quoted:?}");
            }
        }
        Err(Problem::OpenQuote { line }) => {
            let ends = input
                .iter()
                .filter(|byte| matches!(byte, b'\n' | b'\r'))
                .count();
            assert!((1..=ends + 1).contains(&line), "{line}");
            assert!(input.contains(&b'"'));
        }
        Err(Problem::NotText) => {
            let is_text = std::str::from_utf8(input).is_ok_and(|text| !text.contains('\0'));
            assert!(!is_text);
        }
        Err(Problem::NotUtf8 { line }) => {
            let ends = input
                .iter()
                .filter(|byte| matches!(byte, b'\n' | b'\r'))
                .count();
            assert!((1..=ends + 1).contains(&line), "{line}");
            assert!(std::str::from_utf8(input).is_err());
        }
        Err(problem) => panic!("this problem does not depend on the text: {problem}"),
    }
}
