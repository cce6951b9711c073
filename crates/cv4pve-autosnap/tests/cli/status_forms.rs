// SPDX-License-Identifier: GPL-3.0-only
//! Formats of `status` that the C# tool also has, byte for byte.

use insta::assert_snapshot;

use crate::harness::Lab;
use crate::world::{World, ct, vm};

fn lab() -> Lab {
    Lab::new(&World::new([
        vm(100, "web01").taken("daily", &[1, 2]),
        ct(1000, "proxy").taken("daily", &[1]),
    ]))
}

/// The frame of the C# table, which scripts cut off with `tail -n +4 | head -n -1`.
#[test]
fn text_is_the_table_of_the_csharp_tool() {
    let output = lab().run("--vmid=@all status");
    output.assert_status(0);
    assert_snapshot!(output.stdout, @r#"
    +------+------+-------------------+-----------------------+-----------------------+-----------------+-----------+
    | NODE | VM   | TIME              | PARENT                | NAME                  | DESCRIPTION     | VM STATUS |
    +------+------+-------------------+-----------------------+-----------------------+-----------------+-----------+
    | pve1 | 100  | 24/01/01 00:00:00 | no-parent             | autodaily240101000000 | cv4pve-autosnap |           |
    | pve1 | 100  | 24/01/02 00:00:00 | autodaily240101000000 | autodaily240102000000 | cv4pve-autosnap |           |
    | pve1 | 1000 | 24/01/01 00:00:00 | no-parent             | autodaily240101000000 | cv4pve-autosnap |           |
    +------+------+-------------------+-----------------------+-----------------------+-----------------+-----------+
    "#);
}

#[test]
fn markdown_has_the_spaces_of_the_csharp_tool() {
    let output = lab().run("--vmid=100 status --output=Markdown");
    output.assert_status(0);
    assert_snapshot!(output.stdout, @r#"
    | NODE | VM  | TIME              | PARENT                | NAME                  | DESCRIPTION     | VM STATUS |
    |------|-----|-------------------|-----------------------|-----------------------|-----------------|-----------|
    | pve1 | 100 | 24/01/01 00:00:00 | no-parent             | autodaily240101000000 | cv4pve-autosnap |           |
    | pve1 | 100 | 24/01/02 00:00:00 | autodaily240101000000 | autodaily240102000000 | cv4pve-autosnap |           |
    "#);
}

/// A table without a page, to be pasted into a page or a mail.
#[test]
fn html_is_a_table_without_a_page() {
    let output = lab().run("--vmid=1000 status --output=Html");
    output.assert_status(0);
    assert_snapshot!(output.stdout, @r#"
    <table style="width: 100%;border-collapse: collapse;border: 1px solid black;"><thead><tr><th style="border: 1px solid black;">NODE</th><th style="border: 1px solid black;">VM</th><th style="border: 1px solid black;">TIME</th><th style="border: 1px solid black;">PARENT</th><th style="border: 1px solid black;">NAME</th><th style="border: 1px solid black;">DESCRIPTION</th><th style="border: 1px solid black;">VM STATUS</th></tr></thead><tbody><tr><td style="border: 1px solid black;">pve1</td><td style="border: 1px solid black;">1000</td><td style="border: 1px solid black;">24/01/01 00:00:00</td><td style="border: 1px solid black;">no-parent</td><td style="border: 1px solid black;">autodaily240101000000</td><td style="border: 1px solid black;">cv4pve-autosnap</td><td style="border: 1px solid black;"></td></tr></tbody></table>
    "#);
}

/// `Plain` prints columns without a frame.
#[test]
fn plain_has_no_frame() {
    let output = lab().run("--vmid=@all status --output=plain");
    output.assert_status(0);
    assert_snapshot!(output.stdout, @r#"
    NODE   VM TIME              PARENT                NAME                  DESCRIPTION     VM STATUS
    pve1  100 24/01/01 00:00:00 no-parent             autodaily240101000000 cv4pve-autosnap
    pve1  100 24/01/02 00:00:00 autodaily240101000000 autodaily240102000000 cv4pve-autosnap
    pve1 1000 24/01/01 00:00:00 no-parent             autodaily240101000000 cv4pve-autosnap
    "#);
}

/// At a terminal `status` prints columns, unless the table is requested.
#[test]
fn a_terminal_gets_columns() {
    let lab = lab();
    for (option, expected) in [("", "NODE "), ("--output=Text", "+---")] {
        let mut command = lab.command_of("script");
        let line = format!(
            "{} --host={} --api-token=file:token --vmid=@all status {option}",
            env!("CARGO_BIN_EXE_cv4pve-autosnap"),
            lab.host()
        );
        command.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
        let output = lab.finish(command);
        output.assert_status(0);
        assert!(
            output.stdout.lines().any(|line| line.starts_with(expected)),
            "{option}: {output}"
        );
    }
}

/// Listing is harmless, so an unusable format is only a warning.
#[test]
fn an_unusable_format_is_a_warning() {
    let lab = lab();
    for format in ["yyyy:MM", "ssz", "F"] {
        let option = format!("--timestamp-format={format}");
        let output = lab.call(["--vmid=100", &option, "status", "--label=daily", "--debug"]);
        output
            .assert_status(0)
            .assert_out("autodaily240101000000")
            .assert_err(&format!("timestamp format `{format}`: "))
            .assert_err("; the list uses `yyMMddHHmmss`");
        lab.call(["--vmid=100", &option, "snap", "--label=daily", "--keep=1"])
            .assert_status(2);
    }
}
