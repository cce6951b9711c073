// SPDX-License-Identifier: GPL-3.0-only
//! Responses as written by pveproxy (`response` in `PVE/APIServer/AnyEvent.pm`): the order and
//! number of headers, and no length without content.

use std::time::SystemTime;

use serde_json::{Value, json};

use crate::api::{Failure, Reply, Via};

/// The output format of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// `/api2/json`.
    Json,
    /// `/api2/extjs`: always status 200.
    ExtJs,
    /// `/api2/html`: for browsers.
    Html,
}

/// A response, without the values that depend on the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) reason: String,
    pub(crate) media: Option<&'static str>,
    pub(crate) body: Vec<u8>,
    pub(crate) location: Option<Box<str>>,
    /// The file name for browsers.
    pub(crate) file: Option<Box<str>>,
    pub(crate) via: Via,
    /// The path's template, if PVE has the path but the simulator does not.
    pub(crate) in_pve: Option<&'static str>,
}

const JSON: &str = "application/json;charset=UTF-8";

impl Response {
    /// A response with this body, which may be empty.
    pub(crate) fn plain(status: u16, reason: impl Into<String>, body: impl Into<Vec<u8>>) -> Self {
        let reason: String = reason.into();
        Self {
            status,
            reason: reason.lines().next().unwrap_or_default().to_owned(),
            media: None,
            body: body.into(),
            location: None,
            file: None,
            in_pve: None,
            via: Via::Proxy,
        }
    }

    /// An error of the HTTP server: reason and body are the same.
    pub(super) fn error(status: u16, text: &str) -> Self {
        Self::plain(status, text, text)
    }

    /// A page in place of PVE's web interface, for load balancers and monitoring.
    pub(super) fn web_interface() -> Self {
        let page = "<!DOCTYPE html>\n<html lang=\"en\">\n<head><title>pve - Proxmox Virtual Environment</title></head>\n<body>This is a simulation: there is no web interface.</body>\n</html>\n";
        Self {
            media: Some("text/html; charset=utf-8"),
            ..Self::plain(200, "OK", page)
        }
    }

    /// A JSON response.
    pub(crate) fn json(status: u16, reason: &str, value: &Value) -> Self {
        Self {
            media: Some(JSON),
            ..Self::plain(status, reason, value.to_string())
        }
    }

    /// The response for a method's result.
    pub(super) fn reply(reply: &Reply, via: Via, format: Format) -> Self {
        if let Some(name) = &reply.file {
            return Self {
                media: Some("text/plain"),
                file: Some(name.as_str().into()),
                via,
                ..Self::plain(200, "OK", reply.json.as_str())
            };
        }
        let total = reply
            .total
            .map_or(String::new(), |total| format!(",\"total\":{total}"));
        let data = &reply.json;
        let (media, body) = match format {
            Format::Json => (JSON, format!("{{\"data\":{data}{total}}}")),
            Format::ExtJs => (JSON, format!("{{\"success\":1,\"data\":{data}{total}}}")),
            Format::Html => ("text/html;charset=UTF-8", page(data)),
        };
        Self {
            media: Some(media),
            via,
            ..Self::plain(200, "OK", body)
        }
    }

    /// The response for a method's error. [`Failure::NotBefore`] never gets here.
    pub(super) fn failure(failure: &Failure, via: Via, format: Format) -> Self {
        let (status, text, ending) = match failure {
            Failure::Died(text) => (500, text.as_str(), "\n"),
            Failure::Parameters(_) => (400, "Parameter verification failed.", "\n"),
            Failure::Forbidden(text) => (403, text.as_str(), "\n"),
            Failure::Unauthorized(text) => (401, text.as_str(), "\n"),
            Failure::NotImplemented { text, .. } => (501, text.as_str(), ""),
            Failure::Unreachable { reason, .. } => return Self::plain(595, reason, ""),
            Failure::NotBefore(_) => (500, "the call must be repeated", ""),
        };
        let mut body = json!({ "data": null, "message": format!("{text}{ending}") });
        if let Failure::Parameters(errors) = failure {
            body["errors"] = json!(errors);
        }
        if format == Format::ExtJs {
            body["success"] = json!(0);
            body["status"] = json!(status);
        }
        let sent_status = if format == Format::ExtJs { 200 } else { status };
        let in_pve = if let Failure::NotImplemented { in_pve, .. } = failure {
            *in_pve
        } else {
            None
        };
        Self {
            via,
            in_pve,
            ..Self::json(sent_status, text, &body)
        }
    }

