// SPDX-License-Identifier: GPL-3.0-only
//! Compares the embedded schema with the recordings of a real PVE in `../shared`: it is a subset of
//! the recorded schema, and accepts and rejects the same requests as PVE.
//!
//! With `UPDATE_API_SCHEMA=1` in the environment, the first test rewrites the embedded schema.
#![expect(
    clippy::unwrap_used,
    reason = "the lint does not see that helpers of tests are tests"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use pve_sim::schema::{AccessRule, Schema};

fn recordings() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/pve-recordings")
}

fn read_json(path: &Path) -> Value {
    let text =
        std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap()
}

#[test]
fn embedded_schema_matches_the_recorded_one() {
    let full = read_json(&recordings().join("api-schema.json"));
    let reduced = reduce(&full);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/api-schema.json");
    if std::env::var_os("UPDATE_API_SCHEMA").is_some() {
        std::fs::write(&path, &reduced).unwrap();
    }
    let embedded = std::fs::read_to_string(&path).unwrap();
    assert!(
        embedded == reduced,
        "run this test once with UPDATE_API_SCHEMA=1"
    );
}

/// Keeps only what routing, checks and permissions need; one path per line for readable diffs.
fn reduce(full: &Value) -> String {
    let mut paths = BTreeMap::new();
    for node in full["tree"].as_array().unwrap() {
        reduce_node(node, &mut paths);
    }
    let mut text = format!("{{\"version\":{},\"paths\":{{", full["version"]);
    for (index, (path, methods)) in paths.iter().enumerate() {
        let separator = if index == 0 { "" } else { "," };
        write!(text, "{separator}\n{}:{methods}", json!(path)).unwrap();
    }
    text + "\n}}\n"
}

fn reduce_node(node: &Value, paths: &mut BTreeMap<String, Value>) {
    let methods: Map<String, Value> = node["info"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(method, info)| (method.clone(), reduce_method(info)))
        .collect();
    paths.insert(node["path"].as_str().unwrap().to_owned(), methods.into());
    for child in node["children"].as_array().into_iter().flatten() {
        reduce_node(child, paths);
    }
}

fn reduce_method(info: &Value) -> Value {
    assert_eq!(
        info["parameters"]["additionalProperties"], 0,
        "keep the flag if this changes"
    );
    let parameters = info["parameters"]
        .get("properties")
        .map_or(json!({}), reduce_properties);
    let mut reduced =
        json!({"parameters": parameters, "access": reduce_access(&info["permissions"])});
    if let Some(parameter) = info.get("proxyto") {
        reduced["proxyto"] = parameter.clone();
    }
    if info.get("protected").is_some_and(is_true) {
        reduced["protected"] = json!(true);
    }
    if !is_true(&info["allowtoken"]) {
        reduced["ticket_only"] = json!(true);
    }
    reduced
}

/// `check_api2_permissions` checks `user` first, then `check`.
fn reduce_access(permissions: &Value) -> Value {
    match permissions.get("user").and_then(Value::as_str) {
        Some("world") => return json!("world"),
        Some("all") => return json!("any_user"),
        other => assert_eq!(other, None),
    }
    let check = permissions["check"].as_array().unwrap();
    assert_eq!(check[0], "perm");
    let mut privileges = json!({"path": check[1], "privileges": check[2]});
    if check.len() > 3 {
        assert_eq!(check[3..], [json!("any"), json!(1)]);
        privileges["any"] = json!(true);
    }
    json!({"privileges": privileges})
}

fn reduce_properties(properties: &Value) -> Value {
    let reduced = properties.as_object().unwrap().iter();
    reduced
        .map(|(name, property)| (name.clone(), reduce_property(property)))
        .collect::<Map<_, _>>()
        .into()
}

fn reduce_property(property: &Value) -> Value {
    let mut reduced = Map::new();
    for (key, value) in property.as_object().unwrap() {
        let value = match key.as_str() {
            "optional" | "default_key" if is_true(value) => json!(true),
            "format" if value.is_object() => reduce_properties(value),
            "minimum" | "maximum" if value.is_string() => {
                serde_json::from_str(value.as_str().unwrap()).unwrap()
            }
            "format" | "pattern" | "enum" | "minimum" | "maximum" | "minLength" | "maxLength" => {
                value.clone()
            }
            "type" | "requires" | "alias" | "keyAlias" => value.clone(),
            _ => continue,
        };
        reduced.insert(key.clone(), value);
    }
    reduced.into()
}

fn is_true(flag: &Value) -> bool {
    flag == &json!(1)
}

/// Errors from a method's own code, after the schema check has succeeded.
const NOT_FROM_THE_SCHEMA: &[&str] = &[
    "read.guests.config-both",
    "read.nodes.storage-status-unknown",
    "snap.broken.unlock-as-admin",
    "tasks.read.status-garbage",
    "tasks.read.status-other-node",
    "tasks.read.status-unknown",
];

