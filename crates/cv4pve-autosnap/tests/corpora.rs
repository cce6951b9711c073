// SPDX-License-Identifier: GPL-3.0-only
//! Replays the corpora of the fuzz targets on every `cargo test`, without libFuzzer.

use std::collections::BTreeSet;
use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

#[expect(
    unreachable_pub,
    reason = "the crate of the fuzz targets is included here as a module"
)]
#[path = "../../../fuzz/src/lib.rs"]
mod targets;

use targets::{TARGETS, Target};

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{} cannot be listed: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("a folder can be listed to its end").path())
        .collect();
    files.sort();
    files
}

fn corpora() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus")
}

/// The inputs of a corpus that fail the assertions of its target.
fn broken(corpus: &Path, target: Target) -> Vec<PathBuf> {
    let inputs = files(corpus).into_iter();
    let fails = |path: &PathBuf| {
        let input = fs::read(path).expect("a file of the corpus can be read");
        catch_unwind(|| target(&input)).is_err()
    };
    inputs.filter(fails).collect()
}

#[test]
fn no_input_of_a_corpus_fails() {
    let broken: Vec<PathBuf> = TARGETS
        .iter()
        .flat_map(|(name, target)| broken(&corpora().join(name), *target))
        .collect();
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn every_target_has_a_corpus_and_every_corpus_a_target() {
    let named: BTreeSet<PathBuf> = TARGETS
        .iter()
        .map(|(name, _)| corpora().join(name))
        .collect();
    let found: BTreeSet<PathBuf> = files(&corpora()).into_iter().collect();
    assert_eq!(named, found);
    assert!(found.iter().all(|corpus| files(corpus).len() >= 3));
}

#[test]
fn a_failing_input_is_found() {
    let refuses_all: Target = |input| assert!(input.is_empty(), "as any target may");
    let corpus = corpora().join("selection");
    let not_empty = files(&corpus)
        .into_iter()
        .filter(|path| fs::metadata(path).is_ok_and(|data| data.len() > 0));
    assert!(broken(&corpus, refuses_all).into_iter().eq(not_empty));
}
