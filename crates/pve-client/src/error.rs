// SPDX-License-Identifier: GPL-3.0-only
//! Errors, distinguished by what a caller may do next.
//!
//! [`Error::certainty`] returns whether PVE may have carried out the request. Only a
//! request that was certainly not sent may be sent again without checking its effect first.

use std::collections::BTreeMap;
use std::fmt;

use crate::cluster_identity::OtherCluster;
use crate::connect_failure::FailedAttempt;
use crate::endpoint::Endpoint;
use crate::fingerprint::Fingerprint;

/// The HTTP method of a request. All methods but [`Method::Get`] change something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// Reads; may be repeated without harm.
    Get,
    /// Creates.
    Post,
    /// Changes.
    Put,
    /// Removes.
    Delete,
}

impl fmt::Display for Method {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        })
    }
}

/// What is known about the effect of a request that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Certainty {
    /// It was not written to a connection: it has no effect and may be sent again.
    NotSent,
    /// PVE received and refused it: it has no effect.
    Refused,
    /// It may have been carried out: check the effect before sending anything again.
    Unknown,
}

/// A request that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No host could be reached; the request did not leave this machine.
    #[error("cannot connect to {}{}", attempts_text(.attempts), unsent_text(*.method))]
    NotSent {
        /// The request's method.
        method: Method,
        /// The API path, such as `/nodes/pve1/qemu/100/snapshot`.
        path: String,
        /// The hosts tried in the last round, with the failure of each.
        attempts: Vec<FailedAttempt>,
    },
    /// The request was written, but there is no complete reply; PVE may have carried it out.
    #[error("no complete reply from {endpoint} to {method} {path}: {reason}{}", unknown_effect_text(*.method))]
    MaybeProcessed {
        /// The request's method.
        method: Method,
        /// The API path.
        path: String,
        /// The host to which it was written.
        endpoint: Endpoint,
        /// 596 to 599, 502 or 504 if a proxy in between lost the reply.
        status: Option<u16>,
        /// Why there is no complete reply.
        reason: String,
    },
    /// PVE replied with an error.
    #[error("{reason}{} ({status} from {method} {path})", parameter_text(.errors))]
    Refused {
        /// The request's method.
        method: Method,
        /// The API path.
        path: String,
        /// The HTTP status; PVE also uses 595 to 599.
        status: u16,
        /// PVE's error text, without a trailing newline.
        reason: String,
        /// For status 400: PVE's error text for each invalid parameter.
        errors: BTreeMap<String, String>,
    },
    /// The host replied, but not as PVE does.
    #[error("{endpoint} does not reply like a Proxmox VE host ({method} {path}): {problem}")]
    UnexpectedReply {
        /// The request's method.
        method: Method,
        /// The API path.
        path: String,
        /// The host.
        endpoint: Endpoint,
        /// What is wrong with the reply.
        problem: String,
        /// [`Certainty::NotSent`] if it was noticed before the request was written.
        certainty: Certainty,
    },
    /// A reverse proxy or another server before PVE refused the request and did not forward it.
    #[error("a reverse proxy, not Proxmox VE, refused {method} {path}: {endpoint} replied {reply}")]
    Intercepted {
        /// The request's method.
        method: Method,
        /// The API path.
        path: String,
        /// The host.
        endpoint: Endpoint,
        /// Status and text of the reply, and why it cannot come from PVE.
        reply: String,
    },
    /// A list in a reply is incomplete or has an entry that cannot be read, so it does not prove that
    /// something exists or is missing.
    #[error("{subject} could not be listed: {problem} ({path} from {endpoint})")]
    InvalidListing {
        /// What the list contains, such as `the snapshots`.
        subject: &'static str,
        /// The API path.
        path: String,
        /// The host.
        endpoint: Endpoint,
        /// What is wrong with the list.
        problem: String,
    },
    /// PVE rejects the login.
    #[error("login failed for '{identity}' on {endpoint}: {problem}")]
    Authentication {
        /// The host.
        endpoint: Endpoint,
        /// The user or token ID, without its secret.
        identity: String,
        /// What is wrong.
        problem: AuthenticationProblem,
    },
    /// The host's certificate is not trusted; nothing was sent.
    #[error("the certificate of {endpoint} is not trusted: {reason}")]
    Certificate {
        /// The host.
        endpoint: Endpoint,
        /// Why the certificate is not trusted.
        reason: String,
        /// The fingerprint of the host's certificate.
        fingerprint: Option<Fingerprint>,
    },
    /// The host has no TLS version, cipher or key that is supported; nothing was sent.
    #[error("no TLS connection to {endpoint}: {reason}")]
    UnsupportedTls {
        /// The host.
        endpoint: Endpoint,
        /// What the host has, what is supported, and what to do.
        reason: String,
    },
    /// The only host that can be reached belongs to another cluster than the first host; nothing was
    /// sent to it.
    #[error("{other}{}", attempts_suffix(.attempts))]
    OtherCluster {
        /// The two hosts and their clusters.
        other: Box<OtherCluster>,
        /// The hosts that could not be reached.
        attempts: Vec<FailedAttempt>,
    },
    /// The options of the client are invalid.
    #[error("{0}")]
    Configuration(String),
}

