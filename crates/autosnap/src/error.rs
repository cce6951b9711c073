// SPDX-License-Identifier: GPL-3.0-only
//! The error of the library.

use autosnap_core::event::FailureKind;
use autosnap_core::name::NameError;
use autosnap_core::remedy::Remedy;
use autosnap_core::select::SelectionWarning;
use pve_client::EndpointError;

use crate::remedies;

/// The error that ended a command of the library.
///
/// Failures of single guests are not errors: they are in the events and in the record of the run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Proxmox VE would refuse the name of the new snapshots.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A host cannot be parsed.
    #[error(transparent)]
    Hosts(#[from] EndpointError),
    /// An exclusion of the selection matches nothing, so that guests would not be excluded.
    #[error("nothing was done, because an exclusion cannot be resolved: {}", joined(.0))]
    UnresolvedExclusions(Vec<SelectionWarning>),
    /// The login may not see the pools nested in an excluded one.
    #[error(
        "nothing was done, because an exclusion cannot be resolved: this login may not see the pools \
         nested in `{pool}` (Pool.Audit on /pool/{pool} is not propagated)"
    )]
    HiddenNestedPools {
        /// The excluded pool.
        pool: String,
    },
    /// A request that the command depends on has failed.
    #[error(transparent)]
    Api(#[from] pve_client::Error),
    /// A bug in this library has ended a guest or a run; the message of the panic.
    #[error("internal error: {0}")]
    Internal(String),
}

impl Error {
    /// What an administrator can do about it, if that is known.
    pub fn remedy(&self) -> Option<Remedy> {
        match self {
            Self::Name(_) | Self::Hosts(_) | Self::Internal(_) => None,
            Self::UnresolvedExclusions(_) => Some(Remedy::CorrectExclusion),
            Self::HiddenNestedPools { .. } => Some(Remedy::GrantNestedPools),
            Self::Api(error) => remedies::for_error(error, None),
        }
    }

    /// The kind of the error.
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::Name(_)
            | Self::Hosts(_)
            | Self::UnresolvedExclusions(_)
            | Self::HiddenNestedPools { .. }
            | Self::Api(pve_client::Error::Configuration(_)) => FailureKind::Configuration,
            Self::Api(
                pve_client::Error::NotSent { .. }
                | pve_client::Error::MaybeProcessed { .. }
                | pve_client::Error::Refused { .. }
                | pve_client::Error::UnexpectedReply { .. }
                | pve_client::Error::InvalidListing { .. }
                | pve_client::Error::Intercepted { .. }
                | pve_client::Error::Authentication { .. }
                | pve_client::Error::Certificate { .. }
                | pve_client::Error::UnsupportedTls { .. }
                | pve_client::Error::OtherCluster { .. },
            ) => FailureKind::Connection,
            Self::Internal(_) => FailureKind::Internal,
        }
    }
}

fn joined(warnings: &[SelectionWarning]) -> String {
    let texts: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    texts.join("; and ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_settings_and_failed_requests_are_different_kinds() {
        let settings = pve_client::Error::Configuration("no host".to_owned());
        assert_eq!(Error::from(settings).kind(), FailureKind::Configuration);
        let pool = Error::HiddenNestedPools {
            pool: "prod".to_owned(),
        };
        assert_eq!(pool.kind(), FailureKind::Configuration);
        assert!(pool.to_string().contains("`prod`"), "{pool}");
    }
}