#[test]
fn recorded_requests_are_accepted_and_rejected_as_by_pve() {
    let (mut passed, mut refused) = (0, 0);
    for exchange in exchanges() {
        let name = exchange["name"].as_str().unwrap();
        let response = &exchange["response"];
        let errors = response["body"].get("errors");
        let expected = match (response["status"].as_u64(), errors) {
            (Some(400), Some(errors)) if !NOT_FROM_THE_SCHEMA.contains(&name) => errors.clone(),
            (Some(200 | 400), _) => json!({}),
            _ => continue,
        };
        let Some(judged) = judge(&exchange["request"]) else {
            continue;
        };
        assert_eq!(judged, expected, "{name}");
        if expected == json!({}) {
            passed += 1;
        } else {
            refused += 1;
        }
    }
    assert!(passed > 400, "only {passed} accepted requests were checked");
    assert!(refused > 35, "only {refused} refused requests were checked");
}

/// The errors of the schema check; `None` if this is not an API request.
fn judge(request: &Value) -> Option<Value> {
    let path = request["path"].as_str()?;
    let path = path
        .strip_prefix("/api2/json")
        .or_else(|| path.strip_prefix("/api2/extjs"))?;
    let segments: Vec<String> = path.split('/').map(decode).collect();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let Some(route) = Schema::builtin().route(&segments) else {
        // Recorded, but not in the recorded part of the schema.
        assert!(
            path.ends_with("/status/start") || path.ends_with("/status/stop"),
            "no route to {path}"
        );
        return None;
    };
    let Some(method) = route.node.method(request["method"].as_str()?) else {
        assert_eq!(
            route.template, "/",
            "the schema dump leaves out the root only"
        );
        return None;
    };
    let given = given_parameters(request);
    let checked = route
        .parameters(given)
        .and_then(|parameters| method.check(&parameters));
    Some(json!(checked.err().unwrap_or_default()))
}

fn given_parameters(request: &Value) -> Map<String, Value> {
    let mut given = match request.get("body") {
        Some(Value::Object(members)) => members.clone(),
        Some(Value::String(body)) => form_urlencoded::parse(body.as_bytes())
            .map(|(name, value)| (name.into_owned(), Value::String(value.into_owned())))
            .collect(),
        _ => Map::new(),
    };
    given.extend(request["query"].as_object().cloned().unwrap_or_default());
    given
}

fn decode(segment: &str) -> String {
    percent_encoding::percent_decode_str(segment)
        .decode_utf8()
        .unwrap()
        .into_owned()
}

fn exchanges() -> Vec<Value> {
    let folder = recordings().join("transcripts");
    let files = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    files
        .flat_map(|file| read_json(&file)["exchanges"].as_array().unwrap().clone())
        .collect()
}

#[test]
fn routes_name_their_parameters() {
    let schema = Schema::builtin();
    let route = schema
        .route(&["", "nodes", "pve1", "", "qemu", "100", "snapshot", "x1"])
        .unwrap();
    assert_eq!(
        route.template,
        "/nodes/{node}/qemu/{vmid}/snapshot/{snapname}"
    );
    let expected = [("node", "pve1"), ("vmid", "100"), ("snapname", "x1")];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(route.path_params, expected);
    assert_eq!(
        route.node.children().collect::<Vec<_>>(),
        ["config", "rollback"]
    );
    assert!(route.node.method("POST").is_none());
    let delete = route.node.method("DELETE").unwrap();
    assert_eq!((delete.proxyto(), delete.protected()), (Some("node"), true));
    assert!(!delete.ticket_only());
    let login = schema.route(&["access", "ticket"]).unwrap().node;
    assert!(login.method("POST").unwrap().ticket_only());
    let privileges = vec!["VM.Snapshot".to_owned()];
    let path = "/vms/{vmid}".to_owned();
    assert_eq!(
        delete.access(),
        &AccessRule::Privileges {
            path,
            privileges,
            any: false
        }
    );
}

#[test]
fn unknown_paths_have_no_route() {
    let schema = Schema::builtin();
    for path in [
        "nope",
        "version/x",
        "nodes/pve1/nope",
        "nodes/pve 1/qemu",
        "pools/a/b",
    ] {
        let segments: Vec<&str> = path.split('/').collect();
        assert!(schema.route(&segments).is_none(), "{path}");
    }
    assert_eq!(schema.route(&[]).unwrap().template, "/");
}

/// Errors of a request; `method` and `path` select the endpoint.
fn errors_of(method: &str, path: &str, given: &Value) -> Value {
    let segments: Vec<&str> = path.split('/').collect();
    let route = Schema::builtin().route(&segments).unwrap();
    let parameters = route.parameters(given.as_object().unwrap().clone());
    let result =
        parameters.and_then(|parameters| route.node.method(method).unwrap().check(&parameters));
    json!(result.err().unwrap_or_default())
}