/// Why a login failed. PVE does not distinguish a wrong password from an unknown, disabled or expired
/// user (`auth.ticket.json` of the recordings).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum AuthenticationProblem {
    /// `POST /access/ticket` got a 401.
    #[error(
        "wrong user, realm or password, or the user is disabled or expired; check them under Datacenter > Permissions > Users"
    )]
    WrongUserOrPassword,
    /// A request with an API token got a 401.
    #[error(
        "the API token is unknown, expired, or its secret is wrong; check it under Datacenter > Permissions > API Tokens"
    )]
    TokenRefused,
    /// The user has a second factor, which a program cannot provide.
    #[error("the user needs a second factor; create an API token for it")]
    NeedsSecondFactor,
    /// PVE received neither ticket nor token: a proxy dropped the header.
    #[error(
        "the server received neither ticket nor token; a proxy may drop the Authorization header or the cookie"
    )]
    NoTicket,
    /// A new ticket was rejected: the clocks of the cluster's nodes differ too much.
    #[error("a new ticket was rejected; check that the clocks of all nodes agree")]
    TicketRefused,
}

/// A privilege that the login lacks, from PVE's text `Permission check failed (/vms/100, VM.Snapshot)`
/// (`PVE/RPCEnvironment.pm`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MissingPrivilege {
    /// The path in the access control list, such as `/vms/100`.
    pub path: String,
    /// The privilege, such as `VM.Snapshot`; alternatives as PVE writes them (`A|B`).
    pub privilege: String,
}

impl Error {
    /// What is known about the effect of the request.
    pub const fn certainty(&self) -> Certainty {
        match self {
            Self::NotSent { .. }
            | Self::Certificate { .. }
            | Self::UnsupportedTls { .. }
            | Self::OtherCluster { .. }
            | Self::Configuration(_) => Certainty::NotSent,
            Self::MaybeProcessed { .. } => Certainty::Unknown,
            // PVE checks the login before anything else. Only reads return lists.
            Self::Refused { .. }
            | Self::Authentication { .. }
            | Self::Intercepted { .. }
            | Self::InvalidListing { .. } => Certainty::Refused,
            Self::UnexpectedReply { certainty, .. } => *certainty,
        }
    }

