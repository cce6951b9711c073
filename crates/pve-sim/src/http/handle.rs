// SPDX-License-Identifier: GPL-3.0-only
//! From a request to an answer: the checks pveproxy makes before the API, the
//! faults that are ordered, and the waiting.

use std::time::Duration;

use serde_json::{Map, Value};
use tokio::time::sleep;

use crate::api::{Call, Failure, Via, dispatch};
use crate::clock::Seconds;
use crate::control;
use crate::faults::{OrderedAnswer, RequestFacts, RequestFault};
use crate::world::Reach;

use super::Shared;
use super::alter;
use super::params::{content_type, parameters};
use super::read::Head;
use super::respond::{Format, Response};
use super::sign_on::sign_on;

/// A request as far as it was read.
pub(super) struct Request {
    pub(super) head: Head,
    /// The decoded path.
    pub(super) path: String,
    pub(super) query: String,
    pub(super) body: Body,
    /// The client is on this machine.
    pub(super) local: bool,
}

/// What came behind the headers.
pub(super) enum Body {
    /// Nothing, or everything.
    Read(Vec<u8>),
    /// A body where none may be.
    Unexpected,
    /// More than 512 KiB.
    TooLarge,
}

/// How a request ends on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// With its answer.
    Answered,
    /// In the middle of the answer.
    Cut,
    /// Without an answer.
    Dropped,
    /// With a reset.
    Reset,
}

/// What came of a request.
pub(super) struct Handled {
    pub(super) response: Option<Response>,
    pub(super) ending: Ending,
    pub(super) user: Option<String>,
    pub(super) fault: Option<String>,
}

/// Where the API lies.
const BASE: &str = "/api2";
/// Where the control commands lie; PVE has nothing there.
const CONTROL: &str = "/sim/control";

/// Answers a request that came to the address of a node.
pub(super) async fn handle(shared: &Shared, node: &str, request: &Request) -> Handled {
    if request.path == CONTROL && request.local {
        return answered(control_answer(shared, request));
    }
    let reach = shared
        .world()
        .nodes
        .get(node)
        .map(|node| node.reach.clone());
    match reach {
        Some(Reach::Online) | None => {}
        Some(Reach::Offline(_)) => return gone(Ending::Reset),
        Some(Reach::Silent) => {
            sleep(Duration::from_secs(3_600)).await;
            return gone(Ending::Reset);
        }
    }
    if let Some(response) = refused_at_once(&request.head) {
        return answered(response);
    }
    if request.path == "/" && request.head.method == "GET" {
        return answered(Response::web_interface());
    }
    let Some((format, path)) = split_format(&request.path) else {
        let file = format!("no such file '{}'\n", request.path);
        return answered(Response::plain(500, &file, file.as_str()));
    };
    let params = match &request.body {
        Body::Read(bytes) => parameters(&request.head, &request.query, bytes),
        Body::Unexpected | Body::TooLarge => Ok(Map::new()),
    };
    let (fault, releases) = find_fault(
        shared,
        request,
        path,
        params.as_ref().unwrap_or(&Map::new()),
    );
    let name = fault.as_ref().map(|fault| format!("{fault:?}"));
    let mut handled = match before(shared, fault.as_ref(), releases).await {
        Some(handled) => handled,
        None => call(shared, node, request, format, path, params, fault.as_ref()).await,
    };
    after(&mut handled, fault.as_ref()).await;
    handled.fault = name;
    handled
}

/// What pveproxy refuses before it asks who is there.
fn refused_at_once(head: &Head) -> Option<Response> {
    let method = &head.method;
    if !matches!(method.as_str(), "GET" | "POST" | "PUT" | "DELETE") {
        return Some(Response::plain(
            501,
            format!("method '{method}' not available"),
            "",
        ));
    }
    let coding = head
        .header("Transfer-Encoding")
        .filter(|coding| !coding.is_empty())?;
    Some(if coding.eq_ignore_ascii_case("chunked") {
        Response::error(501, "chunked transfer encoding not supported")
    } else {
        Response::error(501, &format!("Unknown transfer encoding '{coding}'"))
    })
}

/// The formatter's name and the path below it (`split_abs_uri`).
fn split_format(path: &str) -> Option<(&str, &str)> {
    let rest = path.strip_prefix(BASE)?.trim_start_matches('/');
    let end = rest.find('/').unwrap_or(rest.len());
    let (format, path) = rest.split_at(end);
    Some((format, if path.is_empty() { "/" } else { path }))
}

