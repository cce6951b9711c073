// SPDX-License-Identifier: GPL-3.0-only
//! The options of the commands that mark one snapshot, `hold`, `release`, `expire`, `note`, and those of `snap` for
//! the marks of new snapshots.

use autosnap::settings::NewMarks;
use autosnap_core::marks::MarkText;
use clap::Args;
use jiff::Span;

use super::{ConnectionArgs, DebugArgs, JobOutput, ModeArgs};
use crate::help::{MARKS, OUTPUT};

/// The marks of the snapshots that `snap` takes.
#[derive(Debug, Clone, Default, Args)]
pub struct NewMarksArgs {
    /// Hold the new snapshots, as the command hold does.
    ///
    /// They are not removed and not counted until the command release.
    #[arg(long, help_heading = MARKS, hide_short_help = true)]
    pub hold: bool,
    /// Remove the new snapshots after TIME: 12h, 14d, 6mo.
    ///
    /// They expire even if a keep rule holds them; the next snap or clean of the series removes them.
    #[arg(long, value_name = "TIME", help_heading = MARKS, value_parser = crate::settings::parse_lifetime,
          hide_short_help = true)]
    pub expires: Option<Span>,
    /// A note on the new snapshots.
    #[arg(long, value_name = "TEXT", help_heading = MARKS, value_parser = MarkText::parse,
          allow_hyphen_values = true, hide_short_help = true)]
    pub note: Option<MarkText>,
}

impl From<&NewMarksArgs> for NewMarks {
    fn from(args: &NewMarksArgs) -> Self {
        Self {
            hold: args.hold,
            expires_after: args.expires,
            note: args.note.clone(),
        }
    }
}

/// The snapshot, the connection and the output of these commands.
#[derive(Debug, Args)]
pub struct MarkTargetArgs {
    /// ID of the guest.
    #[arg(value_name = "VMID")]
    pub guest: String,
    /// Name of the snapshot.
    #[arg(value_name = "SNAPSHOT")]
    pub snapshot: String,
    /// The hosts, the login and the trust in certificates.
    #[command(flatten)]
    pub connection: ConnectionArgs,
    /// Whether anything is changed.
    #[command(flatten)]
    pub mode: ModeArgs,
    /// The output format.
    #[arg(help = "Format: Text, Json or JsonPretty [default: Text]", long, short = 'o', value_name = "FORM", help_heading = OUTPUT, value_enum, ignore_case = true,
          default_value = "Text", hide_default_value = true, hide_possible_values = true)]
    pub output: JobOutput,
    /// Debug messages.
    #[command(flatten)]
    pub debug: DebugArgs,
}

/// `hold`.
#[derive(Debug, Args)]
pub struct HoldArgs {
    /// The snapshot, the connection and the output.
    #[command(flatten)]
    pub target: MarkTargetArgs,
    /// End of the hold, that day included [default: never].
    ///
    /// A date (2027-01-31: the whole day is held), a date and time (2027-01-31T18:00, 2027-01-31T18:00:00Z) or a time
    /// from now: 12h, 14d, 2w, 6mo, 1y.
    #[arg(long, value_name = "TIME", help_heading = MARKS)]
    pub until: Option<String>,
    /// Why the snapshot is held.
    #[arg(long, value_name = "TEXT", help_heading = MARKS, allow_hyphen_values = true)]
    pub reason: Option<String>,
}

/// `release`.
#[derive(Debug, Args)]
pub struct ReleaseArgs {
    /// The snapshot, the connection and the output.
    #[command(flatten)]
    pub target: MarkTargetArgs,
}

/// `expire`.
#[derive(Debug, Args)]
pub struct ExpireArgs {
    /// The snapshot, the connection and the output.
    #[command(flatten)]
    pub target: MarkTargetArgs,
    /// When it expires.
    ///
    /// A date (2027-01-31: at its beginning) or a date and time: 2027-01-31T18:00, 2027-01-31T18:00:00Z.
    #[arg(long, value_name = "TIME", help_heading = MARKS)]
    pub at: Option<String>,
    /// In how much time it expires: 12h, 14d, 2w, 6mo, 1y.
    #[arg(long = "in", value_name = "TIME", help_heading = MARKS)]
    pub after: Option<String>,
    /// Remove the expiry; the keep rules decide again.
    #[arg(long, help_heading = MARKS)]
    pub never: bool,
}

/// `note`.
#[derive(Debug, Args)]
pub struct NoteArgs {
    /// The snapshot, the connection and the output.
    #[command(flatten)]
    pub target: MarkTargetArgs,
    /// The note; an empty text removes it.
    #[arg(value_name = "TEXT", allow_hyphen_values = true)]
    pub text: String,
}
