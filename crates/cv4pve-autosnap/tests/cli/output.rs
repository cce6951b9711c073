// SPDX-License-Identifier: GPL-3.0-only
//! Output: `status` in all formats, the JSON report, the hint about the guest agent, and that the
//! blocks of guests are never mixed.

use insta::assert_snapshot;
use regex_lite::Regex;
use serde_json::{Value, json};

use crate::harness::{Lab, Output};
use crate::world::{World, ct, day, vm};

fn lab() -> Lab {
    Lab::new(&World::new([
        vm(100, "web01")
            .taken("daily", &[1])
            .snapshot("by-hand", day(2), "before the <upgrade>")
            .snapshot_with(json!({"name": "autoram240103000000", "snaptime": day(3),
                "description": "cv4pve-autosnap", "vmstate": true})),
        ct(1000, "proxy").on("pve2").taken("daily", &[4]),
        vm(101, "empty"),
    ]))
}

/// Removes the ages, which change every second.
fn without_ages(output: &Output) -> String {
    let ages = Regex::new(r"\b[0-9]{8,9}\b").unwrap();
    ages.replace_all(&output.to_string(), "<age>").into_owned()
}

#[test]
fn status_as_csv() {
    assert_snapshot!(without_ages(&lab().run("--vmid=@all status --output=CSV")), @r#"
    exit status 0
    --- stdout ---
    NODE,VM,TIME,PARENT,NAME,DESCRIPTION,VM STATUS,label,snaptime,age,type,guest_name,vmstate,snapstate
    pve1,100,24/01/01 00:00:00,no-parent,autodaily240101000000,cv4pve-autosnap,,daily,1704067200,<age>,qemu,web01,false,
    pve1,100,24/01/03 00:00:00,by-hand,autoram240103000000,cv4pve-autosnap,X,ram,1704240000,<age>,qemu,web01,true,
    pve2,1000,24/01/04 00:00:00,no-parent,autodaily240104000000,cv4pve-autosnap,,daily,1704326400,<age>,lxc,proxy,false,
    "#);
}

#[test]
fn status_as_yaml() {
    assert_snapshot!(without_ages(&lab().run("--vmid=1000 status --output=yaml")), @r#"
    exit status 0
    --- stdout ---
    - NODE: pve2
      VM: 1000
      TIME: 24/01/04 00:00:00
      PARENT: no-parent
      NAME: autodaily240104000000
      DESCRIPTION: cv4pve-autosnap
      VM STATUS: ''
      label: daily
      snaptime: 1704326400
      age: <age>
      type: lxc
      guest_name: proxy
      vmstate: false
      snapstate: null
    "#);
}

#[test]
fn status_as_json() {
    assert_snapshot!(without_ages(&lab().run("--vmid=100 status --output=jsonpretty")), @r#"
    exit status 0
    --- stdout ---
    [
      {
        "NODE": "pve1",
        "VM": 100,
        "TIME": "24/01/01 00:00:00",
        "PARENT": "no-parent",
        "NAME": "autodaily240101000000",
        "DESCRIPTION": "cv4pve-autosnap",
        "VM STATUS": "",
        "label": "daily",
        "snaptime": 1704067200,
        "age": <age>,
        "type": "qemu",
        "guest_name": "web01",
        "vmstate": false,
        "snapstate": null
      },
      {
        "NODE": "pve1",
        "VM": 100,
        "TIME": "24/01/03 00:00:00",
        "PARENT": "by-hand",
        "NAME": "autoram240103000000",
        "DESCRIPTION": "cv4pve-autosnap",
        "VM STATUS": "X",
        "label": "ram",
        "snaptime": 1704240000,
        "age": <age>,
        "type": "qemu",
        "guest_name": "web01",
        "vmstate": true,
        "snapstate": null
      }
    ]
    "#);
}

#[test]
fn status_as_json_has_the_keys_of_the_csharp_tool_in_all_formats() {
    let lab = lab();
    let form = |form: &str| {
        let mut rows = lab
            .run(&format!("--vmid=@all status --output={form}"))
            .json();
        for row in rows.as_array_mut().unwrap() {
            // A second may have passed between two runs.
            assert!(row["age"].take().is_i64());
        }
        rows
    };
    let array = form("Json");
    assert_eq!(array, form("JSONPRETTY"));
    let lines = lab.run("--vmid=@all status --output=jsonl");
    let lines: Vec<Value> = lines
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 3);
    for row in array.as_array().unwrap().iter().chain(&lines) {
        for key in [
            "NODE",
            "VM",
            "TIME",
            "PARENT",
            "NAME",
            "DESCRIPTION",
            "VM STATUS",
        ] {
            assert!(row.get(key).is_some(), "{key} in {row}");
        }
    }
}

#[test]
fn status_of_one_label() {
    let output = lab().run("--vmid=@all status --label=ram --output=Plain");
    assert_eq!(output.stdout.lines().count(), 2, "{output}");
    output.assert_out("autoram240103000000");
}

#[test]
fn status_without_snapshots_is_empty_in_every_format() {
    let lab = lab();
    for (form, expected) in [
        ("Json", "[]\n"),
        ("JsonPretty", "[]\n"),
        ("Jsonl", ""),
        ("Yaml", "[]\n"),
        (
            "Csv",
            "NODE,VM,TIME,PARENT,NAME,DESCRIPTION,VM STATUS,label,snaptime,age,type,guest_name,vmstate,snapstate\n",
        ),
    ] {
        let output = lab.run(&format!("--vmid=101 status --output={form}"));
        output.assert_status(0);
        assert_eq!(output.stdout, expected, "{form}");
    }
}

#[test]
fn times_are_local() {
    let lab = lab();
    let mut command = lab.command();
    command
        .env("TZ", "Europe/Berlin")
        .arg(format!("--host={}", lab.host()))
        .args(["--api-token=file:token", "--vmid=1000", "status"]);
    lab.finish(command)
        .assert_status(0)
        .assert_out("24/01/04 01:00:00");
}

#[test]
fn status_fails_if_a_guest_cannot_be_read_and_shows_the_others() {
    let lab = lab();
    lab.set_faults(r#"{"requests": [{"path": "/nodes/*/lxc/**", "effect": {"answer": {"status": 500, "reason": "broken"}}}]}"#);
    let output = lab.run("--vmid=@all status");
    output.assert_status(1).assert_out("autodaily240101000000");
    output.assert_err("CT 1000 on node pve2 cannot be read: broken");
}

#[test]
fn a_vm_without_agent_gets_the_hint() {
    let world = World::new([
        vm(100, "short"),
        vm(101, "long").set("agent", "enabled=1,fstrim_cloned_disks=1"),
        vm(102, "off").set("agent", "0"),
        vm(103, "off").set("agent", "enabled=0"),
        vm(104, "none").set("agent", Value::Null),
        vm(105, "behind").set("agent", "fstrim_cloned_disks=1,enabled=1"),
        ct(200, "container"),
    ]);
    let output = Lab::new(&world).run("--vmid=@all snap --label=x --keep=1 --max-parallel=1");
    output.assert_status(0);
    assert_snapshot!(output.lines("VM 1").join("\n"), @r#"
    VM 102 consider enabling QEMU agent see https://pve.proxmox.com/wiki/Qemu-guest-agent
    VM 103 consider enabling QEMU agent see https://pve.proxmox.com/wiki/Qemu-guest-agent
    VM 104 consider enabling QEMU agent see https://pve.proxmox.com/wiki/Qemu-guest-agent
    "#);
}

/// Three guests: one to snapshot, one that is locked, one that is skipped.
fn three_guests() -> Lab {
    Lab::new(&World::new([
        vm(100, "web01").taken("daily", &[1, 2]).set("agent", 0),
        ct(200, "proxy").set("lock", "backup"),
        vm(300, "template").set("template", 1).stopped(),
    ]))
}

#[test]
fn the_json_report_of_a_run() {
    let args = "--vmid=100,200,-999 snap --label=daily --keep=1 --output=JsonPretty";
    let output = three_guests().run(args);
    output.assert_status(1);
    let changing = Regex::new(r#"("started": "|"seconds": )[^",]+"#).unwrap();
    assert_snapshot!(changing.replace_all(&output.stdout, "$1<time>"), @r#"
    {
      "version": 1,
      "command": "snap",
      "dry_run": false,
      "started": "<time>",
      "seconds": <time>,
      "pve_version": "8.4.21",
      "selection": "100,200,-999",
      "label": "daily",
      "keep": 1,
      "policy": "keep-last=1",
      "timezone": "UTC",
      "adopted_labels": [],
      "exit_status": 1,
      "created": 1,
      "removed": 2,
      "postponed": 0,
      "over_limit": 0,
      "not_covered": 0,
      "kept": null,
      "warnings": [
        "`-999` matches no guest: no guest has this ID, or this login may not see it (VM.Audit)"
      ],
      "nested_pools": [],
      "tagged_off": [],
      "error": null,
      "guests": [
        {
          "vmid": 100,
          "node": "pve1",
          "type": "qemu",
          "name": "web01",
          "result": "done",
          "reason": null,
          "detail": null,
          "hint": null,
          "seconds": <time>,
          "create": "autodaily<now>",
          "remove": [
            "autodaily240101000000",
            "autodaily240102000000"
          ],
          "over_limit": 0,
          "verdicts": [
            {
              "snapshot": "autodaily240102000000",
              "taken": "2024-01-02T00:00:00Z",
              "verdict": "remove",
              "reasons": [
                "2nd newest, keep 1"
              ]
            },
            {
              "snapshot": "autodaily240101000000",
              "taken": "2024-01-01T00:00:00Z",
              "verdict": "remove",
              "reasons": [
                "3rd newest, keep 1"
              ]
            }
          ],
          "created": "autodaily<now>",
          "removed": [
            "autodaily240101000000",
            "autodaily240102000000"
          ],
          "failures": [],
          "hooks_failed": [],
          "warnings": [
            "VM 100 consider enabling QEMU agent see https://pve.proxmox.com/wiki/Qemu-guest-agent"
          ]
        },
        {
          "vmid": 200,
          "node": "pve1",
          "type": "lxc",
          "name": "proxy",
          "result": "refused",
          "reason": "CT is locked (backup)",
          "detail": null,
          "hint": "retry when the lock is released, or let the run wait with --wait-locked",
          "seconds": <time>,
          "create": null,
          "remove": [],
          "over_limit": 0,
          "verdicts": [],
          "created": null,
          "removed": [],
          "failures": [],
          "hooks_failed": [],
          "warnings": []
        }
      ]
    }
    "#);
}

#[test]
fn the_json_report_of_a_dry_run() {
    let lab = three_guests();
    let output = lab.run("--vmid=@all snap --label=daily --keep=1 --output=Json --dry-run");
    let report = output.assert_status(1).json();
    assert_eq!(
        (&report["dry_run"], &report["exit_status"]),
        (&json!(true), &json!(1))
    );
    let results = report["guests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|guest| &guest["result"]);
    assert_eq!(
        results.collect::<Vec<_>>(),
        ["planned", "refused", "skipped"]
    );
    let planned = &report["guests"][0];
    assert_eq!(
        planned["remove"],
        json!(["autodaily240101000000", "autodaily240102000000"])
    );
    assert_eq!(
        (&planned["created"], &planned["removed"]),
        (&Value::Null, &json!([]))
    );
    lab.assert_unchanged();
}

#[test]
fn the_json_report_of_a_failed_run_has_its_exit_status() {
    let lab = lab();
    let fails = r#"{"requests": [{"path": "/cluster/resources", "effect": {"answer": {"status": 500, "reason": "broken"}}}]}"#;
    lab.set_faults(fails);
    let output = lab.run("--vmid=@all clean --label=daily --keep=1 --output=Json");
    let report = output.assert_status(3).json();
    assert_eq!(report["exit_status"], 3);
    assert_eq!(report["error"], "broken (500 from GET /cluster/resources)");
}

#[test]
fn the_blocks_of_parallel_guests_are_never_mixed() {
    let guests = (100..140).map(|vmid| vm(vmid, "x").taken("daily", &[1]));
    let lab = Lab::new(&World::new(guests));
    lab.script(
        "hook.sh",
        "#!/bin/sh\necho \"hook of $CV4PVE_AUTOSNAP_VMID\"\n",
    );
    let output =
        lab.run("--vmid=@all snap --label=daily --keep=1 --max-parallel=20 --script=hook.sh");
    output.assert_status(0);
    let report = output.report();
    let blocks: Vec<&str> = report.split("----- VM ").skip(1).collect();
    assert_eq!(blocks.len(), 40);
    for block in blocks {
        let vmid = &block[..3];
        let body: Vec<&str> = block.lines().skip(1).take(7).collect();
        let hook = format!("hook of {vmid}");
        assert_eq!(
            body,
            [
                hook.as_str(),
                "Create snapshot: autodaily<now>",
                &hook,
                "Remove snapshot: autodaily240101000000",
                &hook,
                &hook,
                "VM execution <time>",
            ]
        );
    }
}
