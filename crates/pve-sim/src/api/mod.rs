// SPDX-License-Identifier: GPL-3.0-only
//! The API proper: from a method and a path to an answer, in the order in
//! which PVE looks at a call (`PVE/HTTPServer.pm`: `rest_handler`): path,
//! conflicting parameters, permission, node, parameters, and only then the
//! method's own code.
#![expect(
    clippy::unnecessary_wraps,
    reason = "all methods have one form, whether they can fail or not"
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
use crate::schema::{Access, MethodSchema, ParameterErrors, Schema, perl_text};
use crate::world::guest::GuestKind;
use crate::world::{Reach, World};

pub use reply::{Failure, Reply};

/// A call that has passed the sign-on.
#[derive(Debug)]
pub struct Call<'a> {
    /// `GET`, `POST`, `PUT` or `DELETE`.
    pub method: &'a str,
    /// The decoded path below `/api2/json`.
    pub path: &'a str,
    /// Parameters of query and body.
    pub params: Map<String, Value>,
    /// User or full token name; none: nobody signed on.
    pub who: Option<&'a str>,
    /// The node whose address was asked.
    pub node: &'a str,
    /// When the call came; it stays when the call is tried again.
    pub arrived: Seconds,
}

/// The methods and paths that are answered, in the order of the paths.
pub fn served() -> Vec<(&'static str, &'static str)> {
    let mut methods = Schema::builtin().methods();
    methods.retain(|(method, path)| routes::handler(method, path).is_some());
    methods
}

/// Which daemon answered: it shows in the headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// pveproxy itself.
    Proxy,
    /// pvedaemon on the same node.
    Daemon,
    /// pveproxy of another node.
    OtherNode,
}

/// What a method gets to see.
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

/// Carries out a call.
pub fn dispatch(world: &mut World, call: &Call<'_>) -> (Result<Reply, Failure>, Via) {
    world.settle();
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
    if let Some(failure) = schema.and_then(|schema| refused(world, schema, call, &params)) {
        return (Err(failure), Via::Proxy);
    }
    let via = match schema.map_or(Ok(Via::Proxy), |schema| place(world, schema, call, &params)) {
        Ok(via) => via,
        Err(failure) => return (Err(failure), Via::Proxy),
    };
    if let Some(Err(errors)) = schema.map(|schema| schema.check(&params)) {
        return (Err(Failure::Parameters(in_words_of(world, errors))), via);
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

/// PVE 9 says in another way that a parameter needs another one.
fn in_words_of(world: &World, mut errors: ParameterErrors) -> ParameterErrors {
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

/// `check_api2_permissions`, and before it the rule about API tokens.
fn refused(
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
        Access::AnyUser if who.is_empty() => Some(Failure::forbidden("user != null")),
        Access::World | Access::AnyUser => None,
        Access::Privileges {
            path,
            privileges,
            any,
        } => {
            let path = fill_in(path, params);
            check_privileges(world, who, &path, privileges, *any).err()
        }
    }
}

/// Demands all or one of some privileges on a path (`check_full`).
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

/// Replaces `{vmid}` and the like (`template_replace`).
fn fill_in(template: &str, params: &Map<String, Value>) -> String {
    params
        .iter()
        .fold(template.to_owned(), |text, (name, value)| {
            text.replace(&format!("{{{name}}}"), &perl_text(value))
        })
}

/// Finds out which daemon of which node carries the call out, or why none can.
fn place(
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
    place_on(world, call.node, node, schema.protected())
}

/// [`place`] for a known node.
pub(crate) fn place_on(
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
        Reach::Online => Ok(Via::OtherNode),
        Reach::Offline(reason) => Err(Failure::Unreachable {
            reason: reason.clone(),
            after: 0.0,
        }),
        Reach::Silent => Err(Failure::Unreachable {
            reason: "Connection timed out".to_owned(),
            after: world.timing.proxy_timeout(),
        }),
    }
}

impl Args<'_> {
    /// A text parameter.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        match self.params.get(name)? {
            Value::Null => None,
            value => Some(perl_text(value).into_owned()),
        }
    }

    /// A parameter of the path; it is there, or the path would not have led here.
    pub(crate) fn in_path(&self, name: &str) -> String {
        self.text(name).unwrap_or_default()
    }

    /// A number, checked by the schema before.
    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.text(name)?.parse().ok()
    }

    /// A boolean, checked by the schema before; absent is false.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.text(name).is_some_and(|text| is_true(&text))
    }

    /// The node in the path; `localhost` is the node that was asked.
    pub(crate) fn node(&self) -> String {
        match self.in_path("node") {
            name if name == "localhost" => self.here.to_owned(),
            name => name,
        }
    }

    /// A parameter's value as PVE keeps it in a configuration.
    pub(crate) fn stored(&self, name: &str, value: &Value) -> Value {
        match self.schema {
            Some(schema) => schema.stored(name, value),
            None => value.clone(),
        }
    }

    /// The guest's number in the path.
    pub(crate) fn vmid(&self) -> u32 {
        self.number("vmid")
            .and_then(|vmid| u32::try_from(vmid).ok())
            .unwrap_or_default()
    }

    /// The kind of guest the path is about.
    pub(crate) fn kind(&self) -> GuestKind {
        if self.template.contains("/lxc") {
            GuestKind::Lxc
        } else {
            GuestKind::Qemu
        }
    }
}

/// What `parse_boolean` in `PVE/JSONSchema.pm` takes for true.
pub(crate) fn is_true(text: &str) -> bool {
    matches!(
        text.to_ascii_lowercase().as_str(),
        "1" | "on" | "yes" | "true"
    )
}

/// One parameter with a text about it.
pub(crate) fn parameter_error(name: &str, text: &str) -> Failure {
    Failure::Parameters(ParameterErrors::from([(name.to_owned(), text.to_owned())]))
}

/// `PVE::Tools::split_list`.
pub(crate) fn split_list(text: &str) -> impl Iterator<Item = &str> {
    text.split([',', ';', ' ', '\t', '\n', '\0'])
        .filter(|part| !part.is_empty())
}