/// The fault, and how often held requests were released until then.
fn find_fault(
    shared: &Shared,
    request: &Request,
    path: &str,
    params: &Map<String, Value>,
) -> (Option<RequestFault>, u64) {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let snapname = match parts.as_slice() {
        ["nodes", _, "qemu" | "lxc", _, "snapshot", name, ..] => Some(*name),
        _ => params.get("snapname").and_then(Value::as_str),
    };
    let facts = RequestFacts {
        method: &request.head.method,
        path,
        node: (parts.first() == Some(&"nodes"))
            .then(|| parts.get(1).copied())
            .flatten(),
        vmid: parts.get(3).and_then(|vmid| vmid.parse().ok()),
        snapname,
    };
    let mut world = shared.world();
    (world.faults.for_request(&facts), world.releases)
}

/// The part of a fault that comes first; what it gives back ends the request.
async fn before(shared: &Shared, fault: Option<&RequestFault>, releases: u64) -> Option<Handled> {
    match fault? {
        RequestFault::Refuse => Some(gone(Ending::Reset)),
        RequestFault::DropBefore => Some(gone(Ending::Dropped)),
        RequestFault::Answer(answer) if !answer.handled => {
            pause(answer.after.get()).await;
            Some(answered(ordered(answer)))
        }
        RequestFault::Delay(seconds) => {
            pause(seconds.get()).await;
            None
        }
        RequestFault::Hold => {
            released(shared, releases).await;
            None
        }
        RequestFault::LoseNode { node } => {
            shared.world().lose_node(node);
            None
        }
        RequestFault::ExpireTickets => {
            shared.world().signer.expire_all();
            None
        }
        RequestFault::DropAfter
        | RequestFault::CutAnswer
        | RequestFault::Stall(_)
        | RequestFault::Answer(_)
        | RequestFault::Listing(_)
        | RequestFault::Edit { .. }
        | RequestFault::OtherTask
        | RequestFault::StartFailed => None,
    }
}

fn ordered(answer: &OrderedAnswer) -> Response {
    let (status, reason) = (answer.status.get(), &answer.reason);
    match &answer.body {
        Value::Null => Response::plain(status, reason, ""),
        Value::String(text) => Response::plain(status, reason, text.as_str()),
        value => Response::json(status, reason, value),
    }
}

/// The part of a fault that comes last.
async fn after(handled: &mut Handled, fault: Option<&RequestFault>) {
    match fault {
        Some(RequestFault::DropAfter) => handled.ending = Ending::Dropped,
        Some(RequestFault::CutAnswer) => handled.ending = Ending::Cut,
        Some(RequestFault::Stall(seconds)) => pause(seconds.get()).await,
        Some(RequestFault::Answer(answer)) if answer.handled => {
            pause(answer.after.get()).await;
            handled.response = Some(ordered(answer));
        }
        Some(RequestFault::Listing(fault)) => {
            if let Some(response) = &mut handled.response {
                alter::listing(response, *fault);
            }
        }
        Some(RequestFault::Edit { find, with }) => {
            if let Some(response) = &mut handled.response {
                alter::edit(response, find, with);
            }
        }
        Some(
            RequestFault::Refuse
            | RequestFault::DropBefore
            | RequestFault::Delay(_)
            | RequestFault::Hold
            | RequestFault::Answer(_)
            | RequestFault::LoseNode { .. }
            | RequestFault::ExpireTickets
            | RequestFault::OtherTask
            | RequestFault::StartFailed,
        )
        | None => {}
    }
}

async fn call(
    shared: &Shared,
    node: &str,
    request: &Request,
    format: &str,
    path: &str,
    params: Result<Map<String, Value>, String>,
    fault: Option<&RequestFault>,
) -> Handled {
    if format.is_empty() {
        return answered(Response::error(501, "no such uri"));
    }
    let signed_on = sign_on(&shared.world(), node, &request.head, path);
    let user = match signed_on {
        Ok(user) => user,
        Err(reason) => {
            let delay = shared.world().timing.unauthorized();
            pause(delay).await;
            return answered(Response::plain(401, reason, ""));
        }
    };
    let response = match checked(request, format, path) {
        Err(response) => response,
        Ok(_) if fault == Some(&RequestFault::StartFailed) => {
            let text = "got no worker upid - start worker failed".to_owned();
            Response::failure(&Failure::Died(text), Via::Daemon, Format::Json)
        }
        Ok(_) if fault == Some(&RequestFault::OtherTask) => {
            let asked = path
                .strip_prefix("/nodes/")
                .and_then(|rest| rest.split('/').next());
            alter::other_task(&mut shared.world(), asked.unwrap_or(node))
        }
        Ok(format) => match params {
            // The server's own catch-all, with the newline Perl ends a text with.
            Err(text) => Response::plain(500, text.as_str(), format!("{text}\n")),
            Ok(params) => {
                let call = Call {
                    method: &request.head.method,
                    path: path.trim_end_matches('/'),
                    params,
                    who: user.as_deref(),
                    node,
                    arrived: shared.world().now(),
                };
                carry_out(shared, &call, format).await
            }
        },
    };
    Handled {
        user,
        ..answered(response)
    }
}

