// SPDX-License-Identifier: GPL-3.0-only
//! What can go wrong between us and PVE, told apart by what a caller may do next.
//!
//! The question behind every variant is: *did PVE act?* [`Error::certainty`] answers it. Only a
//! request that provably never left may be sent again without looking first.

use std::collections::BTreeMap;
use std::fmt;

use crate::endpoint::Endpoint;
use crate::fingerprint::Fingerprint;
use crate::membership::OtherCluster;

/// How a request is sent; what is not [`Method::Get`] changes something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// Reads; may be repeated at will.
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

/// What is known about the fate of a request that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Certainty {
    /// It was never handed to a connection: nothing happened, it may be sent again.
    NotSent,
    /// PVE read it and said no: nothing was started.
    Refused,
    /// It may have been carried out: look before sending anything again.
    Unknown,
}

/// A failed call.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No host could be reached; the request did not leave this machine.
    #[error("cannot connect to {}{}", unreachable_text(.attempts), unsent_text(*.method))]
    NotSent {
        /// The request's method.
        method: Method,
        /// The API path, such as `/nodes/pve1/qemu/100/snapshot`.
        path: String,
        /// The hosts tried in the last round and what each of them did.
        attempts: Vec<(Endpoint, String)>,
    },
    /// The request was written, but no complete answer came back; PVE may have carried it out.
    #[error("no complete answer from {endpoint} to {method} {path}: {reason}{}", open_text(*.method))]
    MaybeProcessed {
        /// The request's method.
        method: Method,
        /// The API path.
        path: String,
        /// The host it was written to.
        endpoint: Endpoint,
        /// 596 to 599, 502 or 504 when a proxy in between lost the answer.
        status: Option<u16>,
        /// What was seen instead of an answer.
        reason: String,
    },
    /// PVE answered with an error.
    #[error("{reason}{} ({status} from {method} {path})", parameter_text(.errors))]
    Refused {
        /// The request's method.
        method: Method,
        /// The API path.
        path: String,
        /// The HTTP status; PVE uses 595 to 599 as well.
        status: u16,
        /// PVE's own words, without a trailing newline.
        reason: String,
        /// For 400: parameter to what is wrong with it.
        errors: BTreeMap<String, String>,
    },
    /// Something answered, but not as PVE does.
    #[error("{endpoint} does not answer as Proxmox VE does ({method} {path}): {what}")]
    NotUnderstood {
        /// The request's method.
        method: Method,
        /// The API path.
        path: String,
        /// The host asked.
        endpoint: Endpoint,
        /// What came instead.
        what: String,
        /// [`Certainty::NotSent`] when it was noticed before the request was written.
        certainty: Certainty,
    },
    /// Something in front of PVE, such as a reverse proxy, refused the request and did not pass it on.
    #[error(
        "something in front of Proxmox VE answered, not Proxmox VE: {endpoint} replied {what} to {method} {path}"
    )]
    Intercepted {
        /// The request's method.
        method: Method,
        /// The API path.
        path: String,
        /// The host asked.
        endpoint: Endpoint,
        /// Status and text of the reply, and why it cannot be PVE's.
        what: String,
    },
    /// The reply is a list that cannot be complete, or that has an unreadable entry: it proves neither
    /// that something exists nor that it does not.
    #[error("{subject} could not be listed: {what} ({path} from {endpoint})")]
    NotListed {
        /// What was to be listed, such as `the snapshots`.
        subject: &'static str,
        /// The API path.
        path: String,
        /// The host asked.
        endpoint: Endpoint,
        /// What is wrong with the list.
        what: String,
    },
    /// PVE does not accept who we say we are.
    #[error("{endpoint} refused the sign-on of '{identity}': {problem}")]
    Authentication {
        /// The host asked.
        endpoint: Endpoint,
        /// The user or token ID, without its secret.
        identity: String,
        /// What is wrong.
        problem: AuthenticationProblem,
    },
    /// The host's certificate is not one we were told to trust; nothing was sent.
    #[error("the certificate of {endpoint} is not trusted: {reason}")]
    Certificate {
        /// The host asked.
        endpoint: Endpoint,
        /// Why, and what would make it trusted.
        reason: String,
        /// The fingerprint of the certificate the host showed.
        fingerprint: Option<Fingerprint>,
    },
    /// The host has no TLS version, cipher or key that is supported here; nothing was sent.
    #[error("no TLS connection to {endpoint}: {reason}")]
    UnsupportedTls {
        /// The host asked.
        endpoint: Endpoint,
        /// What the host has, what is supported, and what to do.
        reason: String,
    },
    /// No other host is left, and this one belongs to another cluster than the host the client
    /// began with; nothing was sent to it.
    #[error("{other}{}", attempts_suffix(.attempts))]
    OtherCluster {
        /// The two hosts and their clusters.
        other: Box<OtherCluster>,
        /// The hosts that could not be reached and what each of them did.
        attempts: Vec<(Endpoint, String)>,
    },
    /// The client cannot be built as asked.
    #[error("{0}")]
    Configuration(String),
}