    /// The HTTP status of the reply, if PVE or a proxy replied.
    pub const fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            Self::MaybeProcessed { status, .. } => *status,
            Self::NotSent { .. }
            | Self::UnexpectedReply { .. }
            | Self::Intercepted { .. }
            | Self::InvalidListing { .. }
            | Self::Authentication { .. }
            | Self::Certificate { .. }
            | Self::UnsupportedTls { .. }
            | Self::OtherCluster { .. }
            | Self::Configuration(_) => None,
        }
    }

    /// PVE's error text, if PVE refused the request.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Refused { reason, .. } => Some(reason),
            Self::NotSent { .. }
            | Self::MaybeProcessed { .. }
            | Self::UnexpectedReply { .. }
            | Self::Intercepted { .. }
            | Self::InvalidListing { .. }
            | Self::Authentication { .. }
            | Self::Certificate { .. }
            | Self::UnsupportedTls { .. }
            | Self::OtherCluster { .. }
            | Self::Configuration(_) => None,
        }
    }

    /// The missing privilege, if that is why PVE refused the request.
    pub fn missing_privilege(&self) -> Option<MissingPrivilege> {
        let inside = self
            .reason()?
            .split_once("Permission check failed (")?
            .1
            .rsplit_once(')')?
            .0;
        let (path, privilege) = inside.split_once(", ")?;
        Some(MissingPrivilege {
            path: path.to_owned(),
            privilege: privilege.to_owned(),
        })
    }

    /// Whether PVE could not start the worker process of a task: the request had no effect and may be sent
    /// again.
    ///
    /// Under load it happens about twice in a thousand writes (`PVE/RESTEnvironment.pm`, `fork_worker`).
    pub fn is_worker_start_failure(&self) -> bool {
        self.status() == Some(500)
            && self.reason().is_some_and(|reason| {
                [
                    "got no worker upid - start worker failed",
                    "starting worker failed: ",
                ]
                .iter()
                .any(|text| reason.starts_with(text))
            })
    }

    /// Whether the same request may succeed a little later: no host was reachable, a reply was lost,
    /// another node did not accept a connection (595), or the server is busy (503, 429).
    ///
    /// Whether it is safe to send the request again is a different question: see [`Self::certainty`].
    pub fn is_transient(&self) -> bool {
        match self {
            Self::NotSent { .. } | Self::MaybeProcessed { .. } => true,
            Self::Refused { status, .. } => {
                matches!(status, 429 | 503 | 595) || self.is_worker_start_failure()
            }
            Self::UnexpectedReply { .. }
            | Self::Intercepted { .. }
            | Self::InvalidListing { .. }
            | Self::Authentication { .. }
            | Self::Certificate { .. }
            | Self::UnsupportedTls { .. }
            | Self::OtherCluster { .. }
            | Self::Configuration(_) => false,
        }
    }

    /// Whether PVE refused a read for a transient reason: another process held a lock, or a daemon was
    /// busy or restarted (500 `got timeout`).
    ///
    /// Texts that describe a state, such as `does not exist`, are not transient.
    pub fn is_transient_read_error(&self) -> bool {
        const FINAL: [&str; 7] = [
            "does not exist",
            "no such",
            "not found",
            "permission",
            "is locked",
            "not implemented",
            "unable to parse",
        ];
        let Self::Refused {
            method: Method::Get,
            status: 500,
            reason,
            ..
        } = self
        else {
            return false;
        };
        let reason = reason.to_lowercase();
        !FINAL.iter().any(|text| reason.contains(text))
    }

    /// Whether the guest's configuration file is missing on the node: the guest was removed or migrated
    /// (500 `Configuration file 'nodes/pve1/qemu-server/999.conf' does not exist`).
    pub fn is_guest_missing(&self) -> bool {
        self.reason().is_some_and(is_guest_missing_text)
    }
}

/// Whether the error text of a reply or a task means that the guest's configuration file is missing on
/// the node.
///
/// Every operation begins with reading this file (`load_config` in `PVE/AbstractConfig.pm`), so the
/// operation had no effect.
pub fn is_guest_missing_text(text: &str) -> bool {
    text.starts_with("Configuration file 'nodes/") && text.trim_end().ends_with("does not exist")
}

