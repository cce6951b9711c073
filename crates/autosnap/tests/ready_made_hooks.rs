// SPDX-License-Identifier: GPL-3.0-only
//! The hooks in `/hooks`, each run by its shell; the metrics hook sends to a small web server that
//! records the requests.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a failed preparation fails the test")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{SystemTime, UNIX_EPOCH};

use autosnap::hook::{Hook, Phase, Settings};
use serde_json::{Value, json};

fn hook(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../hooks")
        .join(name)
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

/// A request as the server received it.
struct Request {
    /// `POST /path HTTP/1.1`
    line: String,
    /// Names in lower case, values unchanged.
    headers: Vec<(String, String)>,
    body: String,
}

impl Request {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

/// Answers one request with `status` and returns it.
fn receive(listener: &TcpListener, status: &str) -> Request {
    let (mut stream, _) = listener.accept().unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    assert!(!lines.is_empty(), "the hook sent nothing");
    let split = |line: &String| {
        let (key, value) = line.split_once(": ").unwrap();
        (key.to_lowercase(), value.to_owned())
    };
    let headers: Vec<_> = lines[1..].iter().map(split).collect();
    let mut request = Request {
        line: lines.remove(0),
        headers,
        body: String::new(),
    };
    let length: u64 = request.header("content-length").unwrap().parse().unwrap();
    reader
        .take(length)
        .read_to_string(&mut request.body)
        .unwrap();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    request
}

/// The variables of the phase after a snapshot, with values that every format must escape.
const GUEST: [(&str, &str); 12] = [
    ("PHASE", "snap-create-post"),
    ("VMID", "100"),
    ("VMNAME", "we\"b, 0=1\\ ä\n"),
    ("VMTYPE", "qemu"),
    ("LABEL", "dai ly"),
    ("KEEP", "7"),
    ("SNAP_NAME", "auto\"x\\y"),
    ("VMSTATE", "0"),
    ("DURATION", "1.5"),
    ("STATE", "1"),
    ("DEBUG", "0"),
    ("DRY_RUN", "0"),
];

const CLEAN: [(&str, &str); 12] = [
    ("PHASE", "clean-job-end"),
    ("VMID", ""),
    ("VMNAME", ""),
    ("VMTYPE", ""),
    ("LABEL", "daily"),
    ("KEEP", "3"),
    ("SNAP_NAME", ""),
    ("VMSTATE", "0"),
    ("DURATION", "12"),
    ("STATE", "0"),
    ("DEBUG", "0"),
    ("DRY_RUN", "0"),
];

fn metrics(variables: &[(&str, &str)], settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new("/bin/sh");
    command
        .arg(hook("send-metrics.sh"))
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap());
    command.envs(
        variables
            .iter()
            .map(|(name, value)| (format!("CV4PVE_AUTOSNAP_{name}"), value)),
    );
    command.envs(settings.iter().copied());
    command
}

/// Runs the hook against a server that replies with `status`.
fn exchange(mut command: Command, status: &str) -> (Request, Output) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    command.env(
        "METRICS_ENDPOINT",
        format!("http://{}/push", listener.local_addr().unwrap()),
    );
    std::thread::scope(|scope| {
        let server = scope.spawn(|| receive(&listener, status));
        let output = command.output().unwrap();
        // Unblocks a server that was not called; its thread then fails because of an empty request.
        drop(TcpStream::connect(listener.local_addr().unwrap()));
        (server.join().unwrap(), output)
    })
}

/// Runs the hook for one format; returns the body that it sent.
#[track_caller]
fn sent(variables: &[(&str, &str)], kind: &str, content_type: &str) -> String {
    let (request, output) = exchange(metrics(variables, &[("METRICS_TYPE", kind)]), "200 OK");
    let guest = if variables == GUEST {
        " of guest 100"
    } else {
        ""
    };
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        format!("sent {kind} metrics{guest}\n")
    );
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    assert!(output.status.success());
    assert_eq!(request.line, "POST /push HTTP/1.1");
    assert_eq!(request.header("content-type"), Some(content_type));
    assert_eq!(request.header("authorization"), None);
    request.body
}

/// Replaces the time of the call, in seconds, by `NOW`.
fn without_time(text: &str, before: u64) -> String {
    (before..=now()).fold(text.to_owned(), |text, second| {
        text.replace(&second.to_string(), "NOW")
    })
}