/// Why a sign-on failed. PVE does not tell a wrong password from an unknown, disabled or expired
/// user (`auth.ticket.json` of the recordings), so neither can we.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum AuthenticationProblem {
    /// `POST /access/ticket` answered 401.
    #[error(
        "wrong user, realm or password, or the user is disabled or expired; check them under Datacenter > Permissions > Users"
    )]
    WrongUserOrPassword,
    /// A request with an API token answered 401.
    #[error(
        "the API token is unknown, expired, or its secret is wrong; check it under Datacenter > Permissions > API Tokens"
    )]
    TokenRefused,
    /// The user has a second factor, which a program cannot give.
    #[error("the user needs a second factor; create an API token for it and use --api-token")]
    NeedsSecondFactor,
    /// PVE says it was shown no ticket: something in between dropped the header.
    #[error(
        "the server saw neither ticket nor token; a proxy in between may drop the Authorization header or the cookie"
    )]
    NoTicket,
    /// A fresh ticket was refused: the clocks of the cluster's nodes differ too much.
    #[error("a ticket made a moment ago is not accepted; check that the clocks of all nodes agree")]
    TicketRefused,
}

/// The privilege PVE missed, from `Permission check failed (/vms/100, VM.Snapshot)`
/// (`PVE/RPCEnvironment.pm`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MissingPrivilege {
    /// The path of the access control list, such as `/vms/100`.
    pub path: String,
    /// The privilege, such as `VM.Snapshot`; alternatives as PVE wrote them (`A|B`).
    pub privilege: String,
}

impl Error {
    /// Whether PVE acted, as far as can be known.
    pub const fn certainty(&self) -> Certainty {
        match self {
            Self::NotSent { .. }
            | Self::Certificate { .. }
            | Self::UnsupportedTls { .. }
            | Self::OtherCluster { .. }
            | Self::Configuration(_) => Certainty::NotSent,
            Self::MaybeProcessed { .. } => Certainty::Unknown,
            // PVE checks the sign-on before anything else. Only reads return lists.
            Self::Refused { .. }
            | Self::Authentication { .. }
            | Self::Intercepted { .. }
            | Self::NotListed { .. } => Certainty::Refused,
            Self::NotUnderstood { certainty, .. } => *certainty,
        }
    }

