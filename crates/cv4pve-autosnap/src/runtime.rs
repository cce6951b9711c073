// SPDX-License-Identifier: GPL-3.0-only
//! The asynchronous runtime of a command.

use crate::command_error::CommandError;

/// Runs the work of a command to its end.
pub(crate) fn block_on<T>(
    work: impl Future<Output = Result<T, CommandError>>,
) -> Result<T, CommandError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime =
        runtime.map_err(|error| CommandError::failure(format!("cannot start: {error}")))?;
    runtime.block_on(work)
}
