// SPDX-License-Identifier: GPL-3.0-only
//! The output of a hook: two bytes for the limit and the size of the chunks, then the output.

use cv4pve_autosnap::fuzzing::captured;

/// Captures the output; the limit must hold, a note must count lost bytes, and the chunk size must not matter.
pub fn run(input: &[u8]) {
    let Some(([limit, chunk], output)) = input.split_first_chunk() else {
        return;
    };
    let limit = usize::from(*limit);
    let text = captured(limit, output.chunks(usize::from(*chunk) + 1));
    assert_eq!(text, captured(limit, [output]), "chunks matter");
    let Some(cut) = output.len().checked_sub(limit).filter(|cut| *cut > 0) else {
        assert_eq!(text, String::from_utf8_lossy(output));
        return;
    };
    let note = format!("[{cut} bytes of output left out]\n");
    let (head, tail) = (
        &output[..limit / 2],
        &output[output.len() - limit.div_ceil(2)..],
    );
    // An invalid byte becomes a character of three bytes.
    assert!(text.len() <= 3 * limit + note.len() + 1, "{text:?}");
    assert!(text.contains(&note), "{text:?}");
    assert!(
        text.starts_with(&*String::from_utf8_lossy(head)),
        "{text:?}"
    );
    assert!(text.ends_with(&*String::from_utf8_lossy(tail)), "{text:?}");
}
