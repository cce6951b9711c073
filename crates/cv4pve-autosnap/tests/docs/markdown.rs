// SPDX-License-Identifier: GPL-3.0-only
//! Parses commands, parameter files, links and headings of a Markdown file.
//!
//! It supports the parts of Markdown that the documentation uses.

use std::path::{Path, PathBuf};

/// A document.
#[derive(Debug)]
pub(crate) struct Document {
    /// The path of the file.
    pub(crate) path: PathBuf,
    /// The whole text.
    pub(crate) text: String,
    /// The commands, in order.
    pub(crate) steps: Vec<Step>,
    /// The parameter files: path and content.
    pub(crate) files: Vec<(String, String)>,
}

/// A command with its expected result.
#[derive(Debug, Default)]
pub(crate) struct Step {
    /// The command line.
    pub(crate) command: String,
    /// The exit status.
    pub(crate) exit: i32,
    /// Lines that its output must contain.
    pub(crate) shown: Vec<String>,
}

impl Step {
    /// A command that exits with 0.
    pub(crate) fn new(command: String) -> Self {
        Self {
            command,
            ..Self::default()
        }
    }
}

impl Document {
    /// Reads a document.
    pub(crate) fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let blocks = blocks(&text);
        let console = blocks
            .iter()
            .filter(|(mark, _)| mark.split(' ').next() == Some("console"));
        let steps = console.flat_map(|(mark, lines)| steps(mark, lines));
        let files = blocks
            .iter()
            .filter(|(mark, _)| mark == "text")
            .filter_map(|(_, lines)| {
                let path = lines.first()?.strip_prefix("# /etc/")?;
                Some((format!("/etc/{path}"), lines.join("\n")))
            });
        Self {
            path: path.to_owned(),
            steps: steps.collect(),
            files: files.collect(),
            text,
        }
    }

    /// Whether one of its commands writes this file.
    pub(crate) fn writes(&self, path: &str) -> bool {
        let option = format!("--write={path}");
        let mut words = self.steps.iter().flat_map(|step| step.command.split(' '));
        words.any(|word| word == option)
    }

    /// The targets of the links to files, with the heading after `#`.
    pub(crate) fn links(&self) -> Vec<&str> {
        let mut links = Vec::new();
        for part in self.text.split("](").skip(1) {
            let target = part.split([')', ' ']).next().unwrap_or_default();
            if !target.is_empty() && !target.contains("://") {
                links.push(target);
            }
        }
        links
    }

    /// The anchors of the headings, as GitHub and mdbook form them.
    pub(crate) fn anchors(&self) -> Vec<String> {
        let headings = self.text.lines().filter(|line| line.starts_with('#'));
        headings
            .filter_map(|line| line.trim_start_matches('#').strip_prefix(' '))
            .map(|heading| {
                let kept = heading.chars().filter_map(|character| match character {
                    ' ' => Some('-'),
                    '-' | '_' => Some(character),
                    _ => character
                        .is_alphanumeric()
                        .then(|| character.to_ascii_lowercase()),
                });
                kept.collect()
            })
            .collect()
    }
}

/// The fenced blocks: the mark after the fence, and the lines without the block's indentation.
fn blocks(text: &str) -> Vec<(String, Vec<String>)> {
    let mut blocks = Vec::new();
    let mut open: Option<(usize, String, Vec<String>)> = None;
    for line in text.lines() {
        let bare = line.trim_start();
        match (&mut open, bare.strip_prefix("```")) {
            (None, Some(mark)) => {
                open = Some((line.len() - bare.len(), mark.trim().to_owned(), Vec::new()));
            }
            (Some(_), Some(_)) => {
                let (_, mark, lines) = open.take().expect("a block is open");
                blocks.push((mark, lines));
            }
            (Some((indent, _, lines)), None) => {
                lines.push(line.get(*indent..).unwrap_or_default().to_owned());
            }
            (None, None) => {}
        }
    }
    blocks
}

fn steps(mark: &str, lines: &[String]) -> Vec<Step> {
    let exit = mark
        .split("exit=")
        .nth(1)
        .map_or(0, |status| status.parse().expect("a number"));
    let mut steps: Vec<Step> = Vec::new();
    let lines = lines.iter().filter(|line| !line.starts_with("# "));
    for line in lines {
        match (line.strip_prefix("$ "), steps.last_mut()) {
            (Some(command), _) => steps.push(Step {
                exit,
                ..Step::new(command.to_owned())
            }),
            (None, Some(step)) if step.command.ends_with('\\') => {
                step.command.pop();
                step.command.push_str(line.trim_start());
            }
            (None, Some(step)) => step.shown.push(line.clone()),
            (None, None) => panic!("output without a command: {line}"),
        }
    }
    steps
}
