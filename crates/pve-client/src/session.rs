// SPDX-License-Identifier: GPL-3.0-only
//! Sign-on: a token is sent with every request; a password is exchanged for a ticket, which is
//! renewed while it is still good and replaced when PVE no longer takes it.
//!
//! PVE accepts a ticket for two hours by the clock of the node asked, and takes a valid ticket in
//! place of the password for a new one (`PVE/AccessControl.pm`). A 401 is given before anything is
//! done, so a request refused with it is sent once more after one fresh login, whatever its
//! method. PVE takes three seconds for each 401, hence no more tries than that.

use std::fmt;
use std::time::Duration;

use hyper::header::{AUTHORIZATION, COOKIE, HeaderName, HeaderValue};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::call::Call;
use crate::credentials::Credentials;
use crate::endpoint::Endpoint;
use crate::error::{AuthenticationProblem, Certainty, Error, Method};
use crate::options::ClientOptions;
use crate::reply;
use crate::transport::{Answer, Deadline, Transport};
use crate::types::loose;

/// The header that PVE wants with everything but GET.
pub(crate) const CSRF_TOKEN: HeaderName = HeaderName::from_static("csrfpreventiontoken");

/// Requests signed by one user or token.
pub(crate) struct Session {
    transport: Transport,
    credentials: Credentials,
    ticket_lifetime: Duration,
    /// Held while a login is under way, so that there is never more than one.
    ticket: Mutex<Option<Ticket>>,
}

#[derive(Clone)]
struct Ticket {
    value: SecretString,
    csrf_token: SecretString,
    obtained: Instant,
    /// Tells a ticket from its successor.
    generation: u64,
}

impl Session {
    /// Connects to a host and, given a password, logs in.
    pub(crate) async fn open(options: ClientOptions) -> Result<Self, Error> {
        let transport = Transport::new(&options)?;
        transport.reach().await?;
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

    /// Sends a request and reads the `data` of its answer.
    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        call: &Call,
        deadline: Deadline,
    ) -> Result<(T, Endpoint), Error> {
        let answer = self.send(call, deadline).await?;
        let data = reply::data(call, &answer.endpoint, &answer.body)?;
        Ok((data, answer.endpoint))
    }

    async fn send(&self, call: &Call, deadline: Deadline) -> Result<Answer, Error> {
        match &self.credentials {
            Credentials::Token(token) => {
                let header = secret_header(&token.authorization())?;
                let signature = [(AUTHORIZATION, header)];
                let sent = self.transport.send(call, &signature, deadline).await;
                sent.map_err(|error| self.unauthorized(error, AuthenticationProblem::TokenRefused))
            }
            Credentials::Password { .. } => self.send_with_ticket(call, deadline).await,
        }
    }

    async fn send_with_ticket(&self, call: &Call, deadline: Deadline) -> Result<Answer, Error> {
        let ticket = self.ticket(None, deadline).await?;
        match self
            .transport
            .send(call, &ticket.headers(call.method)?, deadline)
            .await
        {
            Err(error) if error.status() == Some(401) => {
                tracing::debug!(%call, %error, "the ticket was refused, logging in again");
                let ticket = self.ticket(Some(ticket.generation), deadline).await?;
                let sent = self
                    .transport
                    .send(call, &ticket.headers(call.method)?, deadline)
                    .await;
                sent.map_err(|error| self.new_ticket_refused(call, error))
            }
            other => other,
        }
    }

    /// A ticket that is neither old nor the refused one.
    async fn ticket(&self, refused: Option<u64>, deadline: Deadline) -> Result<Ticket, Error> {
        let mut held = self.ticket.lock().await;
        let renewed = match held.as_ref() {
            Some(ticket) if refused == Some(ticket.generation) => None,
            Some(ticket) if ticket.obtained.elapsed() < self.ticket_lifetime => {
                return Ok(ticket.clone());
            }
            // A renewal that fails is no reason to stop: there is still the password.
            Some(ticket) => {
                let renewal = self.login(&ticket.value, ticket.generation, deadline);
                renewal.await.ok()
            }
            None => None,
        };
        let generation = held.as_ref().map_or(0, |ticket| ticket.generation);
        let ticket = match (renewed, &self.credentials) {
            (Some(ticket), _) => ticket,
            (None, Credentials::Password { password, .. }) => {
                self.login(password, generation, deadline).await?
            }
            (None, Credentials::Token(_)) => {
                return Err(Error::Configuration(
                    "an API token needs no ticket".to_owned(),
                ));
            }
        };
        Ok(held.insert(ticket).clone())
    }

