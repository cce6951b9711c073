// SPDX-License-Identifier: GPL-3.0-only
//! From a complete HTTP answer to data or an error.
//!
//! Where PVE puts its error text depends on the version of its HTTP server: always in the reason
//! phrase, first line only; since 5.2.0 in the JSON body as `message` as well, whole. Errors from
//! before the API is reached (401, 595, 501 for bad HTTP) have an empty or plain body.

use std::collections::BTreeMap;

use hyper::body::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use serde_json::value::RawValue;

use crate::call::Call;
use crate::connection::Reply;
use crate::endpoint::Endpoint;
use crate::error::{Certainty, Error, Method};
use crate::transport::Answer;
use crate::types::repair::repair;

/// Lets a good answer through and makes an error of every other.
pub(crate) fn check(call: &Call, endpoint: &Endpoint, reply: Reply) -> Result<Answer, Error> {
    if let Some(evidence) = proxy_evidence(&reply) {
        return Err(Error::Intercepted {
            method: call.method,
            path: call.path().to_owned(),
            endpoint: endpoint.clone(),
            what: format!("{} {} {evidence}", reply.status, reply.phrase.trim()),
        });
    }
    match reply.status {
        200..300 => Ok(Answer {
            body: reply.body,
            endpoint: endpoint.clone(),
        }),
        // A proxy in between got no answer. AnyEvent::HTTP, which pveproxy uses, counts 595 for
        // connecting, 596 to 599 for everything after it.
        502 | 504 | 596..600 => Err(Error::MaybeProcessed {
            method: call.method,
            path: call.path().to_owned(),
            endpoint: endpoint.clone(),
            status: Some(reply.status),
            reason: format!("{} {}", reply.status, refusal_text(&reply).0),
        }),
        400.. if !is_foreign(call, &reply) => {
            let (reason, errors) = refusal_text(&reply);
            let (method, path) = (call.method, call.path().to_owned());
            Err(Error::Refused {
                method,
                path,
                status: reply.status,
                reason,
                errors,
            })
        }
        status => {
            let what = format!("HTTP status {status} {}", reply.phrase);
            Err(not_understood(call, endpoint, what, Certainty::Unknown))
        }
    }
}

/// Parses the value of `data`. Invalid JSON is repaired as far as possible.
pub(crate) fn data<T: DeserializeOwned>(
    call: &Call,
    endpoint: &Endpoint,
    body: &Bytes,
) -> Result<T, Error> {
    #[derive(Deserialize)]
    struct Envelope<T> {
        data: T,
    }
    let parsed: Result<Envelope<T>, _> = serde_json::from_slice(body);
    let parsed = parsed.or_else(|error| {
        tracing::debug!(%call, %error, "the answer is not the expected JSON; trying to repair it");
        serde_json::from_str(&repair(body)).map_err(|_| error)
    });
    parsed.map(|envelope| envelope.data).map_err(|error| {
        let what = format!("the answer is not the expected JSON ({})", flaw(&error));
        not_understood(call, endpoint, what, Certainty::Unknown)
    })
}

/// What is wrong with JSON, without the names of our types.
pub(crate) fn flaw(error: &serde_json::Error) -> String {
    match error.classify() {
        Category::Eof => "it ends too early".to_owned(),
        Category::Data => "it has other members than expected".to_owned(),
        Category::Syntax | Category::Io => {
            let (line, column) = (error.line(), error.column());
            format!("it is broken at line {line}, column {column}")
        }
    }
}

/// The error for a list that cannot be trusted.
pub(crate) fn not_listed(
    call: &Call,
    endpoint: Endpoint,
    subject: &'static str,
    what: String,
) -> Error {
    Error::NotListed {
        subject,
        path: call.path().to_owned(),
        endpoint,
        what,
    }
}

