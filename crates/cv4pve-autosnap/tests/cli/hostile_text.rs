// SPDX-License-Identifier: GPL-3.0-only
//! Names and messages that a hostile server, or an administrator of a guest, has chosen: they must
//! not control the terminal or forge lines.

use autosnap_core::text::{is_printable, one_line};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use crate::harness::{Lab, Output};
use crate::world::{World, day, vm};

/// Parts of hostile texts: line breaks before text that looks like a line of the report, commands
/// for a terminal, marks that turn the direction of the text, formulas, HTML.
const PARTS: [&str; 18] = [
    "\nINJECTED",
    "\r\nINJECTED",
    "\rINJECTED",
    "\u{1b}[2J",
    "\u{1b}]0;x\u{7}",
    "\u{9b}31m",
    "\u{85}INJECTED",
    "\u{202e}",
    "\u{2066}",
    "\u{2028}INJECTED",
    "\u{200b}",
    "\t",
    "\u{7f}",
    "=cmd()",
    "|",
    "<script>",
    "`x`",
    "web",
];

fn hostile() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(PARTS.as_slice()), 1..8)
        .prop_map(|parts| parts.concat())
}

/// A server that gives these texts wherever it can.
fn faults(text: &str) -> Value {
    let answer = |path: &str, data: Value| {
        let body = json!({"data": data}).to_string();
        json!({"method": "GET", "path": path, "effect": {"answer": {"status": 200, "reason": "OK", "body": body}}})
    };
    let guest = |vmid: u32, node: &str, status: &str| {
        json!({"id": format!("qemu/{vmid}"), "type": "qemu", "vmid": vmid, "node": node, "name": text, "status": status,
               "tags": text, "pool": text, "template": 0})
    };
    let resources = json!([
        {"id": "node/pve1", "type": "node", "node": "pve1", "status": "online"},
        {"id": "node/x", "type": "node", "node": text, "status": "offline"},
        {"id": "storage/pve1/x", "type": "storage", "storage": text, "node": "pve1", "status": "available",
         "plugintype": text, "content": "images", "disk": 1, "maxdisk": 100, "shared": 0},
        guest(100, "pve1", "running"), guest(101, "pve1", text), guest(102, text, "unknown"),
    ]);
    let ours = |name: String, taken: i64, state: Value| json!({"name": name, "snaptime": taken, "description": "cv4pve-autosnap\n", "parent": text, "snapstate": state});
    let snapshots = json!([
        ours("autodaily240101000000".to_owned(), day(1), Value::Null),
        ours(format!("autodaily{text}240102000000"), day(2), Value::Null),
        ours(format!("autodaily{text}"), day(3), json!(text)),
        ours(text.to_owned(), day(4), Value::Null),
        {"name": "current", "description": "You are here!", "parent": "autodaily240101000000"},
    ]);
    let locked =
        json!({"scsi0": format!("{text}:vm-101-disk-0,size=8G"), "lock": text, "digest": text});
    json!({
        "requests": [
            answer("/cluster/resources", resources),
            answer("/nodes/pve1/qemu/*/snapshot", snapshots),
            answer("/nodes/pve1/qemu/101/config", locked),
        ],
        "tasks": [{"effect": {"fail": text}}],
    })
}

/// Fails if a control character or a forged line is printed.
#[track_caller]
fn assert_safe(output: &Output, args: &str, text: &str) {
    let Output {
        status,
        stdout,
        stderr,
    } = output;
    for stream in [stdout, stderr] {
        let bad = stream
            .chars()
            .find(|&one| !is_printable(one) && one != '\n' && one != '\t');
        assert_eq!(bad, None, "{args} with {text:?}\n{output:?}");
        let forged = stream.lines().find(|line| line.starts_with("INJECTED"));
        assert_eq!(forged, None, "{args} with {text:?}\n{output:?}");
    }
    assert!(
        *status != 101 && *status >= 0,
        "{args} with {text:?}\n{output:?}"
    );
}

