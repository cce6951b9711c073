// SPDX-License-Identifier: GPL-3.0-only
//! The command `demo`: its output, and its prompts at a terminal.

use crate::harness::Lab;
use crate::world::World;

#[test]
fn the_demo_shows_a_locked_guest_a_bind_mount_and_a_manual_snapshot() {
    let lab = Lab::new(&World::new([]));
    lab.bare(["demo"])
        .assert_status(0)
        .assert_out("Error: VM 108 erp on pve2: VM is locked (backup)")
        .assert_out("not covered: 1 (CT 111 media)")
        .assert_out("before-upgrade");
}

#[test]
fn the_demo_waits_for_enter_on_a_terminal_and_ends_after_q() {
    let lab = Lab::new(&World::new([]));
    for (option, input, shown, missing) in [
        ("", "\n\nq\n", "2/7: ", "3/7: "),
        ("", "q\n", "[Enter: part 1 of 7", "1/7: "),
        ("--yes", "", "7/7: ", "[Enter: "),
    ] {
        let mut command = lab.command_of("script");
        let line = format!("'{}' demo {option}", env!("CARGO_BIN_EXE_cv4pve-autosnap"));
        command.args(["-qec", &line, "/dev/null"]);
        let mut command = assert_cmd::Command::from_std(command);
        let result = command.write_stdin(input).output().unwrap();
        let text = String::from_utf8_lossy(&result.stdout);
        assert!(result.status.success(), "{text}");
        assert!(text.contains(shown), "{text}");
        assert!(!text.contains(missing), "{text}");
    }
}
