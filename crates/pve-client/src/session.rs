// SPDX-License-Identifier: GPL-3.0-only
//! Authenticates requests: a token is sent with every request; a password is exchanged for a ticket,
//! which is renewed while it is valid and replaced when PVE rejects it.
//!
//! PVE accepts a ticket for two hours by the clock of the node, and accepts a valid ticket in place of
//! the password in a login (`PVE/AccessControl.pm`). PVE sends a 401 before it does anything, so a
//! request of any method that got one is sent once more after a new login. Each 401 takes PVE
//! three seconds, so there is only one retry.

use std::fmt;
use std::time::Duration;

use hyper::header::{AUTHORIZATION, COOKIE, HeaderName, HeaderValue};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::credentials::Credentials;
use crate::endpoint::Endpoint;
use crate::error::{AuthenticationProblem, Certainty, Error, Method};
use crate::host::CSRF_TOKEN;
use crate::options::ClientOptions;
use crate::reply::{self, Reply};
use crate::request::ApiRequest;
use crate::transport::{Deadline, Transport};
use crate::types::lenient;

/// Sends requests as one user or token.
pub(crate) struct Session {
    transport: Transport,
    credentials: Credentials,
    ticket_lifetime: Duration,
    /// Locked during a login, so that there is never more than one at a time.
    ticket: Mutex<Option<Ticket>>,
}

#[derive(Clone)]
struct Ticket {
    value: SecretString,
    csrf_token: SecretString,
    obtained: Instant,
    /// Distinguishes a ticket from its successor.
    generation: u64,
}

impl Session {
    /// Connects to a host. The login follows with the first request.
    pub(crate) async fn open(options: ClientOptions) -> Result<Self, Error> {
        let transport = Transport::new(&options)?;
        transport.connect().await?;
        let ClientOptions {
            credentials,
            ticket_lifetime,
            ..
        } = options;
        Ok(Self {
            transport,
            credentials,
            ticket_lifetime,
            ticket: Mutex::new(None),
        })
    }

    pub(crate) fn transport(&self) -> &Transport {
        &self.transport
    }

    /// The user or token, as PVE names it in tasks.
    pub(crate) fn identity(&self) -> String {
        self.credentials.identity()
    }

    /// Sends a request and parses the `data` of its reply.
    pub(crate) async fn send<T: DeserializeOwned>(
        &self,
        request: &ApiRequest,
        deadline: Deadline,
    ) -> Result<(T, Endpoint), Error> {
        let reply = self.send_authenticated(request, deadline).await?;
        let data = reply::data(request, &reply.endpoint, &reply.body)?;
        Ok((data, reply.endpoint))
    }

    async fn send_authenticated(
        &self,
        request: &ApiRequest,
        deadline: Deadline,
    ) -> Result<Reply, Error> {
        match &self.credentials {
            Credentials::Token(token) => {
                let header = secret_header(&token.authorization())?;
                let auth = [(AUTHORIZATION, header)];
                let sent = self.transport.send(request, &auth, deadline).await;
                sent.map_err(|error| self.unauthorized(error, AuthenticationProblem::TokenRefused))
            }
            Credentials::Password { .. } => self.send_with_ticket(request, deadline).await,
        }
    }

    async fn send_with_ticket(
        &self,
        request: &ApiRequest,
        deadline: Deadline,
    ) -> Result<Reply, Error> {
        let ticket = self.ticket(None, deadline).await?;
        match self
            .transport
            .send(request, &ticket.headers(request.method)?, deadline)
            .await
        {
            Err(error) if error.status() == Some(401) => {
                tracing::debug!(%request, %error, "the ticket was rejected; logging in again");
                let ticket = self.ticket(Some(ticket.generation), deadline).await?;
                let sent = self
                    .transport
                    .send(request, &ticket.headers(request.method)?, deadline)
                    .await;
                sent.map_err(|error| self.new_ticket_rejected(request, error))
            }
            other => other,
        }
    }

    /// A ticket that is neither old nor the rejected one.
    async fn ticket(&self, rejected: Option<u64>, deadline: Deadline) -> Result<Ticket, Error> {
        let mut current = self.ticket.lock().await;
        let renewed = match current.as_ref() {
            Some(ticket) if rejected == Some(ticket.generation) => None,
            Some(ticket) if ticket.obtained.elapsed() < self.ticket_lifetime => {
                return Ok(ticket.clone());
            }
            // If a renewal fails, the password is used.
            Some(ticket) => {
                let renewal = self.login(&ticket.value, ticket.generation, deadline);
                renewal.await.ok()
            }
            None => None,
        };
        let generation = current.as_ref().map_or(0, |ticket| ticket.generation);
        let ticket = match (renewed, &self.credentials) {
            (Some(ticket), _) => ticket,
            (None, Credentials::Password { password, .. }) => {
                self.login(password, generation, deadline).await?
            }
            (None, Credentials::Token(_)) => {
                return Err(Error::Configuration(
                    "a login needs a user and a password, not an API token".to_owned(),
                ));
            }
        };
        Ok(current.insert(ticket).clone())
    }