    /// `POST /access/ticket` with the password or a ticket that is still good.
    async fn login(
        &self,
        secret: &SecretString,
        generation: u64,
        deadline: Deadline,
    ) -> Result<Ticket, Error> {
        let call = Call::new(Method::Post, &["access", "ticket"])
            .with("username", self.credentials.identity())
            .with("password", secret.expose_secret())
            .repeatable();
        let obtained = Instant::now();
        let sent = self.transport.send(&call, &[], deadline).await;
        let answer = sent.map_err(|error| {
            self.unauthorized(error, AuthenticationProblem::WrongUserOrPassword)
        })?;
        let granted = granted(&call, &answer)?;
        let problem = |problem| self.problem(answer.endpoint.clone(), problem);
        // The challenge of a second factor looks like a ticket but authenticates nothing.
        let is_challenge = granted
            .ticket
            .as_ref()
            .is_some_and(|text| text.expose_secret().starts_with("PVE:!tfa!"));
        if granted.needs_second_factor || is_challenge {
            return Err(problem(AuthenticationProblem::NeedsSecondFactor));
        }
        let Some(value) = granted.ticket else {
            return Err(problem(AuthenticationProblem::WrongUserOrPassword));
        };
        let csrf_token = granted.csrf_token.unwrap_or_default();
        Ok(Ticket {
            value,
            csrf_token,
            obtained,
            generation: generation + 1,
        })
    }

    /// A ticket issued a moment ago is not accepted. A node that a request is passed on to checks it
    /// by its own clock, which concerns that node alone.
    fn new_ticket_refused(&self, call: &Call, error: Error) -> Error {
        match error {
            Error::Refused {
                method,
                path,
                status: 401,
                reason,
                errors,
            } if call.path().starts_with("/nodes/") => Error::Refused {
                method,
                path,
                status: 401,
                reason: format!(
                    "{reason}: the node does not accept a ticket issued a moment ago; its clock may be off"
                ),
                errors,
            },
            other => self.unauthorized(other, AuthenticationProblem::TicketRefused),
        }
    }

    /// Turns a 401 into what it means; leaves every other error as it is.
    fn unauthorized(&self, error: Error, problem: AuthenticationProblem) -> Error {
        match error {
            Error::Refused {
                status: 401,
                reason,
                ..
            } => {
                let problem = match reason.as_str() {
                    "No ticket" => AuthenticationProblem::NoTicket,
                    _ => problem,
                };
                self.problem(self.transport.current_endpoint(), problem)
            }
            other => other,
        }
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
    /// The cookie, and for what changes something the token against cross-site requests.
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

/// The answer to a login.
#[derive(Deserialize)]
struct Granted {
    #[serde(default, deserialize_with = "secret")]
    ticket: Option<SecretString>,
    #[serde(default, rename = "CSRFPreventionToken", deserialize_with = "secret")]
    csrf_token: Option<SecretString>,
    #[serde(default, rename = "NeedTFA", deserialize_with = "loose::boolean")]
    needs_second_factor: bool,
}

/// Reads the answer to a login. What a parser says of JSON it did not expect quotes from it, and here
/// that could be a ticket.
fn granted(call: &Call, answer: &Answer) -> Result<Granted, Error> {
    reply::data(call, &answer.endpoint, &answer.body).map_err(|_quotes_from_it| {
        let what = "the answer to the sign-on is not the expected JSON".to_owned();
        reply::not_understood(call, &answer.endpoint, what, Certainty::Unknown)
    })
}

fn secret<'de, D: serde::Deserializer<'de>>(input: D) -> Result<Option<SecretString>, D::Error> {
    Ok(loose::text(input)?
        .filter(|text| !text.is_empty())
        .map(SecretString::from))
}

/// A header value that neither hyper nor we print.
fn secret_header(secret: &SecretString) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::try_from(secret.expose_secret()).map_err(|_| {
        Error::Configuration("the sign-on has a character that HTTP does not allow".to_owned())
    })?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_in_an_odd_answer_is_not_repeated() {
        let call = Call::new(Method::Post, &["access", "ticket"]);
        for body in [
            r#"{"data":"PVE:root@pam:4EEC61E2::c2VjcmV0"}"#,
            r#"{"data":{"ticket":"PVE:root@pam:4EEC61E2::c2VjcmV0","ticket":1}}"#,
            r#"{"data":["PVE:root@pam:4EEC61E2::c2VjcmV0","PVE:root@pam:4EEC61E2::c2VjcmV0","1","x"]}"#,
        ] {
            let answer = Answer {
                body: body.as_bytes().into(),
                endpoint: Endpoint {
                    host: "pve1".to_owned(),
                    port: 8006,
                },
            };
            let Err(error) = granted(&call, &answer) else {
                panic!("{body} is no answer to a login");
            };
            let text = format!("{error} {error:?}");
            assert!(!text.contains("c2VjcmV0"), "{text}");
            assert!(text.contains("sign-on"), "{text}");
        }
    }
}
