// SPDX-License-Identifier: GPL-3.0-only
//! A request to the API before it is sent: method, path, parameters.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::SecretString;

use crate::error::Method;

/// The characters that are not encoded in a path segment: RFC 3986 allows them, and PVE accepts the
/// colons of a UPID in both forms.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b':')
    .remove(b'@')
    .remove(b'!');

/// How many bytes the body of a reply may have. It limits the memory that a server which is not PVE can
/// consume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BodyLimit(pub(crate) usize);

impl BodyLimit {
    /// The limit for one object: a version, a ticket, a UPID, the status of a task or guest.
    pub(crate) const SINGLE: Self = Self(64 * 1024);
    /// The limit for the task list of a node.
    pub(crate) const TASKS: Self = Self(4 * 1024 * 1024);
    /// The limit for lists of one guest, node or login: configuration, snapshots, storages, privileges.
    pub(crate) const LIST: Self = Self(8 * 1024 * 1024);
    /// The limit for all resources of a cluster.
    pub(crate) const RESOURCES: Self = Self(256 * 1024 * 1024);
}

impl fmt::Display for BodyLimit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 / 1024 {
            kibibytes if kibibytes < 1024 => write!(formatter, "{kibibytes} KiB"),
            kibibytes => write!(formatter, "{} MiB", kibibytes / 1024),
        }
    }
}

/// A request, independent of the host and of the login.
pub(crate) struct ApiRequest {
    pub(crate) method: Method,
    path: String,
    parameters: Vec<(&'static str, String)>,
    retryable: bool,
    limit: BodyLimit,
}

impl ApiRequest {
    /// Creates a request without parameters. The segments are encoded, so that text from outside cannot
    /// change the path.
    pub(crate) fn new(method: Method, segments: &[&str]) -> Self {
        let mut path = String::new();
        for segment in segments {
            path.push('/');
            // Some proxies resolve a segment of dots as a relative path.
            let text = utf8_percent_encode(segment, SEGMENT).to_string();
            let dots = matches!(text.as_str(), "." | "..");
            path.push_str(&if dots { text.replace('.', "%2E") } else { text });
        }
        Self {
            method,
            path,
            parameters: Vec::new(),
            retryable: method == Method::Get,
            limit: match method {
                Method::Get => BodyLimit::LIST,
                Method::Post | Method::Put | Method::Delete => BodyLimit::SINGLE,
            },
        }
    }

    /// Adds a parameter.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.parameters.push((name, value.into()));
        self
    }

    /// Adds a parameter if there is a value.
    pub(crate) fn with_some(self, name: &'static str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.with(name, value.to_string()),
            None => self,
        }
    }

    /// Declares that sending the request twice does no harm, although it is not a GET.
    pub(crate) fn retryable(mut self) -> Self {
        self.retryable = true;
        self
    }

    /// Sets how large the reply may be; by default [`BodyLimit::LIST`] for reads and
    /// [`BodyLimit::SINGLE`] for all others.
    pub(crate) fn at_most(mut self, limit: BodyLimit) -> Self {
        self.limit = limit;
        self
    }

    /// How large the reply may be.
    pub(crate) const fn limit(&self) -> BodyLimit {
        self.limit
    }

    /// Whether it may be sent again after it may have been processed.
    pub(crate) const fn is_retryable(&self) -> bool {
        self.retryable
    }

    /// Whether it concerns no cluster: the login and the version.
    pub(crate) fn is_cluster_independent(&self) -> bool {
        matches!(self.path.as_str(), "/access/ticket" | "/version")
    }

    /// Whether its reply names the nodes of the cluster.
    pub(crate) fn lists_cluster_nodes(&self) -> bool {
        let paths = ["/nodes", "/cluster/resources", "/cluster/status"];
        self.method == Method::Get && paths.contains(&self.path.as_str())
    }

    /// The path below `/api2/json`.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Path and query for the request line. For PVE, GET and DELETE must not have a body (501 `Unexpected
    /// content for method 'DELETE'`), so their parameters are in the query.
    pub(crate) fn target(&self) -> String {
        let query = match self.method {
            Method::Get | Method::Delete => self.encoded(),
            Method::Post | Method::Put => String::new(),
        };
        let separator = if query.is_empty() { "" } else { "?" };
        format!("/api2/json{}{separator}{query}", self.path)
    }

    /// The form of a POST or PUT, possibly empty; `None` for other methods.
    pub(crate) fn form(&self) -> Option<String> {
        match self.method {
            Method::Get | Method::Delete => None,
            Method::Post | Method::Put => Some(self.encoded()),
        }
    }

    /// The parameter `password`: the password, or the ticket that a renewal sends in its place.
    pub(crate) fn password(&self) -> Option<SecretString> {
        let mut parameters = self.parameters.iter();
        let password = parameters.find(|(name, _)| *name == "password");
        password.map(|(_, value)| value.as_str().into())
    }

    fn encoded(&self) -> String {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(&self.parameters).finish()
    }
}

impl fmt::Display for ApiRequest {
    /// Prints method and path; parameters are left out because one may be a password.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.method, self.path)
    }
}

impl fmt::Debug for ApiRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_sent_where_pve_reads_them() {
        let delete = ApiRequest::new(Method::Delete, &["nodes", "pve1", "snapshot", "a b"])
            .with("force", "1");
        assert_eq!(
            delete.target(),
            "/api2/json/nodes/pve1/snapshot/a%20b?force=1"
        );
        assert_eq!(delete.form(), None);
        let post = ApiRequest::new(Method::Post, &["x"]).with("description", "two\nlines ä 100%");
        assert_eq!(post.target(), "/api2/json/x");
        assert_eq!(
            post.form().unwrap(),
            "description=two%0Alines+%C3%A4+100%25"
        );
    }

    #[test]
    fn parameters_are_not_printed() {
        let request =
            ApiRequest::new(Method::Post, &["access", "ticket"]).with("password", "hunter2");
        assert_eq!(
            format!("{request} {request:?}"),
            "POST /access/ticket POST /access/ticket"
        );
    }

    #[test]
    fn text_from_outside_stays_in_its_segment() {
        let request = ApiRequest::new(
            Method::Get,
            &["nodes", "../access?x#y", "..", "UPID:n:1:a@pve!t:"],
        );
        assert_eq!(
            request.path(),
            "/nodes/..%2Faccess%3Fx%23y/%2E%2E/UPID:n:1:a@pve!t:"
        );
    }
}
