// SPDX-License-Identifier: GPL-3.0-only
//! Tests of the documentation: every command in it is run, and its options, messages, files and exit statuses
//! are compared with the program.
//!
//! A command is a line `$ …` in a block marked `console`, in README.md or in docs/. `sh` runs it with a simulated
//! cluster, one for each document, in the order of the document. Some values are replaced:
//!
//! - the value of `--host` by the address of the simulator, and that of `--fingerprint` by its fingerprint;
//! - `/etc/` by a temporary folder. The parameter files in it are the blocks marked `text` whose
//!   first line is a comment with the path; the token is that of the simulated cluster;
//! - the home folder and the working directory by temporary folders.
//!
//! A command must exit with 0, or with the status of the block: `console exit=2`. The lines after it must
//! be in its output in this order; `...` stands for any text, and lines `# …` are comments. Commands of `cargo` are
//! not run, because CI runs them, nor is `demo --serve`, which does not end.

#![cfg(unix)]

mod checks;
mod machine;
mod markdown;
mod picture;
mod retention;

use std::path::{Path, PathBuf};

use machine::Machine;
use markdown::{Document, Step};

#[test]
fn every_command_in_the_documents_does_what_they_say() {
    let readme = Document::read(&root().join("README.md"));
    let failures: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = documents()
            .into_iter()
            .map(|document| {
                let fallback = &readme.files;
                scope.spawn(move || {
                    let files = fallback.iter().chain(&document.files);
                    let machine = Machine::start(files.filter(|(path, _)| !document.writes(path)));
                    let steps = document.steps.iter();
                    let failed = steps.filter_map(|step| machine.failure(step));
                    failed
                        .map(|failure| format!("{}: {failure}", document.path.display()))
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    });
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

#[test]
fn every_example_of_the_help_works() {
    use cv4pve_autosnap::help;

    let readme = Document::read(&root().join("README.md"));
    let machine = Machine::start(&readme.files);
    for text in [
        help::ROOT,
        help::SNAP,
        help::PLAN,
        help::CLEAN,
        help::STATUS,
        help::HOLD,
        help::RELEASE,
        help::EXPIRE,
        help::NOTE,
        help::CHECK,
        help::JOBS,
        help::COVERAGE,
        help::SIMULATE,
        help::SETUP,
        help::FINGERPRINT,
        help::COMPLETIONS,
    ] {
        let text = text.replace("\\\n", " ");
        let lines = text
            .lines()
            .filter_map(|line| line.strip_prefix("  cv4pve-autosnap"));
        for line in lines {
            let step = Step::new(format!("cv4pve-autosnap{line}"));
            assert_eq!(machine.failure(&step), None);
        }
    }
}

/// The parameter file in the README is the one that its first step writes.
#[test]
fn the_readme_shows_the_file_that_setup_writes() {
    let readme = Document::read(&root().join("README.md"));
    let (path, shown) = &readme.files[0];
    assert!(readme.writes(path), "{path}");
    let machine = Machine::start([]);
    let first = &readme
        .steps
        .iter()
        .find(|step| step.command.contains("--write="))
        .unwrap();
    assert_eq!(machine.failure(first), None);
    let options = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines.map(ToOwned::to_owned).collect()
    };
    assert_eq!(
        options(&machine.read(path)),
        options(&machine.with_test_values(shown))
    );
}

#[test]
fn there_are_commands_to_run() {
    let documents = documents();
    let count: usize = documents.iter().map(|document| document.steps.len()).sum();
    assert!(documents.len() > 8, "{documents:?}");
    assert!(count > 30, "{count} commands");
}

/// README.md and everything below docs/.
fn documents() -> Vec<Document> {
    let mut paths = vec![root().join("README.md")];
    collect(&root().join("docs"), &mut paths);
    paths.sort();
    paths.iter().map(|path| Document::read(path)).collect()
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            paths.push(path);
        }
    }
}

/// The folder of the project.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
