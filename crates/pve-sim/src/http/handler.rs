// SPDX-License-Identifier: GPL-3.0-only
//! From a request to a response: pveproxy's checks before the API, injected faults, and delays.

use std::time::Duration;

use serde_json::{Map, Value};
use tokio::time::sleep;

use crate::api::{Call, Failure, Via, dispatch};
use crate::clock::Seconds;
use crate::control;
use crate::faults::{CannedResponse, RequestFacts, RequestFault};
use crate::world::Reachability;

use super::Shared;
use super::altered_reply;
use super::authentication::authenticate;
use super::params::{content_type, parameters};
use super::reader::Head;
use super::response::{Format, Response};

/// A received request.
pub(super) struct ReceivedRequest {
    pub(super) head: Head,
    /// The decoded path.
    pub(super) path: String,
    pub(super) query: String,
    pub(super) body: Body,
    /// Whether the client is on this machine.
    pub(super) local: bool,
}

/// The content after the headers.
pub(super) enum Body {
    /// The complete body, which may be empty.
    Read(Vec<u8>),
    /// The method does not allow a body.
    Unexpected,
    /// More than 512 KiB.
    TooLarge,
}

/// What happens on the connection after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ConnectionEnd {
    /// The complete response is sent.
    Answered,
    /// Half of the response is sent.
    Cut,
    /// It is closed without a response.
    Dropped,
    /// It is reset.
    Reset,
}

/// The result of a request.
pub(super) struct HandledRequest {
    pub(super) response: Option<Response>,
    pub(super) ending: ConnectionEnd,
    pub(super) user: Option<String>,
    pub(super) fault: Option<String>,
}

/// Prefix of all API paths.
const BASE: &str = "/api2";
/// Path of the control commands; does not exist in PVE.
const CONTROL: &str = "/sim/control";

