// SPDX-License-Identifier: GPL-3.0-only
//! `manual`: the manual pages, one for the program and one for each command.
//!
//! Synopsis and options come from the definitions of the command line, the exit
//! statuses from [`ExitStatus`], the examples from [`help`](crate::help), the other sections from this file.
//! Hidden commands have no page.

use std::io;
use std::path::Path;

use crate::exit_status::ExitStatus;
use clap::{Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use crate::args::{Cli, ManualArgs};
use crate::command_error::CommandError;
use crate::secret_source::{API_TOKEN_VARIABLE, PASSWORD_VARIABLE};

/// The title in the head of a page.
const MANUAL: &str = "Snapshots of Proxmox VE guests";

/// Files that the program reads or a package installs.
const FILES: [(&str, &str); 4] = [
    (
        "@FILE",
        "On the command line: a parameter file. One or more options per line, \"...\" around values with spaces; a line that begins with # is a comment.",
    ),
    (
        "/etc/cv4pve-autosnap/NAME.conf",
        "Parameter file of the systemd units cv4pve-autosnap@NAME.service and .timer.",
    ),
    (
        "/etc/cv4pve-autosnap/token",
        "API token for the systemd units, readable by root only.",
    ),
    (
        "/usr/share/cv4pve-autosnap/hooks",
        "Templates of hook scripts, and one that sends metrics.",
    ),
];

/// Environment variables that the program reads.
const ENVIRONMENT: [(&str, &str); 5] = [
    (
        API_TOKEN_VARIABLE,
        "API token, if --api-token is not given.",
    ),
    (PASSWORD_VARIABLE, "Password, if --password is not given."),
    (
        "CREDENTIALS_DIRECTORY",
        "Set by systemd: the folder with the credentials api-token and password.",
    ),
    (
        "NO_COLOR",
        "If set, no progress bar is drawn, and simulate prints no colors.",
    ),
    (
        "CV4PVE_COMPLETE_OFFLINE",
        "If set, completion in a shell does not use the network.",
    ),
];

/// Runs the command.
pub(super) fn run(args: &ManualArgs) -> Result<ExitStatus, CommandError> {
    write(&args.folder).map_err(|error| {
        let folder = args.folder.display();
        CommandError::failure(format!(
            "cannot write the manual pages to {folder}: {error}"
        ))
    })?;
    Ok(ExitStatus::Success)
}

/// Writes all pages into a folder, which is created if it does not exist.
pub fn write(folder: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    for (name, page) in pages()? {
        std::fs::write(folder.join(name), page)?;
    }
    Ok(())
}

/// The pages by their file names.
fn pages() -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut root = Cli::command().disable_help_subcommand(true);
    root.build();
    let parts: Vec<Command> = root
        .get_subcommands()
        .filter(|part| !part.is_hide_set())
        .cloned()
        .collect();
    let see_also: Vec<String> = std::iter::once(&root)
        .chain(&parts)
        .map(page_name)
        .collect();
    std::iter::once(root)
        .chain(parts)
        .map(|command| {
            let name = page_name(&command);
            Ok((format!("{name}.1"), page(command, &name, &see_also)?))
        })
        .collect()
}

/// The name of a page: `cv4pve-autosnap-snap` for `cv4pve-autosnap snap`.
fn page_name(command: &Command) -> String {
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name());
    name.replace(' ', "-")
}

fn page(command: Command, name: &str, see_also: &[String]) -> io::Result<Vec<u8>> {
    let examples = command
        .get_after_help()
        .map(ToString::to_string)
        .unwrap_or_default();
    // `clap_mangen` would print options without their help if the short help leaves them out.
    let command = command.mut_args(|argument| argument.hide_short_help(false));
    let version = env!("CARGO_PKG_VERSION");
    let man = Man::new(command.clone())
        .title(name.to_uppercase())
        .source(format!("cv4pve-autosnap {version}"))
        .manual(MANUAL);
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    examples_section(&examples).to_writer(&mut page)?;
    exit_status_section().to_writer(&mut page)?;
    list_section("FILES", &FILES).to_writer(&mut page)?;
    list_section("ENVIRONMENT", &ENVIRONMENT).to_writer(&mut page)?;
    see_also_section(name, see_also).to_writer(&mut page)?;
    Ok(page)
}

fn examples_section(examples: &str) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["EXAMPLES"]);
    roff.control("nf", []);
    for line in examples.lines().filter(|line| *line != "Examples:") {
        roff.text([roman(line)]);
    }
    roff.control("fi", []);
    roff
}

fn exit_status_section() -> Roff {
    let statuses = ExitStatus::ALL.map(|status| (status.code().to_string(), status.meaning()));
    let rows: Vec<(&str, &str)> = statuses
        .iter()
        .map(|(code, meaning)| (code.as_str(), *meaning))
        .collect();
    list_section("EXIT STATUS", &rows)
}

fn list_section(title: &str, rows: &[(&str, &str)]) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", [title]);
    for (term, text) in rows {
        roff.control("TP", []);
        roff.text([bold(*term)]);
        roff.text([roman(*text)]);
    }
    roff
}

fn see_also_section(name: &str, pages: &[String]) -> Roff {
    let others: Vec<String> = pages
        .iter()
        .filter(|page| *page != name)
        .map(|page| format!("{page}(1)"))
        .collect();
    let mut roff = Roff::new();
    roff.control("SH", ["SEE ALSO"]);
    roff.text([roman(others.join(", "))]);
    roff
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(pages: &[(String, Vec<u8>)], name: &str) -> String {
        let (_, page) = pages.iter().find(|(page, _)| page == name).unwrap();
        String::from_utf8(page.clone()).unwrap()
    }

    #[test]
    fn the_program_and_every_visible_command_have_a_page() {
        let pages = pages().unwrap();
        let names: Vec<&str> = pages.iter().map(|(name, _)| name.as_str()).collect();
        for name in ["", "-snap", "-clean", "-status", "-completions"] {
            let name = format!("cv4pve-autosnap{name}.1");
            assert!(names.contains(&name.as_str()), "{name} in {names:?}");
        }
        assert!(!names.contains(&"cv4pve-autosnap-manual.1"));
    }

    #[test]
    fn a_page_has_every_section() {
        let pages = pages().unwrap();
        let page = text(&pages, "cv4pve-autosnap-snap.1");
        for section in [
            "NAME",
            "SYNOPSIS",
            "DESCRIPTION",
            "EXAMPLES",
            "\"EXIT STATUS\"",
            "FILES",
            "ENVIRONMENT",
            "\"SEE ALSO\"",
        ] {
            assert!(
                page.contains(&format!(".SH {section}\n")),
                "{section} in {page}"
            );
        }
        assert!(page.contains("Timestamp in snapshot names"), "{page}");
        for status in ExitStatus::ALL {
            assert!(
                page.contains(&format!("\\fB{}\\fR", status.code())),
                "{status:?}"
            );
        }
    }

    #[test]
    fn the_pages_are_written_into_a_new_folder() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("man/man1");
        write(&target).unwrap();
        assert_eq!(
            std::fs::read_dir(target).unwrap().count(),
            pages().unwrap().len()
        );
    }
}
