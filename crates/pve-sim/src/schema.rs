// SPDX-License-Identifier: GPL-3.0-only
//! The part of PVE's API schema that the simulator serves: paths, methods, who may call them, and
//! which parameters they take.
//!
//! The data (`data/api-schema.json`) is a reduction of what `PVE::RESTHandler::api_dump` emits on a
//! PVE 8.4; what that recording leaves out (`data/more-paths.json`) is written after the sources of
//! PVE 8.4 in the same form. Routing follows `PVE/RESTHandler.pm` (`map_path_to_methods`), the checks and their texts
//! follow `PVE/JSONSchema.pm`; both are compared with recorded answers in `tests/schema.rs`.
//!
//! Limits: the schema knows no behaviour. A parameter that the method's own code refuses
//! (`cannot use 'snapshot' parameter with 'current'`, `no such task`) passes here. Nothing in this
//! part of the API has a `fragmentDelimiter`, so no parameter spans several path segments.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::{Map, Value};

mod check;
mod format;
mod property_string;

use check::{Checker, Properties};

pub use check::perl_text;

/// Parameter name to PVE's text about it: the `errors` of an answer with status 400.
pub type ParameterErrors = BTreeMap<String, String>;

/// All paths that the simulator knows, as a tree of segments.
#[derive(Debug)]
pub struct Schema {
    version: String,
    root: PathNode,
}

impl Schema {
    /// The schema of PVE 8.4 that is built into this crate; parsed at the first call.
    pub fn builtin() -> &'static Self {
        static BUILTIN: LazyLock<Schema> = LazyLock::new(|| {
            Schema::parse(
                include_str!("../data/api-schema.json"),
                include_str!("../data/more-paths.json"),
            )
            .expect("the embedded schema is checked by the tests")
        });
        &BUILTIN
    }

    /// Version of the PVE the schema was taken from, for example `8.4.21/2606ac850d46da29`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Node of a path that is given as its decoded segments, without `/api2/json`.
    ///
    /// Empty segments are skipped, as in `find_handler` of `PVE/RESTHandler.pm`. `None` stands for
    /// a path PVE would answer with 501; so does a node without the wanted method.
    pub fn route(&self, segments: &[&str]) -> Option<Route<'_>> {
        let mut node = &self.root;
        let mut path_params = Vec::new();
        for segment in segments.iter().filter(|segment| !segment.is_empty()) {
            let (child, name) = node.child(segment)?;
            if let Some(name) = name {
                path_params.push((name.to_owned(), (*segment).to_owned()));
            }
            node = child;
        }
        Some(Route {
            template: &node.template,
            path_params,
            node,
        })
    }

    /// All methods with their paths, in the order of the paths.
    pub fn methods(&self) -> Vec<(&str, &str)> {
        let mut found = Vec::new();
        self.root.collect(&mut found);
        found.sort_by_key(|(method, path)| (*path, *method));
        found
    }

    fn parse(recorded: &str, more: &str) -> serde_json::Result<Self> {
        let file: SchemaFile = serde_json::from_str(recorded)?;
        let more: BTreeMap<String, BTreeMap<String, MethodSchema>> = serde_json::from_str(more)?;
        let mut root = PathNode {
            template: "/".to_owned(),
            ..PathNode::default()
        };
        for (path, methods) in file.paths.into_iter().chain(more) {
            root.insert(&path, methods);
        }
        Ok(Self {
            version: file.version,
            root,
        })
    }
}

/// What a path leads to.
#[derive(Debug, Clone)]
pub struct Route<'a> {
    /// The path as the schema writes it: `/nodes/{node}/qemu/{vmid}/config`.
    pub template: &'a str,
    /// Names and values of the parameters in the path, in the path's order.
    pub path_params: Vec<(String, String)>,
    /// Methods and sub-paths.
    pub node: &'a PathNode,
}

impl Route<'_> {
    /// Parameters of a call: those of the path together with those of query and body.
    ///
    /// As in `rest_handler` of `PVE/HTTPServer.pm`, a parameter of the path may be repeated if its
    /// value is the same; otherwise the call fails. PVE drops `_dc`, with which browsers get past
    /// their caches, before it looks at the parameters; so does this.
    pub fn parameters(
        &self,
        mut given: Map<String, Value>,
    ) -> Result<Map<String, Value>, ParameterErrors> {
        given.remove("_dc");
        for (name, value) in &self.path_params {
            if given
                .get(name)
                .is_some_and(|other| *value != perl_text(other))
            {
                let text = "duplicate parameter (already defined in URI) with conflicting values!";
                return Err(ParameterErrors::from([(name.clone(), text.to_owned())]));
            }
            given.insert(name.clone(), Value::String(value.clone()));
        }
        Ok(given)
    }
}