/// What is checked between the sign-on and the API.
fn checked(request: &Request, format: &str, path: &str) -> Result<Format, Response> {
    let method = &request.head.method;
    match &request.body {
        Body::Unexpected => {
            let text = format!("Unexpected content for method '{method}'");
            return Err(Response::error(501, &text));
        }
        Body::TooLarge => return Err(Response::error(501, "for data too large")),
        Body::Read(bytes) if !bytes.is_empty() => {
            let known = ["application/x-www-form-urlencoded", "application/json"];
            if content_type(&request.head).is_some_and(|media| !known.contains(&media)) {
                let line = request.head.header("Content-Type").unwrap_or_default();
                let text = format!("upload 'Content-Type '{line}' not implemented");
                return Err(Response::error(506, &text));
            }
        }
        Body::Read(_) => {}
    }
    match format {
        "json" => Ok(Format::Json),
        "extjs" => Ok(Format::ExtJs),
        "html" | "htmljs" => Ok(Format::Html),
        other => Err(Response::error(
            501,
            &format!("no formatter for uri {path}, {other}"),
        )),
    }
}

/// Calls the API, again and again while it says that it has to wait.
async fn carry_out(shared: &Shared, call: &Call<'_>, format: Format) -> Response {
    let (result, via) = loop {
        let outcome = dispatch(&mut shared.world(), call);
        match outcome {
            (Err(Failure::NotBefore(at)), _) => wait_until(shared, at).await,
            other => break other,
        }
    };
    sleep_if(shared.latency.of(call.method, call.path, via)).await;
    match &result {
        Ok(reply) => {
            pause(f64::from(reply.pause_milliseconds) / 1_000.0).await;
            Response::reply(reply, via, format)
        }
        Err(failure) => {
            let delay = match failure {
                Failure::Unauthorized(_) => shared.world().timing.unauthorized(),
                Failure::Unreachable { after, .. } => *after,
                Failure::Died(_)
                | Failure::Parameters(_)
                | Failure::Forbidden(_)
                | Failure::NotImplemented { .. }
                | Failure::NotBefore(_) => 0.0,
            };
            pause(delay).await;
            Response::failure(failure, via, format)
        }
    }
}

/// Waits for a simulated time, or until somebody moved the clock or a lock.
async fn wait_until(shared: &Shared, at: Seconds) {
    let changed = shared.changed.notified();
    let left = at - shared.world().now();
    let time = Duration::try_from_secs_f64(left).unwrap_or_default() + Duration::from_millis(1);
    tokio::select! {
        () = sleep(time) => {}
        () = changed => {}
    }
}

/// Waits until the held requests were released once more.
async fn released(shared: &Shared, releases: u64) {
    loop {
        let mut changed = std::pin::pin!(shared.changed.notified());
        // From here on it hears, so that a release in between is not missed.
        changed.as_mut().enable();
        if shared.world().releases != releases {
            return;
        }
        changed.await;
    }
}

async fn pause(seconds: f64) {
    sleep_if(Duration::try_from_secs_f64(seconds).unwrap_or_default()).await;
}

async fn sleep_if(time: Duration) {
    if !time.is_zero() {
        sleep(time).await;
    }
}

fn control_answer(shared: &Shared, request: &Request) -> Response {
    let words: Option<Vec<String>> = match &request.body {
        Body::Read(bytes) => serde_json::from_slice(bytes).ok(),
        Body::Unexpected | Body::TooLarge => None,
    };
    let Some(words) = words else {
        return Response::error(400, "the body has to be a JSON list of words");
    };
    match control::carry_out(shared, &words) {
        Ok(text) => Response::plain(200, "OK", text),
        Err(error) => Response::plain(400, "Bad Request", error.to_string()),
    }
}

fn answered(response: Response) -> Handled {
    Handled {
        response: Some(response),
        ending: Ending::Answered,
        user: None,
        fault: None,
    }
}

fn gone(ending: Ending) -> Handled {
    Handled {
        response: None,
        ending,
        user: None,
        fault: None,
    }
}