/// No command prints a control character that is not its own, in any output format.
#[test]
fn no_text_from_outside_reaches_the_terminal_as_it_is() {
    let mut runner = TestRunner::new(Config {
        cases: 6,
        failure_persistence: None,
        ..Config::default()
    });
    let checked = runner.run(&hostile(), |text| {
        let lab = Lab::new(&World::new([vm(100, "web01"), vm(101, "web02")]));
        lab.set_faults(&faults(&text).to_string());
        let printed = r"a\033[2Jb\r\n\tc\r\342\200\256\n";
        let hook = format!("#!/bin/sh\nprintf '{printed}'\nexit 1\n");
        let script = lab.script("hook.sh", &hook);
        lab.file("hook.conf", format!("--script=\"{}\"\n", script.display()));
        for args in [
            "--vmid=@all status",
            "--vmid=@all status --output=Markdown",
            "--vmid=@all status --output=Html",
            "--vmid=@all status --output=Csv",
            "--vmid=@all status --output=Json",
            "--vmid=@all status --output=JsonPretty",
            "--vmid=@all status --output=Jsonl",
            "--vmid=@all check --output=Json",
            "--vmid=@all snap --label=daily --keep=1 --dry-run --output=JsonPretty",
            "--vmid=@all check",
            "--vmid=@all snap --label=daily --keep=1 --dry-run --debug",
            "--vmid=@all @hook.conf --timeout=2 snap --label=daily --keep=1 --debug",
            "--vmid=@all clean --label=daily --keep=0 --debug",
            "--vmid=@all,-wab clean --label=daily --keep=0",
        ] {
            let output = lab.run(args);
            if args.contains("hook.conf") {
                output.assert_out("a\\u{1b}[2Jb\n\tc\\r\\u{202e}\n");
            }
            assert_safe(&output, args, &text);
            if args == "--vmid=@all status --output=Json" {
                let rows = output.json();
                let names: Vec<_> = rows
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|row| &row["NAME"])
                    .collect();
                assert!(names.contains(&&json!(text)), "{text:?} in {names:?}");
            }
            if args == "--vmid=@all status" {
                output.assert_out(&one_line(&text));
            }
        }
        Ok(())
    });
    checked.unwrap();
}

/// In a spreadsheet a name is not a formula, in Markdown it is a cell.
#[test]
fn names_are_neither_formulas_nor_markup() {
    let text = "=1+1|<b>`x`";
    let lab = Lab::new(&World::new([vm(100, "web01")]));
    lab.set_faults(&faults(text).to_string());
    let csv = lab.run("--vmid=100 status --output=Csv");
    csv.assert_status(0).assert_out(",'=1+1|<b>`x`,");
    let formula = csv
        .stdout
        .split([',', '\n'])
        .find(|cell| cell.trim_matches('"').starts_with('='));
    assert_eq!(formula, None, "{csv}");
    let markdown = lab.run("--vmid=100 status --output=Markdown");
    markdown
        .assert_status(0)
        .assert_out("=1+1&#124;&lt;b>&#96;x&#96;");
    for line in markdown.stdout.lines() {
        assert_eq!(line.matches('|').count(), 8, "{line}");
    }
}

/// What is to be pasted cannot do anything else.
#[test]
fn a_line_to_paste_is_quoted_for_the_shell() {
    for (name, pasted) in [
        ("x; reboot", "qm delsnapshot 100 'x; reboot' --force"),
        ("x\nreboot", "qm delsnapshot 100 SNAPSHOT --force"),
    ] {
        let lab = Lab::new(&World::new([vm(100, "web01").set("lock", "snapshot-delete").snapshot_with(
            json!({"name": name, "snaptime": day(1), "description": "cv4pve-autosnap", "snapstate": "delete"}),
        )]));
        let run = lab.run("--vmid=100 snap --label=daily --keep=1");
        run.assert_status(1).assert_out(pasted);
        lab.run("--vmid=100 check").assert_out(pasted);
    }
}

/// What is not whole is recognised in the lists for people, in the last column.
#[test]
fn status_shows_what_is_half_made_and_half_removed() {
    let snapshot = |name: &str, number: i64, state: &str, vmstate: bool| json!({"name": name, "snaptime": day(number), "description": "cv4pve-autosnap", "snapstate": state, "vmstate": vmstate});
    let lab = Lab::new(&World::new([vm(100, "web01")
        .taken("daily", &[1])
        .snapshot_with(snapshot("autodaily240102000000", 2, "prepare", false))
        .snapshot_with(snapshot("autodaily240103000000", 3, "delete", true))]));
    for (form, cells) in [
        (
            "Text",
            [
                "| incomplete (snapstate prepare)  |\n",
                "| X incomplete (snapstate delete) |\n",
            ],
        ),
        (
            "Plain",
            [
                "cv4pve-autosnap incomplete (snapstate prepare)\n",
                "cv4pve-autosnap X incomplete (snapstate delete)\n",
            ],
        ),
        (
            "Markdown",
            [
                "| incomplete (snapstate prepare)",
                "| X incomplete (snapstate delete)",
            ],
        ),
        (
            "Html",
            [
                ">incomplete (snapstate prepare)</td>",
                ">X incomplete (snapstate delete)</td>",
            ],
        ),
    ] {
        let output = lab.run(&format!("--vmid=100 status --output={form}"));
        output.assert_status(0);
        for cell in cells {
            assert_eq!(output.stdout.matches(cell).count(), 1, "{form}: {output}");
        }
        assert_eq!(
            output.stdout.matches("incomplete").count(),
            2,
            "{form}: {output}"
        );
    }
}