    /// `POST /access/ticket` with the password or a valid ticket.
    async fn login(
        &self,
        secret: &SecretString,
        generation: u64,
        deadline: Deadline,
    ) -> Result<Ticket, Error> {
        let request = ApiRequest::new(Method::Post, &["access", "ticket"])
            .with("username", self.credentials.identity())
            .with("password", secret.expose_secret())
            .retryable();
        let obtained = Instant::now();
        let sent = self.transport.send(&request, &[], deadline).await;
        let reply = sent.map_err(|error| {
            self.unauthorized(error, AuthenticationProblem::WrongUserOrPassword)
        })?;
        let login = parse_login_reply(&request, &reply)?;
        let problem = |problem| self.problem(reply.endpoint.clone(), problem);
        // The challenge of a second factor looks like a ticket but authenticates nothing.
        let is_challenge = login
            .ticket
            .as_ref()
            .is_some_and(|text| text.expose_secret().starts_with("PVE:!tfa!"));
        if login.needs_second_factor || is_challenge {
            return Err(problem(AuthenticationProblem::NeedsSecondFactor));
        }
        let Some(value) = login.ticket else {
            return Err(problem(AuthenticationProblem::WrongUserOrPassword));
        };
        let csrf_token = login.csrf_token.unwrap_or_default();
        Ok(Ticket {
            value,
            csrf_token,
            obtained,
            generation: generation + 1,
        })
    }

    /// Handles the rejection of a new ticket. A node to which a request is forwarded checks the ticket by
    /// its own clock, so then only that node is affected.
    fn new_ticket_rejected(&self, request: &ApiRequest, mut error: Error) -> Error {
        if request.path().starts_with("/nodes/")
            && let Error::Refused {
                status: 401,
                reason,
                ..
            } = &mut error
        {
            reason.push_str(": the node rejects a new ticket; check its clock");
            return error;
        }
        self.unauthorized(error, AuthenticationProblem::TicketRefused)
    }

    /// Replaces a 401 by an authentication error; returns other errors unchanged.
    fn unauthorized(&self, error: Error, problem: AuthenticationProblem) -> Error {
        let Error::Refused {
            status: 401,
            reason,
            ..
        } = &error
        else {
            return error;
        };
        let problem = match reason.as_str() {
            "No ticket" => AuthenticationProblem::NoTicket,
            _ => problem,
        };
        self.problem(self.transport.current_endpoint(), problem)
    }

    fn problem(&self, endpoint: Endpoint, problem: AuthenticationProblem) -> Error {
        Error::Authentication {
            endpoint,
            identity: self.credentials.identity(),
            problem,
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Session")
            .field("transport", &self.transport)
            .field("identity", &self.credentials.identity())
            .finish_non_exhaustive()
    }
}

impl Ticket {
    /// The cookie, and for requests that change something the CSRF token.
    fn headers(&self, method: Method) -> Result<Vec<(HeaderName, HeaderValue)>, Error> {
        let encoded = utf8_percent_encode(self.value.expose_secret(), NON_ALPHANUMERIC);
        let cookie = secret_header(&format!("PVEAuthCookie={encoded}").into())?;
        let mut headers = vec![(COOKIE, cookie)];
        match method {
            Method::Get => {}
            Method::Post | Method::Put | Method::Delete => {
                headers.push((CSRF_TOKEN, secret_header(&self.csrf_token)?));
            }
        }
        Ok(headers)
    }
}

/// The `data` of a reply to a login.
#[derive(Deserialize)]
struct LoginReply {
    #[serde(default, deserialize_with = "secret")]
    ticket: Option<SecretString>,
    #[serde(default, rename = "CSRFPreventionToken", deserialize_with = "secret")]
    csrf_token: Option<SecretString>,
    #[serde(default, rename = "NeedTFA", deserialize_with = "lenient::boolean")]
    needs_second_factor: bool,
}

/// Parses the reply to a login. The error of the JSON parser is dropped: it may quote a ticket.
fn parse_login_reply(request: &ApiRequest, reply: &Reply) -> Result<LoginReply, Error> {
    reply::data(request, &reply.endpoint, &reply.body).map_err(|_may_quote_a_ticket| {
        let problem = "the reply to the login is not the expected JSON".to_owned();
        reply::unexpected_reply(request, &reply.endpoint, problem, Certainty::Unknown)
    })
}

fn secret<'de, D: serde::Deserializer<'de>>(input: D) -> Result<Option<SecretString>, D::Error> {
    Ok(lenient::text(input)?
        .filter(|text| !text.is_empty())
        .map(SecretString::from))
}

/// A header value that is marked as sensitive, so that it is never printed.
fn secret_header(secret: &SecretString) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::try_from(secret.expose_secret()).map_err(|_| {
        Error::Configuration(
            "the token or ticket contains a character that is invalid in an HTTP header".to_owned(),
        )
    })?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_in_an_invalid_reply_is_not_quoted() {
        let request = ApiRequest::new(Method::Post, &["access", "ticket"]);
        for body in [
            r#"{"data":"PVE:root@pam:4EEC61E2::c2VjcmV0"}"#,
            r#"{"data":{"ticket":"PVE:root@pam:4EEC61E2::c2VjcmV0","ticket":1}}"#,
            r#"{"data":["PVE:root@pam:4EEC61E2::c2VjcmV0","PVE:root@pam:4EEC61E2::c2VjcmV0","1","x"]}"#,
        ] {
            let reply = Reply {
                body: body.as_bytes().into(),
                endpoint: Endpoint {
                    host: "pve1".to_owned(),
                    port: 8006,
                },
            };
            let Err(error) = parse_login_reply(&request, &reply) else {
                panic!("{body} was accepted as the reply to a login");
            };
            let text = format!("{error} {error:?}");
            assert!(!text.contains("c2VjcmV0"), "{text}");
            assert!(text.contains("login"), "{text}");
        }
    }
}
