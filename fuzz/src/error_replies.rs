// SPDX-License-Identifier: GPL-3.0-only
//! Replies with any HTTP status: two bytes for status and method, a line with the reason phrase, a
//! line with the media type, the body.

use pve_client::fuzzing::Reply;
use pve_client::{Certainty, Error, Method};
use serde_json::Value;

/// Reads the reply; the status must determine whether PVE may have acted.
pub fn run(input: &[u8]) {
    let Some(((first, second), text)) = split(input) else {
        return;
    };
    let mut lines = text.splitn(3, |byte| *byte == b'\n');
    let mut line = || String::from_utf8_lossy(lines.next().unwrap_or_default()).into_owned();
    let (phrase, media_type) = (line(), line());
    let reply = Reply {
        method: [Method::Get, Method::Post, Method::Put, Method::Delete][usize::from(second % 4)],
        path: if second < 128 {
            &["version"]
        } else {
            &["nodes", "pve1", "qemu"]
        },
        status: 100 + 2 * u16::from(first) + u16::from(second / 4 % 2),
        phrase: &phrase,
        media_type: &media_type,
        has_login_challenge: second / 8 % 8 == 7,
        body: lines.next().unwrap_or_default(),
    };
    match reply.data::<Value>() {
        Ok(_) => assert!((200..300).contains(&reply.status), "{reply:?}"),
        Err(error) => check(&reply, &error),
    }
}

fn split(input: &[u8]) -> Option<((u8, u8), &[u8])> {
    let ([first, second], rest) = input.split_first_chunk()?;
    Some(((*first, *second), rest))
}

fn check(reply: &Reply<'_>, error: &Error) {
    let lost = matches!(reply.status, 502 | 504 | 596..=599);
    let is_page = reply.media_type == "text/html" && !matches!(reply.status, 429 | 503);
    match error {
        Error::Refused { status, reason, .. } => {
            assert!(
                *status == reply.status && *status >= 400 && !lost && !is_page,
                "{error:?}"
            );
            assert!(
                !reason.is_empty() && reason.trim_end() == reason,
                "{error:?}"
            );
            assert_eq!(error.certainty(), Certainty::Refused);
        }
        Error::MaybeProcessed { status, .. } => {
            assert!(lost && *status == Some(reply.status), "{error:?}");
            assert_eq!(error.certainty(), Certainty::Unknown);
        }
        Error::UnexpectedReply { .. } => assert_eq!(error.certainty(), Certainty::Unknown),
        Error::Intercepted { .. } => {
            assert!(matches!(reply.status, 401 | 403 | 405 | 413), "{error:?}");
            assert_eq!(error.certainty(), Certainty::Refused);
        }
        Error::NotSent { .. }
        | Error::InvalidListing { .. }
        | Error::Authentication { .. }
        | Error::Certificate { .. }
        | Error::UnsupportedTls { .. }
        | Error::OtherCluster { .. }
        | Error::Configuration(_) => panic!("a reply cannot cause {error:?}"),
    }
    let text = error.to_string();
    assert!(!text.is_empty());
    if let Some(missing) = error.missing_privilege() {
        assert!(
            text.contains(&missing.path) && text.contains(&missing.privilege),
            "{text}"
        );
    }
    assert!(
        !error.is_worker_start_failure() || error.is_transient(),
        "{error:?}"
    );
}
