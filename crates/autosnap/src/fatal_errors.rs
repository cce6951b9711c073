// SPDX-License-Identifier: GPL-3.0-only
//! Errors of one request that make every other request fail as well.

use pve_client::Error;

/// Whether the same request would fail for every guest: access is lost, or no host can be reached.
pub(crate) fn is_fatal_for_run(error: &Error) -> bool {
    matches!(error, Error::NotSent { .. }) || is_access_lost(error)
}

/// Whether no request can succeed any more, even later.
pub(crate) fn is_access_lost(error: &Error) -> bool {
    matches!(
        error,
        Error::Authentication { .. }
            | Error::Certificate { .. }
            | Error::UnsupportedTls { .. }
            | Error::OtherCluster { .. }
    )
}
