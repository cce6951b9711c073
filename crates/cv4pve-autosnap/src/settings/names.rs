// SPDX-License-Identifier: GPL-3.0-only
//! The check of label and format together, with the options that help if PVE would refuse the names.

use autosnap_core::name::{self, Label, NameError, Shortening, TimestampFormat};
use autosnap_core::text::shell_word;

/// Checks the names of a label and a format. The error names what to type instead.
pub fn check_names(label: &Label, format: &TimestampFormat) -> Result<(), String> {
    name::check(label, format).map_err(|error| message(&error))
}

fn message(error: &NameError) -> String {
    let NameError::TooLong { remedy, .. } = error else {
        return error.to_string();
    };
    let remedy = match remedy {
        Shortening::OtherName => "use a shorter name".to_owned(),
        Shortening::Label { longest } => {
            format!("shorten the label to at most {longest} characters")
        }
        Shortening::LabelOrFormat { format } => format!(
            "shorten the label or use --timestamp-format={}",
            shell_word(format.as_str(), "FORMAT")
        ),
        Shortening::LabelAndDefaultFormat { longest } => format!(
            "shorten the label to at most {longest} characters and use --timestamp-format={}",
            TimestampFormat::DEFAULT
        ),
    };
    format!("{error}: {remedy}")
}
