// SPDX-License-Identifier: GPL-3.0-only
//! Turns a complete HTTP reply into data or an error.
//!
//! PVE puts the first line of its error text into the reason phrase; since version 5.2.0 of its HTTP
//! server the JSON body has the whole text as `message`. Errors from before the API is reached (401,
//! 595, 501 for invalid HTTP) have an empty or plain body.

use std::collections::BTreeMap;

use hyper::body::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use serde_json::value::RawValue;

use crate::endpoint::Endpoint;
use crate::error::{Certainty, Error, Method};
use crate::raw_reply::RawReply;
use crate::request::ApiRequest;
use crate::types::repair::repair;

/// A successful reply.
pub(crate) struct Reply {
    pub(crate) body: Bytes,
    pub(crate) endpoint: Endpoint,
}

/// Returns a successful reply, or the error that the reply reports.
pub(crate) fn check(
    request: &ApiRequest,
    endpoint: &Endpoint,
    reply: RawReply,
) -> Result<Reply, Error> {
    if let Some(evidence) = proxy_evidence(&reply) {
        return Err(Error::Intercepted {
            method: request.method,
            path: request.path().to_owned(),
            endpoint: endpoint.clone(),
            reply: format!("{} {} {evidence}", reply.status, reply.phrase.trim()),
        });
    }
    match reply.status {
        200..300 => Ok(Reply {
            body: reply.body,
            endpoint: endpoint.clone(),
        }),
        // A proxy in between got no reply. AnyEvent::HTTP, which pveproxy uses, has 595 for connecting
        // and 596 to 599 for everything after it.
        502 | 504 | 596..600 => Err(Error::MaybeProcessed {
            method: request.method,
            path: request.path().to_owned(),
            endpoint: endpoint.clone(),
            status: Some(reply.status),
            reason: format!("{} {}", reply.status, refusal_text(&reply).0),
        }),
        400.. if !is_foreign(request, &reply) => {
            let (reason, errors) = refusal_text(&reply);
            let (method, path) = (request.method, request.path().to_owned());
            Err(Error::Refused {
                method,
                path,
                status: reply.status,
                reason,
                errors,
            })
        }
        status => {
            let problem = format!("HTTP status {status} {}", reply.phrase);
            Err(unexpected_reply(
                request,
                endpoint,
                problem,
                Certainty::Unknown,
            ))
        }
    }
}

/// Parses the value of `data`. Invalid JSON is repaired as far as possible.
pub(crate) fn data<T: DeserializeOwned>(
    request: &ApiRequest,
    endpoint: &Endpoint,
    body: &Bytes,
) -> Result<T, Error> {
    #[derive(Deserialize)]
    struct Envelope<T> {
        data: T,
    }
    let parsed: Result<Envelope<T>, _> = serde_json::from_slice(body);
    let parsed = parsed.or_else(|error| {
        tracing::debug!(%request, %error, "the reply is not the expected JSON; trying to repair it");
        serde_json::from_str(&repair(body)).map_err(|_| error)
    });
    parsed.map(|envelope| envelope.data).map_err(|error| {
        let problem = format!(
            "the reply is not the expected JSON ({})",
            json_problem(&error)
        );
        unexpected_reply(request, endpoint, problem, Certainty::Unknown)
    })
}

/// What is wrong with JSON, without the names of Rust types.
pub(crate) fn json_problem(error: &serde_json::Error) -> String {
    match error.classify() {
        Category::Eof => "it ends too early".to_owned(),
        Category::Data => "unexpected or missing members".to_owned(),
        Category::Syntax | Category::Io => {
            let (line, column) = (error.line(), error.column());
            format!("invalid at line {line}, column {column}")
        }
    }
}

/// The error for an invalid or incomplete list.
pub(crate) fn invalid_listing(
    request: &ApiRequest,
    endpoint: Endpoint,
    subject: &'static str,
    problem: String,
) -> Error {
    Error::InvalidListing {
        subject,
        path: request.path().to_owned(),
        endpoint,
        problem,
    }
}

/// The error for a reply that PVE would not send.
pub(crate) fn unexpected_reply(
    request: &ApiRequest,
    endpoint: &Endpoint,
    problem: String,
    certainty: Certainty,
) -> Error {
    let (method, path) = (request.method, request.path().to_owned());
    Error::UnexpectedReply {
        method,
        path,
        endpoint: endpoint.clone(),
        problem,
        certainty,
    }
}

