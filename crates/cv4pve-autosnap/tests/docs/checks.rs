// SPDX-License-Identifier: GPL-3.0-only
//! Tests of links, options, messages and exit statuses in the documentation.

use std::collections::BTreeSet;
use std::path::Path;

use clap::CommandFactory;
use cv4pve_autosnap::args::Cli;
use cv4pve_autosnap::exit_status::ExitStatus;

use crate::markdown::Document;
use crate::{documents, root};

#[test]
fn every_link_leads_to_a_file_and_a_heading() {
    for document in documents() {
        let folder = document.path.parent().expect("a file is in a folder");
        for link in document.links() {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = match file {
                "" => document.path.clone(),
                file => folder.join(file),
            };
            assert!(target.exists(), "{}: {link}", document.path.display());
            if !anchor.is_empty() {
                let target = Document::read(&target);
                assert!(
                    target.anchors().iter().any(|known| known == anchor),
                    "{}: {link}",
                    document.path.display()
                );
            }
        }
    }
}

#[test]
fn every_chapter_is_in_the_table_of_contents() {
    let source = root().join("docs/src");
    let summary = Document::read(&source.join("SUMMARY.md"));
    let listed: BTreeSet<_> = summary
        .links()
        .into_iter()
        .map(|link| source.join(link))
        .collect();
    for document in documents() {
        let is_chapter =
            document.path.starts_with(&source) && !document.path.ends_with("SUMMARY.md");
        assert!(
            !is_chapter || listed.contains(&document.path),
            "{}",
            document.path.display()
        );
    }
}

#[test]
fn the_reference_has_every_option_and_no_other() {
    let reference = Document::read(&root().join("docs/src/reference/options.md"));
    let listed: BTreeSet<String> = reference
        .text
        .lines()
        .filter_map(|line| line.strip_prefix("| `--"))
        .map(|line| {
            line.split(['`', '=', '['])
                .next()
                .unwrap_or_default()
                .to_owned()
        })
        .collect();
    let command = Cli::command();
    let options: BTreeSet<String> = command
        .get_subcommands()
        .flat_map(|part| {
            part.get_arguments()
                .filter_map(|argument| argument.get_long())
        })
        .map(ToOwned::to_owned)
        .collect();
    assert_eq!(listed, options);
}

#[test]
fn every_exit_status_is_explained() {
    let reference = Document::read(&root().join("docs/src/reference/exit-status.md"));
    for status in ExitStatus::ALL {
        let row = format!("| {} |", status.code());
        assert!(reference.text.contains(&row), "{status:?}");
    }
}

/// A heading in backticks is one or more messages; `…` in it stands for the part that varies.
#[test]
fn every_message_that_is_explained_exists() {
    let sources = sources();
    let chapter = Document::read(&root().join("docs/src/troubleshooting.md"));
    let headings = chapter
        .text
        .lines()
        .filter_map(|line| line.strip_prefix("### `"));
    let mut count = 0;
    for heading in headings {
        let message = heading.trim_end_matches('`');
        for part in message
            .split("`, `")
            .flat_map(|message| message.split('…'))
            .map(str::trim)
            .filter(|part| !part.is_empty())
        {
            assert!(
                sources.contains(part),
                "no source contains {part:?} of {message:?}"
            );
        }
        count += 1;
    }
    assert!(count > 15, "{count} messages");
}

/// All sources of the program and of the simulator.
fn sources() -> String {
    let mut text = String::new();
    for part in [
        "cv4pve-autosnap",
        "autosnap",
        "autosnap-core",
        "pve-client",
        "pve-sim",
    ] {
        gather(&root().join("crates").join(part).join("src"), &mut text);
    }
    text
}

fn gather(folder: &Path, text: &mut String) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            gather(&path, text);
        } else {
            text.push_str(&std::fs::read_to_string(&path).expect("a text file"));
        }
    }
}
