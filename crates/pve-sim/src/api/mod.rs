// SPDX-License-Identifier: GPL-3.0-only
//! The API: from method and path to a reply. The checks follow PVE's order (`rest_handler` in
//! `PVE/HTTPServer.pm`): path, conflicting parameters, permission, node, parameters, then the
//! method's own code.
#![expect(
    clippy::unnecessary_wraps,
    reason = "all methods have the same signature, even if they cannot fail"
)]

mod access;
mod access_lists;
mod cluster;
mod config;
mod content;
mod datacenter;
mod guests;
mod ha;
mod indexes;
mod interfaces;
mod node_state;
mod nodes;
mod paths;
mod pools;
mod power;
mod reply;
mod resources;
mod routes;
mod schedules;
mod snapshots;
mod storages;
mod tasks;

use serde_json::{Map, Value};

use crate::clock::Seconds;
use crate::schema::{AccessRule, MethodSchema, ParameterErrors, Schema, perl_text};
use crate::tasks::Work;
use crate::world::guest::GuestKind;
use crate::world::{Reachability, World};

pub use reply::{Failure, Reply};

/// An authenticated call.
#[derive(Debug)]
pub struct Call<'a> {
    /// `GET`, `POST`, `PUT` or `DELETE`.
    pub method: &'a str,
    /// The decoded path below `/api2/json`.
    pub path: &'a str,
    /// Parameters of query and body.
    pub params: Map<String, Value>,
    /// User or full token ID; `None` without a login.
    pub who: Option<&'a str>,
    /// The node that received the request.
    pub node: &'a str,
    /// When the call arrived; a retry keeps this time.
    pub arrived: Seconds,
}

/// The supported methods and paths, sorted by path.
pub fn supported_methods() -> Vec<(&'static str, &'static str)> {
    let mut methods = Schema::builtin().methods();
    methods.retain(|(method, path)| routes::handler(method, path).is_some());
    methods
}

/// The daemon that responds; visible in the headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// pveproxy itself.
    Proxy,
    /// pvedaemon on the same node.
    Daemon,
    /// pveproxy of another node.
    OtherNode,
}

/// The arguments of a method.
pub(crate) struct Args<'a> {
    params: &'a Map<String, Value>,
    who: &'a str,
    template: &'a str,
    schema: Option<&'a MethodSchema>,
    here: &'a str,
    arrived: Seconds,
}