/// One level of the path tree.
#[derive(Debug, Default)]
pub struct PathNode {
    template: String,
    methods: BTreeMap<String, MethodSchema>,
    literals: BTreeMap<String, PathNode>,
    parameter: Option<(String, Box<PathNode>)>,
}

impl PathNode {
    /// The method's schema; `method` is `GET`, `POST`, `PUT` or `DELETE`.
    pub fn method(&self, method: &str) -> Option<&MethodSchema> {
        self.methods.get(method)
    }

    /// Fixed names of the sub-paths, sorted: what an index answer lists.
    pub fn children(&self) -> impl Iterator<Item = &str> {
        self.literals.keys().map(String::as_str)
    }

    fn collect<'a>(&'a self, found: &mut Vec<(&'a str, &'a str)>) {
        let methods = self.methods.keys();
        found.extend(methods.map(|method| (method.as_str(), self.template.as_str())));
        let parameter = self.parameter.iter().map(|(_, child)| &**child);
        for child in self.literals.values().chain(parameter) {
            child.collect(found);
        }
    }

    /// Literal segments win over a parameter. PVE itself allows only one of both on a level.
    fn child(&self, segment: &str) -> Option<(&Self, Option<&str>)> {
        if let Some(child) = self.literals.get(segment) {
            return Some((child, None));
        }
        let (name, child) = self.parameter.as_ref()?;
        // PVE matches parameters with `\S+`.
        let matches = !segment.contains(char::is_whitespace);
        matches.then_some((child, Some(name)))
    }

    fn insert(&mut self, path: &str, methods: BTreeMap<String, MethodSchema>) {
        let mut node = self;
        let mut template = String::new();
        for segment in path.split('/').filter(|segment| !segment.is_empty()) {
            template.push('/');
            template.push_str(segment);
            node = node.child_or_new(segment);
            node.template.clone_from(&template);
        }
        node.methods.extend(methods);
    }

    fn child_or_new(&mut self, segment: &str) -> &mut Self {
        match segment
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'))
        {
            None => self.literals.entry(segment.to_owned()).or_default(),
            Some(name) => {
                let new = || (name.to_owned(), Box::default());
                &mut self.parameter.get_or_insert_with(new).1
            }
        }
    }
}

/// One method of a path.
#[derive(Debug, Deserialize)]
pub struct MethodSchema {
    parameters: Properties,
    access: Access,
    proxyto: Option<String>,
    #[serde(default)]
    protected: bool,
    #[serde(default)]
    ticket_only: bool,
}

impl MethodSchema {
    /// Checks a call's parameters, those of the path included, as `PVE::JSONSchema::validate` does.
    ///
    /// Every offending parameter is named with PVE's own text. JSON arrays are taken for lists
    /// where the format is one, numbers may be strings, booleans `0`, `1`, `true`, `false`.
    pub fn check(&self, parameters: &Map<String, Value>) -> Result<(), ParameterErrors> {
        let errors = Checker::check(&self.parameters, parameters);
        if errors.is_empty() {
            Ok(())
        } else {
            Err(errors)
        }
    }

    /// A parameter's value as PVE keeps it: numbers for integers and booleans, text for the rest
    /// (`check_type` of `PVE/JSONSchema.pm`).
    pub fn stored(&self, name: &str, value: &Value) -> Value {
        check::stored(&self.parameters, name, value)
    }

    /// Whether the method has a parameter of that name.
    pub fn takes(&self, name: &str) -> bool {
        check::knows(&self.parameters, name)
    }

    /// Who may call the method, as far as the schema says it.
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// Name of the parameter that says which node carries the call out.
    pub fn proxyto(&self) -> Option<&str> {
        self.proxyto.as_deref()
    }

    /// Whether pveproxy hands the call to pvedaemon, which shows in the answer's headers.
    pub fn protected(&self) -> bool {
        self.protected
    }

    /// Whether API tokens are refused: 403, `URI '…' not available with API token, need proper
    /// ticket.` (`rest_handler` of `PVE/HTTPServer.pm`).
    pub fn ticket_only(&self) -> bool {
        self.ticket_only
    }
}

/// What `check_api2_permissions` of `PVE/RPCEnvironment.pm` demands before the method runs.
///
/// Methods for every user often filter what they return by the caller's privileges.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// Nobody needs to sign on.
    World,
    /// Anybody who has signed on.
    AnyUser,
    /// Privileges on an ACL path.
    Privileges {
        /// The ACL path, in which `{vmid}` and the like stand for parameters.
        path: String,
        /// Names of the privileges, for example `VM.Snapshot`.
        privileges: Vec<String>,
        /// One of the privileges is enough; otherwise all of them are needed.
        #[serde(default)]
        any: bool,
    },
}

#[derive(Deserialize)]
struct SchemaFile {
    version: String,
    paths: BTreeMap<String, BTreeMap<String, MethodSchema>>,
}