#[test]
fn numbers_and_strings_are_interchangeable() {
    let path = "nodes/pve1/qemu/100/snapshot";
    for vmstate in [json!(1), json!("0"), json!(true), json!(false)] {
        assert_eq!(
            errors_of("POST", path, &json!({"snapname": "ab", "vmstate": vmstate})),
            json!({})
        );
    }
    let refused = [
        (json!("true"), "type check ('boolean') failed - got 'true'"),
        (json!(2), "type check ('boolean') failed - got '2'"),
        (json!(""), "type check ('boolean') failed - got ''"),
        (json!([]), "type check ('boolean') failed - got ARRAY"),
        (json!({}), "type check ('boolean') failed - got HASH"),
    ];
    for (vmstate, text) in refused {
        let given = json!({"snapname": "ab", "vmstate": vmstate});
        assert_eq!(errors_of("POST", path, &given), json!({"vmstate": text}));
    }
    let given = json!({"snapname": true, "description": null});
    let text = "type check ('string') failed - got JSON::PP::Boolean";
    assert_eq!(errors_of("POST", path, &given), json!({"snapname": text}));
}

#[test]
fn parameters_of_the_path_are_checked_and_may_be_repeated() {
    let given = json!({"snapname": "ab", "vmid": 100, "_dc": "1732324567"});
    assert_eq!(
        errors_of("POST", "nodes/pve1/qemu/100/snapshot", &given),
        json!({})
    );
    let text = "duplicate parameter (already defined in URI) with conflicting values!";
    let given = json!({"snapname": "ab", "vmid": "101"});
    assert_eq!(
        errors_of("POST", "nodes/pve1/qemu/100/snapshot", &given),
        json!({"vmid": text})
    );
    let vmid = "invalid format - value does not look like a valid VM ID\n";
    let node = "invalid format - value does not look like a valid node name\n";
    let expected = json!({"vmid": vmid, "node": node});
    assert_eq!(
        errors_of("GET", "nodes/pve_1/qemu/99/snapshot", &json!({})),
        expected
    );
    let expected = json!({"vmid": "type check ('integer') failed - got 'abc'"});
    assert_eq!(
        errors_of("GET", "nodes/pve1/qemu/abc/snapshot", &json!({})),
        expected
    );
}

#[test]
fn number_limits_and_required_parameters_are_reported() {
    let path = "nodes/pve1/tasks";
    let expected = json!({
        "start": "value must have a minimum value of 0",
        "limit": "type check ('integer') failed - got '1.5'",
        "vmid": "invalid format - value does not look like a valid VM ID\n",
    });
    assert_eq!(
        errors_of("GET", path, &json!({"start": -1, "limit": 1.5, "vmid": 7})),
        expected
    );
    let given = json!({"username": "a@pve", "password": "x", "path": "/"});
    let expected = json!({"privs": "missing property - 'path' requires this property"});
    assert_eq!(errors_of("POST", "access/ticket", &given), expected);
    let given = json!({"userid": "nobody"});
    let expected = json!({"userid": "value does not match the regex pattern"});
    assert_eq!(errors_of("GET", "access/permissions", &given), expected);
}

#[test]
fn property_strings_and_indexed_names_are_checked() {
    let path = "nodes/pve1/lxc/200/config";
    let good = json!({"mp0": "tank:8,mp=/data,backup=yes", "net1": "name=eth0,bridge=vmbr0", "tags": "a;b"});
    assert_eq!(errors_of("PUT", path, &good), json!({}));
    let bad = json!({"mp0": "tank:8", "mp1": "tank:8,mp=/a,nope=1", "mp01": "x", "rootfs": "tank:8,ro=perhaps"});
    let expected = json!({
        "mp0": "invalid format - format error\nmp0.mp: property is missing and it is not optional\n",
        "mp1": "invalid format - invalid key in comma-separated list property: nope\n",
        "mp01": "property is not defined in schema and the schema does not allow additional properties",
        "rootfs": "invalid format - format error\nrootfs.ro: type check ('boolean') failed - got 'perhaps'\n",
    });
    assert_eq!(errors_of("PUT", path, &bad), expected);
}

#[test]
fn lists_may_be_arrays() {
    let given = json!({"delete": ["tags", "lock"]});
    assert_eq!(
        errors_of("PUT", "nodes/pve1/lxc/200/config", &given),
        json!({})
    );
    let given = json!({"content": ["images", "nope"]});
    let expected = json!({"content": "invalid format - invalid content type 'nope'\n"});
    assert_eq!(errors_of("GET", "nodes/pve1/storage", &given), expected);
}
