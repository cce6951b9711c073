// SPDX-License-Identifier: GPL-3.0-only
//! Faults that change a response: modified lists, replaced bytes, and the UPID of another task.

use serde_json::{Value, json};

use crate::faults::ListingFault;
use crate::world::World;

use super::response::Response;

/// Returns the UPID of a task that has nothing to do with the request.
pub(super) fn other_task(world: &mut World, node: &str) -> Response {
    world.run_due_steps();
    let succeeded = |status: Option<&str>| status == Some("OK");
    let found = world
        .tasks
        .finished(node)
        .find(|task| succeeded(task.exitstatus.as_deref()))
        .map(|task| task.upid.to_string());
    let upid = found
        .unwrap_or_else(|| format!("UPID:{node}:0000ABCD:00001234:65920080:vzdump::root@pam:"));
    Response::json(200, "OK", &json!({ "data": upid }))
}

/// Changes the list in the response, if there is one.
pub(super) fn listing(response: &mut Response, fault: ListingFault) {
    let Ok(mut body) = serde_json::from_slice::<Value>(&response.body) else {
        return;
    };
    let Some(entries) = body.get_mut("data").and_then(Value::as_array_mut) else {
        return;
    };
    match fault {
        ListingFault::Doubled => {
            let twice = entries.iter().flat_map(|one| [one.clone(), one.clone()]);
            *entries = twice.collect();
        }
        ListingFault::Truncated => {
            entries.truncate(entries.len() / 2);
            entries.retain(|entry| entry["name"] != "current");
        }
        ListingFault::Empty => entries.clear(),
    }
    response.body = body.to_string().into_bytes();
}

/// Replaces text in the body; characters up to U+00FF are written as single bytes.
pub(super) fn edit(response: &mut Response, find: &str, with: &str) {
    let with: Vec<u8> = with
        .chars()
        .flat_map(|character| match u8::try_from(u32::from(character)) {
            Ok(byte) => vec![byte],
            Err(_) => character.to_string().into_bytes(),
        })
        .collect();
    let (find, mut rest) = (find.as_bytes(), response.body.as_slice());
    let mut body = Vec::new();
    while let Some((first, others)) = rest.split_first() {
        match rest.strip_prefix(find) {
            Some(behind) if !find.is_empty() => {
                body.extend_from_slice(&with);
                rest = behind;
            }
            Some(_) | None => {
                body.push(*first);
                rest = others;
            }
        }
    }
    response.body = body;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replacement_can_contain_invalid_utf_8() {
        let mut response = Response::plain(200, "OK", "a web01 b web01");
        edit(&mut response, "web01", "w\u{ff}\u{20ac}");
        assert_eq!(response.body, b"a w\xff\xe2\x82\xac b w\xff\xe2\x82\xac");
        edit(&mut response, "", "x");
        assert!(response.body.starts_with(b"a w"));
    }

    #[test]
    fn only_lists_are_changed() {
        let body = r#"{"data":[{"name":"current"},{"name":"a"},{"name":"b"},{"name":"c"}]}"#;
        for (fault, expected) in [
            (ListingFault::Doubled, 8),
            (ListingFault::Truncated, 1),
            (ListingFault::Empty, 0),
        ] {
            let mut response = Response::plain(200, "OK", body);
            listing(&mut response, fault);
            let value: Value = serde_json::from_slice(&response.body).expect("JSON");
            assert_eq!(value["data"].as_array().map(Vec::len), Some(expected));
        }
        let mut other = Response::plain(200, "OK", r#"{"data":null}"#);
        listing(&mut other, ListingFault::Doubled);
        assert_eq!(other.body, br#"{"data":null}"#);
    }
}
