// SPDX-License-Identifier: GPL-3.0-only
//! The part of PVE's API schema that the simulator supports: paths, methods, permissions and
//! parameters.
//!
//! The data (`data/api-schema.json`) is a subset of the output of `PVE::RESTHandler::api_dump` on
//! PVE 8.4; `data/more-paths.json` adds paths that the recording lacks, written from the sources of
//! PVE 8.4 in the same format. Routing follows `PVE/RESTHandler.pm` (`map_path_to_methods`), checks
//! and error texts follow `PVE/JSONSchema.pm`; `tests/schema.rs` compares both with recorded
//! responses.
//!
//! Limits: checks in the methods' own code (`cannot use 'snapshot' parameter with 'current'`, `no
//! such task`) are not part of the schema. No path in this part of the API has a
//! `fragmentDelimiter`, so no parameter spans several path segments.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::{Map, Value};

mod format;
mod property_string;
mod validation;

use validation::{Checker, Properties};

pub use validation::perl_text;

/// PVE's error text per parameter: the `errors` of a 400 response.
pub type ParameterErrors = BTreeMap<String, String>;

/// All supported paths, as a tree of segments.
#[derive(Debug)]
pub struct Schema {
    version: String,
    root: PathNode,
}

impl Schema {
    /// The embedded schema of PVE 8.4; parsed on the first call.
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

    /// The PVE version of the schema, for example `8.4.21/2606ac850d46da29`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Finds a path, given as decoded segments without `/api2/json`.
    ///
    /// Skips empty segments, like `find_handler` in `PVE/RESTHandler.pm`. `None` means that PVE
    /// responds with 501, as it does for a path without the requested method.
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

    /// All methods with their paths, sorted by path.
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

/// A path found in the schema.
#[derive(Debug, Clone)]
pub struct Route<'a> {
    /// The path as the schema writes it: `/nodes/{node}/qemu/{vmid}/config`.
    pub template: &'a str,
    /// Names and values of the path parameters, in the order of the path.
    pub path_params: Vec<(String, String)>,
    /// The node in the path tree, with methods and sub-paths.
    pub node: &'a PathNode,
}

impl Route<'_> {
    /// The parameters of a call: path, query and body.
    ///
    /// As in `rest_handler` of `PVE/HTTPServer.pm`, a path parameter may be repeated with the same
    /// value; another value is an error. PVE ignores `_dc`, which browsers add to bypass their
    /// cache; so does this function.
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
    /// The schema of a method: `GET`, `POST`, `PUT` or `DELETE`.
    pub fn method(&self, method: &str) -> Option<&MethodSchema> {
        self.methods.get(method)
    }

    /// Fixed names of the sub-paths, sorted, as listed in an index response.
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

    /// Literal segments win over a parameter. PVE allows only one of the two per level.
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
    access: AccessRule,
    proxyto: Option<String>,
    #[serde(default)]
    protected: bool,
    #[serde(default)]
    ticket_only: bool,
}

impl MethodSchema {
    /// Checks all parameters of a call, including path parameters, like
    /// `PVE::JSONSchema::validate`.
    ///
    /// Returns PVE's error text for every invalid parameter. JSON arrays are accepted for list
    /// formats, strings for numbers, and `0`, `1`, `true` or `false` for booleans.
    pub fn check(&self, parameters: &Map<String, Value>) -> Result<(), ParameterErrors> {
        let errors = Checker::check(&self.parameters, parameters);
        if errors.is_empty() {
            Ok(())
        } else {
            Err(errors)
        }
    }

    /// The value as PVE stores it: numbers for integers and booleans, strings for all other types
    /// (`check_type` in `PVE/JSONSchema.pm`).
    pub fn stored(&self, name: &str, value: &Value) -> Value {
        validation::stored(&self.parameters, name, value)
    }

    /// Whether the method has this parameter.
    pub fn takes(&self, name: &str) -> bool {
        validation::knows(&self.parameters, name)
    }

    /// The permissions that the schema requires.
    pub fn access(&self) -> &AccessRule {
        &self.access
    }

    /// The parameter with the node that executes the call.
    pub fn proxyto(&self) -> Option<&str> {
        self.proxyto.as_deref()
    }

    /// Whether pveproxy forwards the call to pvedaemon, which changes the response headers.
    pub fn protected(&self) -> bool {
        self.protected
    }

    /// Whether PVE rejects API tokens: 403, `URI '…' not available with API token, need proper
    /// ticket.` (`rest_handler` in `PVE/HTTPServer.pm`).
    pub fn ticket_only(&self) -> bool {
        self.ticket_only
    }
}

/// The permissions that `check_api2_permissions` in `PVE/RPCEnvironment.pm` requires.
///
/// Methods for all users often filter their results by the caller's privileges.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccessRule {
    /// No login required.
    World,
    /// Any logged-in user.
    AnyUser,
    /// Privileges on an ACL path.
    Privileges {
        /// The ACL path; `{vmid}` and the like stand for parameters.
        path: String,
        /// Names of the privileges, for example `VM.Snapshot`.
        privileges: Vec<String>,
        /// Whether one of the privileges is sufficient; otherwise all are required.
        #[serde(default)]
        any: bool,
    },
}

#[derive(Deserialize)]
struct SchemaFile {
    version: String,
    paths: BTreeMap<String, BTreeMap<String, MethodSchema>>,
}