/// Why a refusal cannot come from PVE: it never sends `WWW-Authenticate`, or an HTML page below
/// `/api2/json`. A proxy does not forward requests that it refuses with one of these statuses.
fn proxy_evidence(reply: &RawReply) -> Option<&'static str> {
    if !matches!(reply.status, 401 | 403 | 405 | 413) {
        return None;
    }
    if reply.has_login_challenge {
        return Some("and requires its own login");
    }
    is_page(reply).then_some("with an HTML page")
}

/// Whether the body is HTML, by its media type or its beginning.
fn is_page(reply: &RawReply) -> bool {
    let begins_with = |tag: &[u8]| {
        let start = reply.body.trim_ascii_start().get(..tag.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(tag))
    };
    reply.media_type == "text/html" || begins_with(b"<!doctype html") || begins_with(b"<html")
}

/// Whether the reply cannot come from PVE, which has no HTML page below `/api2/json` and always has
/// `/version`.
fn is_foreign(request: &ApiRequest, reply: &RawReply) -> bool {
    let unknown_version =
        request.method == Method::Get && request.path() == "/version" && reply.status == 404;
    unknown_version || (is_page(reply) && !matches!(reply.status, 429 | 503))
}

/// PVE's error text, and its error texts for single parameters.
fn refusal_text(reply: &RawReply) -> (String, BTreeMap<String, String>) {
    #[derive(Default, Deserialize)]
    struct Body {
        #[serde(default, deserialize_with = "crate::types::lenient::text")]
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
        596..600 => "the node does not reply",
        _ => "no reason given",
    });
    let errors = body
        .errors
        .map(|raw| parameter_errors(raw.get()))
        .unwrap_or_default();
    (reason.to_owned(), errors)
}

/// A map from parameter to text. Other JSON is kept as text under the name `errors`.
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

    fn reply(status: u16, phrase: &str, media_type: &str, body: &str) -> RawReply {
        RawReply {
            status,
            phrase: phrase.to_owned(),
            media_type: media_type.to_owned(),
            has_login_challenge: false,
            body: Bytes::copy_from_slice(body.as_bytes()),
            date: None,
        }
    }

    fn failure(reply: RawReply) -> Error {
        let request = ApiRequest::new(Method::Post, &["nodes", "pve1", "qemu", "100", "snapshot"]);
        let endpoint = Endpoint {
            host: "pve1".into(),
            port: 8006,
        };
        check(&request, &endpoint, reply).err().expect("an error")
    }

    fn check_text(reply: RawReply, expected: &str) {
        assert_eq!(failure(reply).reason(), Some(expected));
    }

    #[test]
    fn the_error_text_of_every_server_version_is_found() {
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
        check_text(reply(500, "", "", "{"), "no reason given");
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
    fn a_reply_lost_by_a_proxy_makes_the_effect_unknown() {
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
    fn pages_and_redirects_are_unexpected_replies() {
        for (status, media_type) in [(404, "text/html"), (500, "text/html"), (302, ""), (100, "")] {
            let error = failure(reply(status, "x", media_type, "<html>"));
            assert!(
                matches!(error, Error::UnexpectedReply { .. }),
                "{status}: {error:?}"
            );
        }
        let busy = failure(reply(503, "Service Unavailable", "text/html", "<html>"));
        assert!(matches!(busy, Error::Refused { .. }), "{busy:?}");
    }

    #[test]
    fn a_refusal_by_a_proxy_is_recognized() {
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
            let with_login = RawReply {
                has_login_challenge: true,
                ..reply(status, "Authorization Required", "", "")
            };
            assert!(
                failure(with_login)
                    .to_string()
                    .contains("requires its own login")
            );
            let own = failure(reply(status, "permission denied", "", ""));
            assert!(matches!(own, Error::Refused { .. }), "{own:?}");
        }
    }

    #[test]
    fn data_is_extracted_from_its_envelope() {
        let request = ApiRequest::new(Method::Get, &["version"]);
        let endpoint = Endpoint {
            host: "pve1".into(),
            port: 8006,
        };
        let read = |body: &'static str| {
            data::<Option<u32>>(&request, &endpoint, &Bytes::from_static(body.as_bytes()))
        };
        assert_eq!(read(r#"{"total":1,"data":5}"#).unwrap(), Some(5));
        assert_eq!(read(r#"{"data":null}"#).unwrap(), None);
        for garbage in ["", "<html>", "{\"data\":[}", "[]", r#"{"data":"x"}"#] {
            let error = read(garbage).unwrap_err();
            assert!(
                matches!(error, Error::UnexpectedReply { .. }),
                "{garbage}: {error:?}"
            );
        }
    }
}
