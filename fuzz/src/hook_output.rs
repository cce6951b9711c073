// SPDX-License-Identifier: GPL-3.0-only
//! What a hook writes: two bytes for the limit and the size of the chunks, then the output.

use cv4pve_autosnap::fuzzing::captured;

/// Captures the output; the limit holds, nothing is lost unsaid, and chunks do not matter.
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
    // A byte that is no UTF-8 becomes a character of three.
    assert!(text.len() <= 3 * limit + note.len() + 1, "{text:?}");
    assert!(text.contains(&note), "{text:?}");
    assert!(
        text.starts_with(&*String::from_utf8_lossy(head)),
        "{text:?}"
    );
    assert!(text.ends_with(&*String::from_utf8_lossy(tail)), "{text:?}");
}
