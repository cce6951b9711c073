// SPDX-License-Identifier: GPL-3.0-only
//! Texts of the help: the groups of options and the examples.
//!
//! The examples are in `--help` and in the manual pages; `tests/docs` runs them.

/// The name of the program on the command line.
pub const PROGRAM: &str = "cv4pve-autosnap";

/// The hint of usage errors without a known command.
pub const HELP_OF_PROGRAM: &str = "see: cv4pve-autosnap --help";

/// The hint of usage errors of a command.
pub fn help_of(command: &str) -> String {
    format!("see: {PROGRAM} {command} --help")
}

/// Options of the connection and the login.
pub const CONNECTION: &str = "Connection";
/// Options that select guests.
pub const SELECTION: &str = "Selection";
/// Options that decide which snapshots stay.
pub const RETENTION: &str = "Retention";
/// Options of marks on single snapshots.
pub const MARKS: &str = "Marks";
/// Options of how the run works.
pub const EXECUTION: &str = "Execution";
/// Options of the output.
pub const OUTPUT: &str = "Output";

/// Removes the line of `--help`, which refers to a longer help, from a help that lists all options.
pub fn without_help_option(text: &str) -> String {
    let own = "Options:\n  -h, --help  Print help (see more with '--help')\n\n";
    text.replace(own, "")
}

#[cfg(feature = "demo")]
macro_rules! demo_line {
    () => {
        "  cv4pve-autosnap demo                                  try it on a simulated cluster\n"
    };
}
#[cfg(not(feature = "demo"))]
macro_rules! demo_line {
    () => {
        ""
    };
}

/// The text after the help of the program.
pub const ROOT: &str = "\
Examples:
  cv4pve-autosnap --host=pve1,pve2 --api-token=file:/etc/autosnap.token \\
      --vmid=@all,-105 snap --label=daily --keep=7
  cv4pve-autosnap @/etc/autosnap.conf clean --label=daily --keep=3 --dry-run
  cv4pve-autosnap @/etc/autosnap.conf status --output=Markdown

Options may stand before or after the command; @FILE reads options from a file.
Each command has a help and a manual page: cv4pve-autosnap snap --help,
man cv4pve-autosnap-snap";

/// Printed when no arguments are given.
pub const SHORT: &str = concat!(
    "cv4pve-autosnap takes snapshots of Proxmox VE guests, keeps the newest and removes the older ones.\n\nFirst commands:\n",
    demo_line!(),
    "  cv4pve-autosnap setup --host=YOUR-NODE --write=FILE   write a job; print how to create its token
  cv4pve-autosnap @FILE check                           check the job before its first run

All commands: cv4pve-autosnap --help
"
);

/// The text after the help of `snap`.
pub const SNAP: &str = "\
Examples:
  cv4pve-autosnap snap --host=pve1 --api-token=file:/etc/autosnap.token \\
      --vmid=100,web% --label=daily --keep=7 --dry-run
  cv4pve-autosnap @/etc/autosnap.conf snap --vmid='@pool-prod&@tag-web,-%test%' \\
      --label=prod --keep-last=3 --keep-daily=7 --keep-weekly=4 --keep-monthly=3";

/// The text after the help of `plan`.
pub const PLAN: &str = "\
Examples:
  cv4pve-autosnap @/etc/autosnap.conf plan --label=prod --keep-daily=7
  cv4pve-autosnap @/etc/autosnap.conf plan --label=prod --keep-daily=7 \\
      --compare=keep-daily=4,keep-weekly=4";

/// The text after the help of `clean`.
pub const CLEAN: &str = "\
Examples:
  cv4pve-autosnap @/etc/autosnap.conf clean --label=daily --keep=3 --dry-run
  cv4pve-autosnap @/etc/autosnap.conf clean --label=prod --keep-daily=7 --dry-run
  cv4pve-autosnap @/etc/autosnap.conf clean --label=old --keep=0";

/// The text after the help of `status`.
pub const STATUS: &str = "\
Examples:
  cv4pve-autosnap @/etc/autosnap.conf status
  cv4pve-autosnap @/etc/autosnap.conf status --label=daily --output=Csv
  cv4pve-autosnap @/etc/autosnap.conf status --output=Plain  # with marks";

