// SPDX-License-Identifier: GPL-3.0-only
//! Parameters from query and body (`extract_params` and `decode_urlencoded` in
//! `PVE/APIServer/AnyEvent.pm`).

use serde_json::{Map, Value};

use super::reader::Head;

/// Splits a target into the decoded path and the raw query.
pub(super) fn split_target(target: &str) -> (String, &str) {
    let relative = match target.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("/", |start| &rest[start..]),
        None => target,
    };
    let relative = relative.split('#').next().unwrap_or_default();
    let (path, query) = relative.split_once('?').unwrap_or((relative, ""));
    (decode(path, false), query)
}

/// All parameters; query parameters win. The error is the text of PVE's JSON parser.
pub(super) fn parameters(
    head: &Head,
    query: &str,
    body: &[u8],
) -> Result<Map<String, Value>, String> {
    let mut params = if matches!(head.method.as_str(), "POST" | "PUT") {
        if content_type(head) == Some("application/json") {
            from_json(body)?
        } else {
            from_form(&String::from_utf8_lossy(body))
        }
    } else {
        Map::new()
    };
    params.extend(from_form(query));
    Ok(params)
}

/// The media type without its parameters.
pub(super) fn content_type(head: &Head) -> Option<&str> {
    let line = head.header("Content-Type")?;
    line.split([';', ',']).next().map(str::trim)
}

/// Parses `a=b&c=d`. Repeated names become a list, as since http-server 4.2.
fn from_form(text: &str) -> Map<String, Value> {
    let mut params = Map::new();
    for pair in text.split(['&', ';']).filter(|pair| !pair.is_empty()) {
        let mut parts = pair.split('=');
        let name = decode(parts.next().unwrap_or_default(), true);
        let value = parts
            .next()
            .map_or(Value::Null, |value| Value::from(decode(value, true)));
        match params.get_mut(&name) {
            Some(Value::Array(list)) => list.push(value),
            Some(old) if !old.is_null() => *old = Value::Array(vec![old.take(), value]),
            Some(_) | None => {
                params.insert(name, value);
            }
        }
    }
    params
}

fn from_json(body: &[u8]) -> Result<Map<String, Value>, String> {
    const PLACE: &str = "at /usr/share/perl5/PVE/APIServer/AnyEvent.pm line 1049.";
    match serde_json::from_slice(body) {
        Ok(Value::Object(params)) => Ok(params),
        Ok(
            Value::Array(_) | Value::String(_) | Value::Number(_) | Value::Bool(_) | Value::Null,
        ) => Err(format!("Not a HASH reference {PLACE}")),
        Err(_) => Err(format!(
            "malformed JSON string, neither tag, array, object, number, string or atom, at character offset {} (before \"(end of string)\") {PLACE}",
            body.len()
        )),
    }
}

/// Decodes percent encoding.
pub(super) fn decode_percent(text: &str) -> String {
    decode(text, false)
}

/// Decodes percent encoding; in forms, `+` is a space.
fn decode(text: &str, form: bool) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        match first {
            b'+' if form => bytes.push(b' '),
            b'%' => match hex_pair(tail) {
                Some(byte) => {
                    bytes.push(byte);
                    rest = &tail[2..];
                }
                None => bytes.push(b'%'),
            },
            other => bytes.push(*other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex_pair(text: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let value = digit(*text.first()?)? * 16 + digit(*text.get(1)?)?;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(method: &str, media: &str) -> Head {
        Head {
            method: method.to_owned(),
            target: String::new(),
            minor: 1,
            headers: vec![("content-type".to_owned(), media.to_owned())],
        }
    }

    #[test]
    fn targets_are_split_and_decoded() {
        assert_eq!(split_target("/a%2Fb?x=%20"), ("/a/b".to_owned(), "x=%20"));
        assert_eq!(split_target("https://h:8006/api2?y").0, "/api2");
        assert_eq!(split_target("/100%"), ("/100%".to_owned(), ""));
    }

    #[test]
    fn query_and_body_are_merged() {
        let form = head("POST", "application/x-www-form-urlencoded; charset=UTF-8");
        let params = parameters(&form, "a=1", b"a=2&b=x+y%C3%A4&c").expect("a form");
        assert_eq!(
            Value::from(params),
            serde_json::json!({"a": "1", "b": "x yä", "c": null})
        );
        let twice = parameters(&form, "", b"s=p1&s=p3").expect("a form");
        assert_eq!(twice["s"], serde_json::json!(["p1", "p3"]));
    }

    #[test]
    fn json_bodies_are_parsed_or_rejected() {
        let json = head("POST", "application/json; charset=utf-8");
        let params = parameters(&json, "", br#"{"a": false, "b": 7}"#).expect("an object");
        assert_eq!(Value::from(params), serde_json::json!({"a": false, "b": 7}));
        let broken = parameters(&json, "", br#"{"a":"#).expect_err("broken");
        assert!(broken.starts_with("malformed JSON string"), "{broken}");
        let list = parameters(&json, "", br#"["a"]"#).expect_err("a list");
        assert!(list.starts_with("Not a HASH reference"), "{list}");
    }
}
