// SPDX-License-Identifier: GPL-3.0-only
//! What the cluster knows that the line names by `--host` and a login, or by a parameter file.
//!
//! Somebody waits for the Tab key: no repetitions, and an end after a second.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::time::Duration;

use autosnap_core::name::{self, TimestampFormat};
use autosnap_core::select::{Inventory, Selection};
use clap::FromArgMatches;
use pve_client::Client;

use crate::args::{self, Cli, Command, CommonArgs};
use crate::line::{Line, Origin, Word};
use crate::secret_source::Environment;
use crate::settings::Connection;
use crate::{normalize, response_file};
use autosnap::concurrent::map_concurrent;
use autosnap::inventory;

/// How long all of it may take.
const PATIENCE: Duration = Duration::from_millis(900);
/// For tests, which are not to depend on how busy a machine is: other milliseconds.
const PATIENCE_VARIABLE: &str = "CV4PVE_COMPLETE_PATIENCE";
/// How long a node without statistics may take to list its guests: the others are offered anyway.
const LISTING_LIMIT: Duration = Duration::from_millis(400);
/// How many guests are asked for their snapshots.
const GUESTS: usize = 64;
/// How many of them at once.
const AT_ONCE: usize = 16;

/// The variable that keeps us off the network.
pub(crate) const OFFLINE_VARIABLE: &str = "CV4PVE_COMPLETE_OFFLINE";

/// What there is on the cluster; `None` if it does not tell in time.
pub(super) fn inventory(line: &[OsString]) -> Option<Inventory> {
    let common = common(line)?;
    within(async {
        let client = connect(&common).await?;
        inventory::read_within(&client, LISTING_LIMIT).await.ok()
    })
}

/// The labels of the snapshots that there are, as far as they are read in time.
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
    let asked = guests.into_iter().take(GUESTS);
    map_concurrent(AT_ONCE, asked, async |guest| {
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

async fn connect(common: &CommonArgs) -> Option<Client> {
    let environment = Environment {
        // Nobody is asked, so nothing is stored either.
        prompt: None,
        ..Environment::of_process()
    };
    let mut options =
        Connection::read(&common.connection, common.limits.timeout, &[], &environment)
            .ok()?
            .options;
    options.retry_pauses = Vec::new();
    Client::connect(options).await.ok()
}

fn within<T>(work: impl Future<Output = Option<T>>) -> Option<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .ok()?;
    let result = runtime.block_on(async { tokio::time::timeout(patience(), work).await });
    // A name that is still being looked up is not waited for.
    runtime.shutdown_background();
    result.ok().flatten()
}

fn patience() -> Duration {
    let told = std::env::var(PATIENCE_VARIABLE).ok();
    let told = told.and_then(|milliseconds| milliseconds.parse().ok());
    told.map_or(PATIENCE, Duration::from_millis)
}

/// The line with a command that takes all options, in front of the one that is on it.
fn with_command(mut line: Line) -> Line {
    let command = Word {
        text: OsString::from("check"),
        origin: Origin::TYPED,
    };
    line.words.insert(0, command);
    line
}

/// The options of the connection and the selection, as far as the line is written.
fn common(line: &[OsString]) -> Option<CommonArgs> {
    if std::env::var_os(OFFLINE_VARIABLE).is_some_and(|value| !value.is_empty()) {
        return None;
    }
    // The command that needs no more than a host and takes the options of all others.
    let expanded = response_file::expand(line.iter().cloned()).ok()?;
    let definition = args::command();
    let normalized = normalize::normalize(&definition, &with_command(expanded)).ok()?;
    let options = normalized
        .texts()
        .into_iter()
        .skip(1)
        .filter(|word| word.to_str().is_some_and(|word| word.starts_with('-')));
    let words = ["cv4pve-autosnap", "check"].map(OsString::from);
    let matches = definition
        .try_get_matches_from(words.into_iter().chain(options))
        .ok()?;
    match Cli::from_arg_matches(&matches).ok()?.command {
        Command::Check(args) => Some(args.common),
        Command::Snap(_)
        | Command::Clean(_)
        | Command::Status(_)
        | Command::Fingerprint(_)
        | Command::Setup(_)
        | Command::Completions(_)
        | Command::Complete
        | Command::Manual(_) => None,
        #[cfg(feature = "demo")]
        Command::Demo(_) => None,
    }
}