/// The failure of each host.
fn attempts_text(attempts: &[FailedAttempt]) -> String {
    if attempts.is_empty() {
        return "any host: no host is known".to_owned();
    }
    let each: Vec<String> = attempts.iter().map(ToString::to_string).collect();
    each.join("; ")
}

/// The failure of each host, to be appended to another text; empty if there are none.
fn attempts_suffix(attempts: &[FailedAttempt]) -> String {
    if attempts.is_empty() {
        return String::new();
    }
    format!("; {}", attempts_text(attempts))
}

/// A suffix for requests that change something and were not sent.
const fn unsent_text(method: Method) -> &'static str {
    match method {
        Method::Get => "",
        Method::Post | Method::Put | Method::Delete => "; the request was not sent",
    }
}

/// A suffix for requests that change something and may have been carried out.
const fn unknown_effect_text(method: Method) -> &'static str {
    match method {
        Method::Get => "",
        Method::Post | Method::Put | Method::Delete => "; it may have been carried out",
    }
}

/// The parameter errors of a 400, to be appended to the reason.
fn parameter_text(errors: &BTreeMap<String, String>) -> String {
    let mut text = String::new();
    for (name, error) in errors {
        text.push_str("; ");
        text.push_str(name);
        text.push_str(": ");
        text.push_str(error.trim_end());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, reason: &str) -> Error {
        Error::Refused {
            method: Method::Post,
            path: "/nodes/pve1/qemu/100/snapshot".into(),
            status,
            reason: reason.into(),
            errors: BTreeMap::new(),
        }
    }

    #[test]
    fn the_missing_privilege_is_parsed() {
        for (text, path, privilege) in [
            (
                "Permission check failed (/vms/100, VM.Snapshot)",
                "/vms/100",
                "VM.Snapshot",
            ),
            ("Permission check failed (/, Sys.Audit)", "/", "Sys.Audit"),
            (
                "Permission check failed (/vms/7, VM.Snapshot|VM.Snapshot.Rollback)",
                "/vms/7",
                "VM.Snapshot|VM.Snapshot.Rollback",
            ),
        ] {
            let found = refused(403, text).missing_privilege().unwrap();
            assert_eq!(
                (found.path.as_str(), found.privilege.as_str()),
                (path, privilege)
            );
        }
        assert_eq!(
            refused(403, "Permission check failed").missing_privilege(),
            None
        );
        assert_eq!(
            refused(500, "VM is locked (backup)").missing_privilege(),
            None
        );
    }

    #[test]
    fn a_worker_start_failure_is_recognized() {
        assert!(refused(500, "got no worker upid - start worker failed").is_worker_start_failure());
        assert!(refused(500, "starting worker failed: Broken pipe").is_worker_start_failure());
        assert!(!refused(500, "VM is locked (backup)").is_worker_start_failure());
        assert!(!refused(400, "starting worker failed: x").is_worker_start_failure());
    }

    #[test]
    fn a_missing_guest_is_distinguished_from_other_errors() {
        let text = "Configuration file 'nodes/pve1/qemu-server/999.conf' does not exist";
        assert!(refused(500, text).is_guest_missing());
        assert!(!refused(500, "snapshot 'x' does not exist").is_guest_missing());
    }

    #[test]
    fn messages_contain_the_text_of_pve_and_the_request() {
        let mut errors = BTreeMap::new();
        errors.insert("snapname".to_owned(), "invalid format\n".to_owned());
        let error = Error::Refused {
            method: Method::Post,
            path: "/nodes/pve1/qemu/100/snapshot".into(),
            status: 400,
            reason: "Parameter verification failed.".into(),
            errors,
        };
        assert_eq!(
            error.to_string(),
            "Parameter verification failed.; snapname: invalid format (400 from POST /nodes/pve1/qemu/100/snapshot)"
        );
        assert_eq!(error.certainty(), Certainty::Refused);
        assert!(!error.is_transient());
    }
}