    /// Serializes the response, dated by the node's clock.
    pub(super) fn bytes(
        &self,
        minor: u32,
        keep_alive: bool,
        gzip: bool,
        date: SystemTime,
    ) -> Vec<u8> {
        let compressed = (gzip && self.body.len() > 1024).then(|| compress(&self.body));
        let body = compressed.as_ref().unwrap_or(&self.body);
        let now = httpdate::fmt_http_date(date);
        let mut head = format!("HTTP/1.{minor} {} {}\r\n", self.status, self.reason);
        let mut line = |name: &str, value: &str| {
            head.push_str(name);
            head.push_str(": ");
            head.push_str(value);
            head.push_str("\r\n");
        };
        line("Cache-Control", "max-age=0");
        for value in connection_headers(self.via, keep_alive) {
            line("Connection", value);
        }
        line("Date", &now);
        line("Pragma", "no-cache");
        if let Some(location) = &self.location {
            line("Location", location);
        }
        line("Server", "pve-api-daemon/3.0");
        if compressed.is_some() {
            line("Content-Encoding", "gzip");
        }
        if !body.is_empty() {
            line("Content-Length", &body.len().to_string());
        }
        if let Some(name) = &self.file {
            line(
                "Content-Disposition",
                &format!("attachment; filename=\"{name}\""),
            );
        }
        if let Some(media) = self.media {
            line("Content-Type", media);
        }
        line("Expires", &now);
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(body);
        bytes
    }
}

/// pveproxy forwards the daemon's header and adds its own.
fn connection_headers(via: Via, keep_alive: bool) -> &'static [&'static str] {
    match (keep_alive, via) {
        (false, _) => &["close"],
        (true, Via::Proxy) => &["Keep-Alive"],
        (true, Via::Daemon) => &["close", "Keep-Alive"],
        (true, Via::OtherNode) => &["Keep-Alive", "Keep-Alive"],
    }
}

fn compress(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let written = std::io::Write::write_all(&mut encoder, body);
    written
        .and_then(|()| encoder.finish())
        .expect("writing to memory does not fail")
}

fn page(data: &str) -> String {
    let escaped = data.replace('&', "&amp;").replace('<', "&lt;");
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head><title>Proxmox VE API</title></head>\n<body><pre>{escaped}</pre></body>\n</html>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serialize(response: &Response, keep_alive: bool) -> String {
        String::from_utf8(response.bytes(1, keep_alive, false, SystemTime::now())).expect("text")
    }

    #[test]
    fn responses_of_the_daemon_have_two_connection_headers() {
        let reply = Response::reply(&Reply::null(), Via::Daemon, Format::Json);
        let text = serialize(&reply, true);
        assert!(text.starts_with("HTTP/1.1 200 OK\r\n"));
        assert!(text.contains("Connection: close\r\nConnection: Keep-Alive\r\n"));
        assert!(text.ends_with("\r\n\r\n{\"data\":null}"));
        assert_eq!(serialize(&reply, false).matches("Connection:").count(), 1);
    }

    #[test]
    fn an_empty_response_has_no_length() {
        let text = serialize(&Response::plain(401, "No ticket", ""), false);
        assert!(!text.contains("Content-Length") && !text.contains("Content-Type"));
    }

    #[test]
    fn errors_repeat_their_text_in_the_body() {
        let failure = Failure::Died("storage 'x' does not exist".to_owned());
        let response = Response::failure(&failure, Via::Proxy, Format::Json);
        assert_eq!(
            (response.status, response.reason.as_str()),
            (500, "storage 'x' does not exist")
        );
        let body: Value = serde_json::from_slice(&response.body).expect("JSON");
        assert_eq!(
            body,
            json!({"data": null, "message": "storage 'x' does not exist\n"})
        );
    }

    #[test]
    fn long_responses_are_compressed_on_request() {
        let long = Response::plain(200, "OK", "x".repeat(2000));
        let bytes = long.bytes(1, true, true, SystemTime::now());
        assert!(bytes.len() < 500 && serialize(&long, true).len() > 2000);
    }
}