pub(crate) fn not_understood(
    call: &Call,
    endpoint: &Endpoint,
    what: String,
    certainty: Certainty,
) -> Error {
    let (method, path) = (call.method, call.path().to_owned());
    Error::NotUnderstood {
        method,
        path,
        endpoint: endpoint.clone(),
        what,
        certainty,
    }
}

/// Why a refusal cannot be PVE's: PVE never sends `WWW-Authenticate`, and no HTML page below `/api2/json`.
/// A proxy does not pass on requests that it refuses with one of these statuses.
fn proxy_evidence(reply: &Reply) -> Option<&'static str> {
    if !matches!(reply.status, 401 | 403 | 405 | 413) {
        return None;
    }
    if reply.asks_for_login {
        return Some("and asks for a login of its own");
    }
    is_page(reply).then_some("with a page in HTML")
}

/// Whether the body is HTML, by its type or by how it begins.
fn is_page(reply: &Reply) -> bool {
    let begins_with = |tag: &[u8]| {
        let start = reply.body.trim_ascii_start().get(..tag.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(tag))
    };
    reply.media_type == "text/html" || begins_with(b"<!doctype html") || begins_with(b"<html")
}

/// Below `/api2/json` PVE never answers an error with a page, and it always knows `/version`.
fn is_foreign(call: &Call, reply: &Reply) -> bool {
    let unknown_version =
        call.method == Method::Get && call.path() == "/version" && reply.status == 404;
    unknown_version || (is_page(reply) && !matches!(reply.status, 429 | 503))
}

/// PVE's words and its complaints about parameters.
fn refusal_text(reply: &Reply) -> (String, BTreeMap<String, String>) {
    #[derive(Default, Deserialize)]
    struct Body {
        #[serde(default, deserialize_with = "crate::types::loose::text")]
        message: Option<String>,
        #[serde(default)]
        errors: Option<Box<RawValue>>,
    }
    let body: Body = serde_json::from_slice(&reply.body).unwrap_or_default();
    let message = body
        .message
        .as_deref()
        .map(str::trim_end)
        .filter(|message| !message.is_empty());
    let phrase = Some(reply.phrase.trim()).filter(|phrase| !phrase.is_empty());
    let reason = message.or(phrase).unwrap_or(match reply.status {
        595 => "the node does not accept connections",
        596..600 => "the node gave no answer",
        _ => "no reason was given",
    });
    let errors = body
        .errors
        .map(|raw| parameter_errors(raw.get()))
        .unwrap_or_default();
    (reason.to_owned(), errors)
}