/// Handles a request to a node's address.
pub(super) async fn handle(
    shared: &Shared,
    node: &str,
    request: &ReceivedRequest,
) -> HandledRequest {
    if request.path == CONTROL && request.local {
        return with_response(control_response(shared, request));
    }
    let reach = shared
        .world()
        .nodes
        .get(node)
        .map(|node| node.reach.clone());
    match reach {
        Some(Reachability::Online) | None => {}
        Some(Reachability::Offline(_)) => return without_response(ConnectionEnd::Reset),
        Some(Reachability::Silent) => {
            sleep(Duration::from_secs(3_600)).await;
            return without_response(ConnectionEnd::Reset);
        }
    }
    if let Some(response) = reject_before_login(&request.head) {
        return with_response(response);
    }
    if request.path == "/" && request.head.method == "GET" {
        return with_response(Response::web_interface());
    }
    let Some((format, path)) = split_format(&request.path) else {
        let file = format!("no such file '{}'\n", request.path);
        return with_response(Response::plain(500, &file, file.as_str()));
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
    let mut handled = match apply_before(shared, fault.as_ref(), releases).await {
        Some(handled) => handled,
        None => call(shared, node, request, format, path, params, fault.as_ref()).await,
    };
    apply_after(&mut handled, fault.as_ref()).await;
    handled.fault = name;
    handled
}

/// The checks that pveproxy makes before the login.
fn reject_before_login(head: &Head) -> Option<Response> {
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

/// The format and the path after it (`split_abs_uri`).
fn split_format(path: &str) -> Option<(&str, &str)> {
    let rest = path.strip_prefix(BASE)?.trim_start_matches('/');
    let end = rest.find('/').unwrap_or(rest.len());
    let (format, path) = rest.split_at(end);
    Some((format, if path.is_empty() { "/" } else { path }))
}

/// The fault for this request, and the number of releases so far.
fn find_fault(
    shared: &Shared,
    request: &ReceivedRequest,
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

/// Applies the part of a fault that precedes the call; `Some` ends the request.
async fn apply_before(
    shared: &Shared,
    fault: Option<&RequestFault>,
    releases: u64,
) -> Option<HandledRequest> {
    match fault? {
        RequestFault::Refuse => Some(without_response(ConnectionEnd::Reset)),
        RequestFault::DropBefore => Some(without_response(ConnectionEnd::Dropped)),
        RequestFault::Answer(answer) if !answer.handled => {
            pause(answer.after.get()).await;
            Some(with_response(canned_response(answer)))
        }
        RequestFault::Delay(seconds) => {
            pause(seconds.get()).await;
            None
        }
        RequestFault::Hold => {
            wait_for_release(shared, releases).await;
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

fn canned_response(answer: &CannedResponse) -> Response {
    let (status, reason) = (answer.status.get(), &answer.reason);
    match &answer.body {
        Value::Null => Response::plain(status, reason, ""),
        Value::String(text) => Response::plain(status, reason, text.as_str()),
        value @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            Response::json(status, reason, value)
        }
    }
}

/// Applies the part of a fault that follows the call.
async fn apply_after(handled: &mut HandledRequest, fault: Option<&RequestFault>) {
    match fault {
        Some(RequestFault::DropAfter) => handled.ending = ConnectionEnd::Dropped,
        Some(RequestFault::CutAnswer) => handled.ending = ConnectionEnd::Cut,
        Some(RequestFault::Stall(seconds)) => pause(seconds.get()).await,
        Some(RequestFault::Answer(answer)) if answer.handled => {
            pause(answer.after.get()).await;
            handled.response = Some(canned_response(answer));
        }
        Some(RequestFault::Listing(fault)) => {
            if let Some(response) = &mut handled.response {
                altered_reply::listing(response, *fault);
            }
        }
        Some(RequestFault::Edit { find, with }) => {
            if let Some(response) = &mut handled.response {
                altered_reply::edit(response, find, with);
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
    request: &ReceivedRequest,
    format: &str,
    path: &str,
    params: Result<Map<String, Value>, String>,
    fault: Option<&RequestFault>,
) -> HandledRequest {
    if format.is_empty() {
        return with_response(Response::error(501, "no such uri"));
    }
    let login = authenticate(&shared.world(), node, &request.head, path);
    let user = match login {
        Ok(user) => user,
        Err(reason) => {
            let delay = shared.world().timing.unauthorized();
            pause(delay).await;
            return with_response(Response::plain(401, reason, ""));
        }
    };
    let response = match check_content_and_format(request, format, path) {
        Err(response) => response,
        Ok(_) if fault == Some(&RequestFault::StartFailed) => {
            let text = "got no worker upid - start worker failed".to_owned();
            Response::failure(&Failure::Died(text), Via::Daemon, Format::Json)
        }
        Ok(_) if fault == Some(&RequestFault::OtherTask) => {
            let requested = path
                .strip_prefix("/nodes/")
                .and_then(|rest| rest.split('/').next());
            altered_reply::other_task(&mut shared.world(), requested.unwrap_or(node))
        }
        Ok(format) => match params {
            // PVE's catch-all error, with the newline that ends a Perl text.
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
                execute(shared, &call, format).await
            }
        },
    };
    HandledRequest {
        user,
        ..with_response(response)
    }
}

/// The checks between the login and the API.
fn check_content_and_format(
    request: &ReceivedRequest,
    format: &str,
    path: &str,
) -> Result<Format, Response> {
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

/// Calls the API until it returns a result.
async fn execute(shared: &Shared, call: &Call<'_>, format: Format) -> Response {
    let (result, via) = loop {
        let outcome = dispatch(&mut shared.world(), call);
        match outcome {
            (Err(Failure::NotBefore(at)), _) => wait_until(shared, at).await,
            other => break other,
        }
    };
    sleep_unless_zero(shared.latency.for_call(call.method, call.path, via)).await;
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

/// Waits until a simulated time, or until the clock or a lock changes.
async fn wait_until(shared: &Shared, at: Seconds) {
    let changed = shared.changed.notified();
    let left = at - shared.world().now();
    let time = Duration::try_from_secs_f64(left).unwrap_or_default() + Duration::from_millis(1);
    tokio::select! {
        () = sleep(time) => {}
        () = changed => {}
    }
}

/// Waits until the held requests are released.
async fn wait_for_release(shared: &Shared, releases: u64) {
    loop {
        let mut changed = std::pin::pin!(shared.changed.notified());
        // Registers before the check, so that no release is missed.
        changed.as_mut().enable();
        if shared.world().releases != releases {
            return;
        }
        changed.await;
    }
}

async fn pause(seconds: f64) {
    sleep_unless_zero(Duration::try_from_secs_f64(seconds).unwrap_or_default()).await;
}

async fn sleep_unless_zero(time: Duration) {
    if !time.is_zero() {
        sleep(time).await;
    }
}

fn control_response(shared: &Shared, request: &ReceivedRequest) -> Response {
    let arguments: Option<Vec<String>> = match &request.body {
        Body::Read(bytes) => serde_json::from_slice(bytes).ok(),
        Body::Unexpected | Body::TooLarge => None,
    };
    let Some(arguments) = arguments else {
        return Response::error(400, "the body must be a JSON list of strings");
    };
    match control::execute(shared, &arguments) {
        Ok(text) => Response::plain(200, "OK", text),
        Err(error) => Response::plain(400, "Bad Request", error.to_string()),
    }
}

fn with_response(response: Response) -> HandledRequest {
    HandledRequest {
        response: Some(response),
        ending: ConnectionEnd::Answered,
        user: None,
        fault: None,
    }
}

fn without_response(ending: ConnectionEnd) -> HandledRequest {
    HandledRequest {
        response: None,
        ending,
        user: None,
        fault: None,
    }
}