#[test]
fn prometheus_gets_its_text_format() {
    let before = now();
    let guest = r#"vmid="100",vmname="we\"b, 0=1\\ ä",vmtype="qemu",label="dai ly""#;
    assert_eq!(
        without_time(&sent(&GUEST, "prometheus", "text/plain"), before),
        format!(
            "cv4pve_snapshot_duration_seconds{{{guest},vmstate=\"0\",status=\"1\"}} 1.5\n\
             cv4pve_snapshot_created{{{guest},snap_name=\"auto\\\"x\\\\y\",status=\"1\"}} NOW\n"
        )
    );
    assert_eq!(
        without_time(&sent(&CLEAN, "prometheus", "text/plain"), before),
        "cv4pve_snapshot_cleanup_total{vmid=\"\",vmname=\"\",label=\"daily\",status=\"0\"} NOW\n"
    );
}

#[test]
fn influxdb_gets_its_line_protocol() {
    let before = now();
    assert_eq!(
        without_time(
            &sent(&GUEST, "influxdb", "text/plain; charset=utf-8"),
            before
        ),
        "snapshots,vmid=100,vmname=we\"b\\,\\ 0\\=1\\\\ ä,vmtype=qemu,label=dai\\ ly,vmstate=0,status=1 \
         duration=1.5,created=NOWi,snap_name=\"auto\\\"x\\\\y\"\n"
    );
    assert_eq!(
        sent(&CLEAN, "influxdb", "text/plain; charset=utf-8"),
        "cleanup,label=daily,vmstate=0,status=0 count=1i,duration=12\n"
    );
}

fn expected_json(time: &Value) -> Value {
    json!({
        "phase": "snap-create-post", "vmid": 100, "vmname": "we\"b, 0=1\\ ä", "vmtype": "qemu", "label": "dai ly",
        "keep": 7, "snap_name": "auto\"x\\y", "vmstate": "0", "duration": 1.5, "status": "1", "debug": "0",
        "dry_run": "0", "timestamp": time,
    })
}

#[test]
fn json_is_valid_and_complete() {
    let before = now();
    let body: Value = serde_json::from_str(&sent(&GUEST, "json", "application/json")).unwrap();
    assert!((before..=now()).contains(&body["timestamp"].as_u64().unwrap()));
    assert_eq!(body, expected_json(&body["timestamp"]));
    let body: Value = serde_json::from_str(&sent(&CLEAN, "json", "application/json")).unwrap();
    assert_eq!(body["vmid"], Value::Null);
    assert_eq!(
        (&body["status"], &body["label"]),
        (&json!("0"), &json!("daily"))
    );
}

#[test]
fn loki_gets_a_stream_with_json_in_it() {
    for kind in ["loki", "grafana"] {
        let before = now();
        let body: Value = serde_json::from_str(&sent(&GUEST, kind, "application/json")).unwrap();
        let [time, line] = body["streams"][0]["values"][0]
            .as_array()
            .unwrap()
            .as_slice()
        else {
            panic!("{body}")
        };
        let nanoseconds: u64 = time.as_str().unwrap().parse().unwrap();
        assert!(
            (before..=now()).contains(&(nanoseconds / 1_000_000_000)),
            "{time}"
        );
        let stream = json!({"job": "cv4pve-autosnap", "vmid": "100", "phase": "snap-create-post"});
        assert_eq!(
            body,
            json!({"streams": [{"stream": stream, "values": [[time, line]]}]})
        );
        let line: Value = serde_json::from_str(line.as_str().unwrap()).unwrap();
        assert_eq!(line, expected_json(&line["timestamp"]));
    }
}

#[test]
fn guests_can_be_grouped_separately() {
    let (request, _) = exchange(metrics(&GUEST, &[("METRICS_PER_GUEST", "1")]), "200 OK");
    assert_eq!(request.line, "POST /push/vmid/100 HTTP/1.1");
    let (request, _) = exchange(metrics(&CLEAN, &[("METRICS_PER_GUEST", "1")]), "200 OK");
    assert_eq!(request.line, "POST /push HTTP/1.1");
}

/// Base64 of `me:pa"ss\w ö`.
const LOGIN: [(&str, &str); 2] = [
    ("METRICS_USERNAME", "me"),
    ("METRICS_PASSWORD", "pa\"ss\\w ö"),
];
const AUTHORIZATION: &str = "Basic bWU6cGEic3NcdyDDtg==";

#[test]
fn a_login_is_sent_if_it_is_set() {
    let (request, output) = exchange(metrics(&GUEST, &LOGIN), "200 OK");
    assert_eq!(request.header("authorization"), Some(AUTHORIZATION));
    assert!(output.status.success());
}