    /// The HTTP status PVE answered with, if it answered.
    pub const fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            Self::MaybeProcessed { status, .. } => *status,
            Self::NotSent { .. }
            | Self::NotUnderstood { .. }
            | Self::Intercepted { .. }
            | Self::NotListed { .. }
            | Self::Authentication { .. }
            | Self::Certificate { .. }
            | Self::UnsupportedTls { .. }
            | Self::OtherCluster { .. }
            | Self::Configuration(_) => None,
        }
    }

    /// PVE's own words, if it refused.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Refused { reason, .. } => Some(reason),
            Self::NotSent { .. }
            | Self::MaybeProcessed { .. }
            | Self::NotUnderstood { .. }
            | Self::Intercepted { .. }
            | Self::NotListed { .. }
            | Self::Authentication { .. }
            | Self::Certificate { .. }
            | Self::UnsupportedTls { .. }
            | Self::OtherCluster { .. }
            | Self::Configuration(_) => None,
        }
    }

    /// The privilege that is missing, when that is why PVE refused.
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

    /// Whether PVE could not start the worker of a task: nothing was carried out and the request
    /// may be sent again. Seen about twice in a thousand writes under load
    /// (`PVE/RESTEnvironment.pm`, `fork_worker`).
    pub fn is_start_worker_failed(&self) -> bool {
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

    /// Whether the same request may well succeed a little later: no host was reachable, an answer
    /// was lost, another node did not answer (595), or the server is busy (503, 429).
    ///
    /// This says nothing about whether sending it again is safe; see [`Self::certainty`].
    pub fn is_transient(&self) -> bool {
        match self {
            Self::NotSent { .. } | Self::MaybeProcessed { .. } => true,
            Self::Refused { status, .. } => {
                matches!(status, 429 | 503 | 595) || self.is_start_worker_failed()
            }
            Self::NotUnderstood { .. }
            | Self::Intercepted { .. }
            | Self::NotListed { .. }
            | Self::Authentication { .. }
            | Self::Certificate { .. }
            | Self::UnsupportedTls { .. }
            | Self::OtherCluster { .. }
            | Self::Configuration(_) => false,
        }
    }

    /// Whether PVE refused a read for a transient reason: another process held a lock, a daemon was busy
    /// or restarted (500 `got timeout`). Texts that describe a state, such as `does not exist`, are
    /// final.
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

    /// Whether the guest's configuration file is missing on that node: it was removed or moved
    /// (500 `Configuration file 'nodes/pve1/qemu-server/999.conf' does not exist`).
    pub fn is_guest_missing(&self) -> bool {
        self.reason().is_some_and(says_guest_is_missing)
    }
}

/// Whether PVE's words, of an answer or of a task, say that the guest's configuration file is missing
/// on that node. Every operation begins with reading it (`load_config` in `PVE/AbstractConfig.pm`),
/// so that nothing was done.
pub fn says_guest_is_missing(words: &str) -> bool {
    words.starts_with("Configuration file 'nodes/") && words.trim_end().ends_with("does not exist")
}

/// Lists what each host did.
fn unreachable_text(attempts: &[(Endpoint, String)]) -> String {
    if attempts.is_empty() {
        return "any host: no host is known".to_owned();
    }
    let each: Vec<String> = attempts
        .iter()
        .map(|(endpoint, reason)| format!("{endpoint}: {reason}"))
        .collect();
    each.join("; ")
}

/// The unreachable hosts, to be appended to another reason; empty if there are none.
fn attempts_suffix(attempts: &[(Endpoint, String)]) -> String {
    if attempts.is_empty() {
        return String::new();
    }
    format!("; {}", unreachable_text(attempts))
}

/// What a failed connection means for a request that changes something.
const fn unsent_text(method: Method) -> &'static str {
    match method {
        Method::Get => "",
        Method::Post | Method::Put | Method::Delete => "; the request was not sent",
    }
}

/// What a lost answer means for a request that changes something.
const fn open_text(method: Method) -> &'static str {
    match method {
        Method::Get => "",
        Method::Post | Method::Put | Method::Delete => "; it may have been carried out",
    }
}

/// The parameter errors of a 400, behind the reason.
fn parameter_text(errors: &BTreeMap<String, String>) -> String {
    let mut text = String::new();
    for (name, complaint) in errors {
        text.push_str("; ");
        text.push_str(name);
        text.push_str(": ");
        text.push_str(complaint.trim_end());
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
    fn the_missing_privilege_is_read_from_the_text() {
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
    fn a_worker_that_did_not_start_is_recognised() {
        assert!(refused(500, "got no worker upid - start worker failed").is_start_worker_failed());
        assert!(refused(500, "starting worker failed: Broken pipe").is_start_worker_failed());
        assert!(!refused(500, "VM is locked (backup)").is_start_worker_failed());
        assert!(!refused(400, "starting worker failed: x").is_start_worker_failed());
    }

    #[test]
    fn a_missing_guest_is_told_from_other_refusals() {
        let text = "Configuration file 'nodes/pve1/qemu-server/999.conf' does not exist";
        assert!(refused(500, text).is_guest_missing());
        assert!(!refused(500, "snapshot 'x' does not exist").is_guest_missing());
    }

    #[test]
    fn messages_carry_the_words_of_pve_and_the_request() {
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
