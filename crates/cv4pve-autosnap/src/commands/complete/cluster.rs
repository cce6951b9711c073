// SPDX-License-Identifier: GPL-3.0-only
//! Candidates from the cluster whose host and login are on the line or in a parameter file.
//!
//! The user waits after the Tab key: requests are not retried, and all end after [`TIMEOUT`].

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::time::Duration;

use autosnap_core::guest::Vmid;
use autosnap_core::name::{self, TimestampFormat};
use autosnap_core::select::{Inventory, Selection};
use autosnap_core::snapshot::Snapshot;
use clap::FromArgMatches;
use pve_client::Client;

use crate::args::{self, Cli, Command, CommonArgs};
use crate::line::{Line, Origin, Word};
use crate::secret_source::Environment;
use crate::settings::Connection;
use crate::{normalize, response_file};
use autosnap::concurrent::map_concurrent;
use autosnap::inventory;

/// How long all requests together may take.
const TIMEOUT: Duration = Duration::from_millis(900);
/// A variable with another timeout in milliseconds, for tests on a busy machine.
const TIMEOUT_VARIABLE: &str = "CV4PVE_COMPLETE_TIMEOUT";
/// How long a node without statistics may take to list its guests.
const LISTING_LIMIT: Duration = Duration::from_millis(400);
/// The maximum number of guests whose snapshots are read.
const MAX_GUESTS: usize = 64;
/// How many requests run concurrently.
const CONCURRENCY: usize = 16;

/// The variable that disables the network.
pub(crate) const OFFLINE_VARIABLE: &str = "CV4PVE_COMPLETE_OFFLINE";

/// The inventory of the cluster; `None` if it cannot be read in time.
pub(super) fn inventory(line: &[OsString]) -> Option<Inventory> {
    let common = common(line)?;
    within(async {
        let client = connect(&common).await?;
        inventory::read_within(&client, LISTING_LIMIT).await.ok()
    })
}

/// The labels of the snapshots that can be read in time.
pub(super) fn labels(line: &[OsString]) -> BTreeSet<String> {
    let labels = RefCell::new(BTreeSet::new());
    if let Some(common) = common(line) {
        within(read_labels(&common, &labels));
    }
    labels.into_inner()
}

async fn read_labels(common: &CommonArgs, labels: &RefCell<BTreeSet<String>>) -> Option<()> {
    let selection = Selection::parse(&common.selection.vmid).ok()?;
    let default = TimestampFormat::default();
    let format = TimestampFormat::parse(&common.formats.timestamp_format).ok()?;
    let client = connect(common).await?;
    let guests = selection
        .evaluate(&inventory::read_within(&client, LISTING_LIMIT).await.ok()?)
        .guests;
    let guests = guests.into_iter().take(MAX_GUESTS);
    map_concurrent(CONCURRENCY, guests, async |guest| {
        let listing = inventory::readable_snapshots(&client, &guest).await;
        let snapshots = listing.map(|(snapshots, _)| snapshots).unwrap_or_default();
        for snapshot in snapshots.iter().filter(|one| one.is_ours()) {
            let label = name::label_of(&snapshot.name, &[&format, &default]);
            labels.borrow_mut().extend(label.map(ToOwned::to_owned));
        }
    })
    .await;
    Some(())
}

/// Names and times of the snapshots of a guest that are ours, newest first.
pub(super) fn snapshots(vmid: &str, line: &[OsString]) -> Option<Vec<Snapshot>> {
    let vmid: Vmid = vmid.parse().ok()?;
    let common = common(line)?;
    within(async {
        let client = connect(&common).await?;
        let inventory = inventory::read_within(&client, LISTING_LIMIT).await.ok()?;
        let guest = inventory.guests.iter().find(|guest| guest.vmid == vmid)?;
        let (mut snapshots, _) = inventory::readable_snapshots(&client, guest).await.ok()?;
        snapshots.retain(Snapshot::is_ours);
        snapshots.sort_by_key(|snapshot| std::cmp::Reverse(snapshot.taken_at));
        Some(snapshots)
    })
}

async fn connect(common: &CommonArgs) -> Option<Client> {
    let environment = Environment {
        // Completion does not prompt.
        prompt: None,
        ..Environment::from_process()
    };
    let mut options =
        Connection::read(&common.connection, common.limits.timeout, &[], &environment)
            .ok()?
            .options;
    options.retry_pauses = Vec::new();
    Client::connect(options).await.ok()
}

/// Runs the work on a new runtime; `None` if it takes longer than the timeout.
fn within<T>(work: impl Future<Output = Option<T>>) -> Option<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .ok()?;
    let result = runtime.block_on(async { tokio::time::timeout(timeout(), work).await });
    // Do not wait for the thread of a name lookup.
    runtime.shutdown_background();
    result.ok().flatten()
}

fn timeout() -> Duration {
    let variable = std::env::var(TIMEOUT_VARIABLE).ok();
    let milliseconds = variable.and_then(|text| text.parse().ok());
    milliseconds.map_or(TIMEOUT, Duration::from_millis)
}

/// Adds `check` at the beginning of the line: the command that takes all options.
fn with_command(mut line: Line) -> Line {
    let command = Word {
        text: OsString::from("check"),
        origin: Origin::TYPED,
    };
    line.words.insert(0, command);
    line
}

/// The options of the connection and the selection on the unfinished line.
fn common(line: &[OsString]) -> Option<CommonArgs> {
    if std::env::var_os(OFFLINE_VARIABLE).is_some_and(|value| !value.is_empty()) {
        return None;
    }
    // `check` requires only a host, and accepts the options of all commands but those that mark a snapshot.
    let expanded = response_file::expand(line.iter().cloned()).ok()?;
    let definition = args::command();
    let normalized = normalize::normalize(&definition, &with_command(expanded)).ok()?;
    let options = normalized.texts().into_iter().skip(1).filter(|word| {
        let word = word.to_str().unwrap_or_default();
        word.starts_with('-') && !sets_mark(&definition, word)
    });
    let words = ["cv4pve-autosnap", "check"].map(OsString::from);
    let words: Vec<OsString> = words.into_iter().chain(options).collect();
    let matches = definition.try_get_matches_from(words).ok()?;
    match Cli::from_arg_matches(&matches).ok()?.command {
        Command::Check(args) => Some(args.common),
        Command::Snap(_)
        | Command::Plan(_)
        | Command::Clean(_)
        | Command::Status(_)
        | Command::Hold(_)
        | Command::Release(_)
        | Command::Expire(_)
        | Command::Note(_)
        | Command::Jobs(_)
        | Command::Coverage(_)
        | Command::Fingerprint(_)
        | Command::Simulate(_)
        | Command::Setup(_)
        | Command::Completions(_)
        | Command::Complete
        | Command::Manual(_) => None,
        #[cfg(feature = "demo")]
        Command::Demo(_) => None,
    }
}

/// Whether a word is an option that only the commands that mark a snapshot have.
fn sets_mark(definition: &clap::Command, word: &str) -> bool {
    let (name, _) = normalize::split(word);
    let has_option = |command: &str| {
        let command = definition.find_subcommand(command);
        let mut options = command.into_iter().flat_map(clap::Command::get_arguments);
        options.any(|option| option.get_long() == name.strip_prefix("--"))
    };
    !has_option("check") && (has_option("hold") || has_option("expire"))
}