/// A folder with links to these tools, if they are installed, for a `PATH` without other tools.
fn only_tools(tools: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for tool in tools {
        let found = std::env::split_paths(&std::env::var_os("PATH").unwrap())
            .map(|path| path.join(tool))
            .find(|path| path.exists());
        if let Some(found) = found {
            std::os::unix::fs::symlink(found, folder.path().join(tool)).unwrap();
        }
    }
    folder
}

#[test]
fn wget_is_used_without_curl() {
    let tools = only_tools(&["sed", "tr", "date", "mktemp", "rm", "wget"]);
    let mut command = metrics(&GUEST, &LOGIN);
    command.env("PATH", tools.path());
    if !tools.path().join("wget").exists() {
        // Without wget too, the hook must report that.
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        return;
    }
    let (request, output) = exchange(command, "200 OK");
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    assert!(output.status.success());
    assert_eq!(request.line, "POST /push HTTP/1.1");
    assert_eq!(request.header("content-type"), Some("text/plain"));
    assert_eq!(request.header("authorization"), Some(AUTHORIZATION));
    assert!(
        request
            .body
            .starts_with("cv4pve_snapshot_duration_seconds{vmid=\"100\""),
        "{}",
        request.body
    );
    let mut command = metrics(&GUEST, &[]);
    command.env("PATH", tools.path());
    let (request, output) = exchange(command, "500 No");
    assert_eq!(request.header("authorization"), None);
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn failures_are_reported_and_exit_with_1() {
    let check = |mut command: Command, expected: &str| {
        let output = command.output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.contains(expected), "{stderr}");
        assert_eq!(output.status.code(), Some(1), "{stderr}");
    };
    check(
        metrics(&GUEST, &[("METRICS_TYPE", "graphite")]),
        "unknown METRICS_TYPE 'graphite'; use prometheus, ",
    );
    let tools = only_tools(&["sed", "tr", "date"]);
    let mut command = metrics(&GUEST, &[]);
    command.env("PATH", tools.path());
    check(
        command,
        "cannot send metrics: neither curl nor wget is installed",
    );
    // A port that was just free and has no listener.
    let address = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let endpoint = format!("http://me:secret@{address}/push");
    let mut command = metrics(&GUEST, &[("METRICS_ENDPOINT", &endpoint)]);
    let output = command.output().unwrap();
    assert!(!String::from_utf8(output.stderr).unwrap().contains("secret"));
    check(
        command,
        &format!("cannot send prometheus metrics to http://{address}/push"),
    );
    let (_, output) = exchange(metrics(&GUEST, &[]), "400 Bad Request");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn other_phases_send_nothing() {
    for phase in Phase::ALL
        .into_iter()
        .filter(|phase| !matches!(phase, Phase::SnapCreatePost | Phase::CleanJobEnd))
    {
        let output = metrics(
            &[("PHASE", phase.as_str())],
            &[("METRICS_ENDPOINT", "http://127.0.0.1:1/")],
        )
        .output()
        .unwrap();
        assert!(
            output.status.success() && output.stdout.is_empty() && output.stderr.is_empty(),
            "{phase}: {output:?}"
        );
    }
}

#[test]
fn the_shell_template_handles_every_phase_and_no_other() {
    let run = |phase: &str| {
        Command::new("/bin/sh")
            .arg(hook("template.sh"))
            .env("CV4PVE_AUTOSNAP_PHASE", phase)
            .output()
            .unwrap()
    };
    for phase in Phase::ALL {
        assert!(run(phase.as_str()).status.success(), "{phase}");
    }
    let output = run("snap-create");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "unknown phase 'snap-create'\n"
    );
}

/// The other two need interpreters that are rarely installed, so only their branches are checked.
#[test]
fn the_other_templates_have_a_branch_for_every_phase() {
    for (name, branch) in [
        ("template.ps1", "\n    'PHASE' {"),
        ("template.cmd", "\r\n:PHASE\r\n"),
    ] {
        let text = std::fs::read_to_string(hook(name)).unwrap();
        for phase in Phase::ALL {
            assert_eq!(
                text.matches(&branch.replace("PHASE", phase.as_str()))
                    .count(),
                1,
                "{name} {phase}"
            );
        }
    }
}

#[test]
fn the_shell_hooks_are_executable() {
    for name in ["template.sh", "send-metrics.sh"] {
        let path = hook(name);
        let hook = Hook::new(&path, Settings::default()).unwrap();
        assert!(hook.start_error().is_none(), "{name}");
    }
}