/// The text after the help of `hold`.
pub const HOLD: &str = "\
Examples:
  cv4pve-autosnap @/etc/autosnap.conf hold 105 automonthly261101010000
  cv4pve-autosnap @/etc/autosnap.conf hold 105 automonthly261101010000 \\
      --until=30d --reason='before the upgrade'";

/// The text after the help of `release`.
pub const RELEASE: &str = "\
Examples:
  cv4pve-autosnap @/etc/autosnap.conf release 105 automonthly261101010000";

/// The text after the help of `expire`.
pub const EXPIRE: &str = "\
Examples:
  cv4pve-autosnap @/etc/autosnap.conf expire 105 automonthly261101010000 --in=14d
  cv4pve-autosnap @/etc/autosnap.conf expire 105 automonthly261101010000 --never

The next snap or clean of its series removes it, but never under --keep-min.";

/// The text after the help of `note`.
pub const NOTE: &str = "\
Examples:
  cv4pve-autosnap @/etc/autosnap.conf note 105 automonthly261101010000 'before the upgrade'
  cv4pve-autosnap @/etc/autosnap.conf note 105 automonthly261101010000 ''";

/// The text after the help of `check`.
pub const CHECK: &str = "\
Examples:
  cv4pve-autosnap @/etc/autosnap.conf check
  cv4pve-autosnap @/etc/autosnap.conf check --vmid=web01 --state --output=Json
  cv4pve-autosnap @/etc/autosnap.conf check --for=clean --label=old --keep=0

Exit status: 0 if a dry run of these options would exit with 0, 1 if there is
a problem, 2 for invalid options, 3 if the connection or login fails.";

/// The text after the help of `jobs`.
pub const JOBS: &str = "\
Examples:
  cv4pve-autosnap jobs check /etc/cv4pve-autosnap
  cv4pve-autosnap jobs check /etc/cv4pve-autosnap --output=Json

The files are parsed as `snap @FILE`. Options on the command line override
those in the files. For the guests that no job selects see coverage.

Exit status: 0 if the jobs are right, 1 if there is a problem, 2 if there are
no job files, 3 if no cluster can be read.";

/// The text after the help of `coverage`.
pub const COVERAGE: &str = "\
Examples:
  cv4pve-autosnap coverage /etc/cv4pve-autosnap
  cv4pve-autosnap coverage /etc/cv4pve-autosnap --output=Json

The tag autosnap-off leaves a guest out on purpose. Options on the command
line override those in the files. Nothing is changed.

Exit status: 0 if each guest is protected or left out on purpose, 1 if not,
2 if there are no job files, 3 if no cluster can be read.";

/// The text after the help of `simulate`.
pub const SIMULATE: &str = "\
Examples:
  cv4pve-autosnap simulate keep-daily=7,keep-weekly=4 --schedule=hourly
  cv4pve-autosnap simulate keep-daily=7 --schedule='mon..fri 22:00' --for=1y
  cv4pve-autosnap @/etc/autosnap.conf simulate --keep=7 --schedule=daily";

/// The text after the help of `setup`.
pub const SETUP: &str = "\
Examples:
  cv4pve-autosnap setup
  cv4pve-autosnap setup --path=/pool/prod --host=pve1,pve2 --write=hourly.conf
  cv4pve-autosnap setup --policy-tags=gold,silver";

/// The text after the help of `fingerprint`.
pub const FINGERPRINT: &str = "\
Examples:
  cv4pve-autosnap fingerprint --host=pve1,pve2";

/// The text after the help of `demo`.
#[cfg(feature = "demo")]
pub const DEMO: &str = "\
Examples:
  cv4pve-autosnap demo
  cv4pve-autosnap demo --yes
  cv4pve-autosnap demo --serve";

/// The text after the help of `completions`.
pub const COMPLETIONS: &str = "\
Examples:
  cv4pve-autosnap completions bash > ~/.local/share/bash-completion/completions/cv4pve-autosnap
  cv4pve-autosnap completions zsh > ~/.zfunc/_cv4pve-autosnap
  cv4pve-autosnap completions fish > ~/.config/fish/completions/cv4pve-autosnap.fish";
