// SPDX-License-Identifier: GPL-3.0-only
//! The exclusions of a selection: a run with an unresolved one is refused.

use autosnap_core::select::{Selected, SelectionWarning};

use super::{Context, nested_pools};
use crate::error::Error;
use crate::inventory;
use crate::settings::JobSettings;

/// Evaluates the exclusions before the opening hook is called, so that a refused run has no effect. The selection is
/// evaluated again after the hook, which may start or tag guests.
///
/// An inventory that cannot be read here is read again after the hook, and fails there.
pub(super) async fn check_before_hooks(
    settings: &JobSettings,
    context: &Context,
) -> Result<(), Error> {
    let needed = settings.hook.is_some() && !context.invocation.dry_run;
    if !needed || !settings.selection.has_exclusions() {
        return Ok(());
    }
    let check = async {
        let Ok(inventory) = inventory::read(context.cluster.client()).await else {
            return Ok(());
        };
        check_exclusions(settings, &settings.selection.evaluate(&inventory))?;
        nested_pools::check(settings, context.cluster.client(), &inventory).await
    };
    tokio::select! {
        biased;
        _ = context.stop.wait() => Ok(()),
        result = check => result,
    }
}

/// Refuses the run if an exclusion breaks the rule of the command.
pub(super) fn check_exclusions(settings: &JobSettings, selected: &Selected) -> Result<(), Error> {
    let violations: Vec<SelectionWarning> = selected
        .warnings
        .iter()
        .filter(|warning| warning.violates(settings.exclusions))
        .cloned()
        .collect();
    if violations.is_empty() {
        Ok(())
    } else {
        Err(Error::UnresolvedExclusions(violations))
    }
}