/// The code of a method.
type Handler = fn(&mut World, &Args<'_>) -> Result<Reply, Failure>;

/// Executes a call.
pub fn dispatch(world: &mut World, call: &Call<'_>) -> (Result<Reply, Failure>, Via) {
    world.run_due_steps();
    let segments: Vec<&str> = call.path.split('/').collect();
    let route = Schema::builtin().route(&segments);
    let found = route.as_ref().and_then(|route| {
        let handler = routes::handler(call.method, route.template)?;
        Some((route, route.node.method(call.method), handler))
    });
    let Some((route, schema, handler)) = found else {
        return (Err(unknown_path(call, &segments)), Via::Proxy);
    };
    let params = match route.parameters(call.params.clone()) {
        Ok(params) => params,
        Err(errors) => return (Err(Failure::Parameters(errors)), Via::Proxy),
    };
    if let Some(failure) = schema.and_then(|schema| access_error(world, schema, call, &params)) {
        return (Err(failure), Via::Proxy);
    }
    let via = match schema.map_or(Ok(Via::Proxy), |schema| {
        find_daemon(world, schema, call, &params)
    }) {
        Ok(via) => via,
        Err(failure) => return (Err(failure), Via::Proxy),
    };
    if let Some(Err(errors)) = schema.map(|schema| schema.check(&params)) {
        return (
            Err(Failure::Parameters(adapt_error_texts(world, errors))),
            via,
        );
    }
    let args = Args {
        params: &params,
        who: call.who.unwrap_or_default(),
        template: route.template,
        schema,
        here: call.node,
        arrived: call.arrived,
    };
    (handler(world, &args), via)
}

/// Adapts the text about a missing required parameter to PVE 9.
fn adapt_error_texts(world: &World, mut errors: ParameterErrors) -> ParameterErrors {
    if world.release.is_9() {
        for text in errors.values_mut() {
            let by = text
                .strip_prefix("missing property - ")
                .and_then(|rest| rest.strip_suffix(" requires this property"));
            if let Some(by) = by {
                *text = format!("missing property required by {by}");
            }
        }
    }
    errors
}

fn unknown_path(call: &Call<'_>, segments: &[&str]) -> Failure {
    let path = if call.path.is_empty() { "/" } else { call.path };
    Failure::NotImplemented {
        text: format!("Method '{} {path}' not implemented", call.method),
        in_pve: paths::find(call.method, segments),
    }
}

/// `check_api2_permissions`, preceded by the rule about API tokens.
fn access_error(
    world: &World,
    schema: &MethodSchema,
    call: &Call<'_>,
    params: &Map<String, Value>,
) -> Option<Failure> {
    let who = call.who.unwrap_or_default();
    if schema.ticket_only() && who.contains('!') {
        let path = call.path;
        return Some(Failure::forbidden(&format!(
            "URI '{path}' not available with API token, need proper ticket.\n"
        )));
    }
    match schema.access() {
        AccessRule::AnyUser if who.is_empty() => Some(Failure::forbidden("user != null")),
        AccessRule::World | AccessRule::AnyUser => None,
        AccessRule::Privileges {
            path,
            privileges,
            any,
        } => {
            let path = expand_template(path, params);
            check_privileges(world, who, &path, privileges, *any).err()
        }
    }
}

/// Requires all or one of the privileges on a path (`check_full`).
pub(crate) fn check_privileges(
    world: &World,
    who: &str,
    path: &str,
    privileges: &[impl AsRef<str>],
    any: bool,
) -> Result<(), Failure> {
    let own = world.access.permissions(world, who, path);
    let names: Vec<&str> = privileges.iter().map(AsRef::as_ref).collect();
    let missing = names.iter().find(|name| !own.contains_key(**name));
    match missing {
        None => Ok(()),
        Some(_) if any && names.iter().any(|name| own.contains_key(*name)) => Ok(()),
        Some(_) if any => Err(Failure::forbidden(&format!("{path}, {}", names.join("|")))),
        Some(name) => Err(Failure::forbidden(&format!("{path}, {name}"))),
    }
}

/// Replaces `{vmid}` and other parameters (`template_replace`).
fn expand_template(template: &str, params: &Map<String, Value>) -> String {
    params
        .iter()
        .fold(template.to_owned(), |text, (name, value)| {
            text.replace(&format!("{{{name}}}"), &perl_text(value))
        })
}

/// Finds the daemon that executes the call; the error is the response if no daemon can.
fn find_daemon(
    world: &World,
    schema: &MethodSchema,
    call: &Call<'_>,
    params: &Map<String, Value>,
) -> Result<Via, Failure> {
    let target = schema
        .proxyto()
        .and_then(|name| params.get(name))
        .map(perl_text);
    let node = target.as_deref().unwrap_or(call.node);
    find_daemon_on(world, call.node, node, schema.protected())
}

/// [`find_daemon`] for a known node.
pub(crate) fn find_daemon_on(
    world: &World,
    here: &str,
    node: &str,
    protected: bool,
) -> Result<Via, Failure> {
    if node == here || node == "localhost" {
        return Ok(if protected { Via::Daemon } else { Via::Proxy });
    }
    let Some(target) = world.nodes.get(node) else {
        return Err(Failure::Died(format!(
            "hostname lookup '{node}' failed - failed to get address info for: {node}: Name or service not known"
        )));
    };
    match &target.reach {
        Reachability::Online => Ok(Via::OtherNode),
        Reachability::Offline(reason) => Err(Failure::Unreachable {
            reason: reason.clone(),
            after: 0.0,
        }),
        Reachability::Silent => Err(Failure::Unreachable {
            reason: "Connection timed out".to_owned(),
            after: world.timing.proxy_timeout(),
        }),
    }
}

impl Args<'_> {
    /// A string parameter.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        let value = self.params.get(name)?;
        (!value.is_null()).then(|| perl_text(value).into_owned())
    }

    /// A path parameter; always present.
    pub(crate) fn in_path(&self, name: &str) -> String {
        self.text(name).unwrap_or_default()
    }

    /// A number; the schema has checked it.
    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.text(name)?.parse().ok()
    }

    /// A boolean; the schema has checked it. Default: false.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.text(name).is_some_and(|text| is_true(&text))
    }

    /// The node in the path; `localhost` is the node that received the request.
    pub(crate) fn node(&self) -> String {
        match self.in_path("node") {
            name if name == "localhost" => self.here.to_owned(),
            name => name,
        }
    }

    /// A parameter's value as PVE stores it in a configuration.
    pub(crate) fn stored(&self, name: &str, value: &Value) -> Value {
        match self.schema {
            Some(schema) => schema.stored(name, value),
            None => value.clone(),
        }
    }

    /// The VMID in the path.
    pub(crate) fn vmid(&self) -> u32 {
        self.number("vmid")
            .and_then(|vmid| u32::try_from(vmid).ok())
            .unwrap_or_default()
    }

    /// Starts a task for the guest in the path and returns its UPID.
    pub(crate) fn start_task(&self, world: &mut World, work: Work) -> Reply {
        let (kind, node) = (self.kind(), self.node());
        Reply::new(&world.start_task(kind, &node, self.vmid(), self.who, work))
    }

    /// The guest type in the path.
    pub(crate) fn kind(&self) -> GuestKind {
        if self.template.contains("/lxc") {
            GuestKind::Lxc
        } else {
            GuestKind::Qemu
        }
    }
}

/// The values that `parse_boolean` in `PVE/JSONSchema.pm` accepts as true.
pub(crate) fn is_true(text: &str) -> bool {
    matches!(
        text.to_ascii_lowercase().as_str(),
        "1" | "on" | "yes" | "true"
    )
}

/// An error about one parameter.
pub(crate) fn parameter_error(name: &str, text: &str) -> Failure {
    Failure::Parameters(ParameterErrors::from([(name.to_owned(), text.to_owned())]))
}

/// `split_list` in `PVE/Tools.pm`.
pub(crate) fn split_list(text: &str) -> impl Iterator<Item = &str> {
    text.split([',', ';', ' ', '\t', '\n', '\0'])
        .filter(|part| !part.is_empty())
}