/// A map from parameter to text; anything else is shown as it is rather than lost.
fn parameter_errors(json: &str) -> BTreeMap<String, String> {
    serde_json::from_str::<BTreeMap<String, String>>(json).map_or_else(
        |_| BTreeMap::from([("errors".to_owned(), json.to_owned())]),
        |errors| {
            errors
                .into_iter()
                .map(|(name, text)| (name, text.trim_end().to_owned()))
                .collect()
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u16, phrase: &str, media_type: &str, body: &str) -> Reply {
        Reply {
            status,
            phrase: phrase.to_owned(),
            media_type: media_type.to_owned(),
            asks_for_login: false,
            body: Bytes::copy_from_slice(body.as_bytes()),
            date: None,
        }
    }

    fn failure(reply: Reply) -> Error {
        let call = Call::new(Method::Post, &["nodes", "pve1", "qemu", "100", "snapshot"]);
        let endpoint = Endpoint {
            host: "pve1".into(),
            port: 8006,
        };
        check(&call, &endpoint, reply).err().expect("an error")
    }

    fn check_text(reply: Reply, expected: &str) {
        assert_eq!(failure(reply).reason(), Some(expected));
    }

    #[test]
    fn the_text_is_found_wherever_the_version_puts_it() {
        let json = "application/json";
        let old = reply(500, "VM is locked (backup)", json, r#"{"data":null}"#);
        check_text(old, "VM is locked (backup)");
        let new = reply(
            500,
            "first line",
            json,
            r#"{"data":null,"message":"first line\nsecond\n"}"#,
        );
        check_text(new, "first line\nsecond");
        check_text(reply(500, "", json, r#"{"message":"Größe"}"#), "Größe");
        check_text(
            reply(501, "no such method", "", "no such method"),
            "no such method",
        );
        check_text(
            reply(595, "", "", ""),
            "the node does not accept connections",
        );
        check_text(reply(500, "", "", "{"), "no reason was given");
    }

    #[test]
    fn parameter_errors_are_kept() {
        let body = r#"{"data":null,"message":"Parameter verification failed.\n","errors":{"snapname":"invalid\n"}}"#;
        let error = failure(reply(
            400,
            "Parameter verification failed.",
            "application/json",
            body,
        ));
        let Error::Refused { errors, .. } = error else {
            panic!("{error:?}")
        };
        assert_eq!(errors["snapname"], "invalid");
        let odd = failure(reply(400, "x", "application/json", r#"{"errors":["a"]}"#));
        assert!(odd.to_string().contains(r#"["a"]"#), "{odd}");
    }

    #[test]
    fn an_answer_lost_by_a_proxy_leaves_open_what_happened() {
        for status in [502, 504, 596, 597, 598, 599] {
            let error = failure(reply(status, "Connection timed out", "", ""));
            assert_eq!(
                (error.certainty(), error.status()),
                (Certainty::Unknown, Some(status))
            );
        }
        let unreachable = failure(reply(595, "No route to host", "", ""));
        assert_eq!(unreachable.certainty(), Certainty::Refused);
        assert!(unreachable.is_transient());
    }

    #[test]
    fn pages_and_redirects_are_not_understood() {
        for (status, media_type) in [(404, "text/html"), (500, "text/html"), (302, ""), (100, "")] {
            let error = failure(reply(status, "x", media_type, "<html>"));
            assert!(
                matches!(error, Error::NotUnderstood { .. }),
                "{status}: {error:?}"
            );
        }
        let busy = failure(reply(503, "Service Unavailable", "text/html", "<html>"));
        assert!(matches!(busy, Error::Refused { .. }), "{busy:?}");
    }

    #[test]
    fn a_refusal_that_is_no_pves_was_not_passed_on() {
        for status in [401, 403, 405, 413] {
            for (media_type, body) in [("text/html", ""), ("", " <!DOCTYPE html>"), ("", "<HTML>")]
            {
                let error = failure(reply(status, "No", media_type, body));
                assert!(matches!(error, Error::Intercepted { .. }), "{error:?}");
                assert_eq!(
                    (error.certainty(), error.status()),
                    (Certainty::Refused, None)
                );
            }
            let asking = Reply {
                asks_for_login: true,
                ..reply(status, "Authorization Required", "", "")
            };
            assert!(
                failure(asking)
                    .to_string()
                    .contains("asks for a login of its own")
            );
            let own = failure(reply(status, "permission denied", "", ""));
            assert!(matches!(own, Error::Refused { .. }), "{own:?}");
        }
    }

    #[test]
    fn data_is_taken_out_of_its_envelope() {
        let call = Call::new(Method::Get, &["version"]);
        let endpoint = Endpoint {
            host: "pve1".into(),
            port: 8006,
        };
        let read = |body: &'static str| {
            data::<Option<u32>>(&call, &endpoint, &Bytes::from_static(body.as_bytes()))
        };
        assert_eq!(read(r#"{"total":1,"data":5}"#).unwrap(), Some(5));
        assert_eq!(read(r#"{"data":null}"#).unwrap(), None);
        for garbage in ["", "<html>", "{\"data\":[}", "[]", r#"{"data":"x"}"#] {
            let error = read(garbage).unwrap_err();
            assert!(
                matches!(error, Error::NotUnderstood { .. }),
                "{garbage}: {error:?}"
            );
        }
    }
}
