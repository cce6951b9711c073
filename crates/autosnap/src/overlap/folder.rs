// SPDX-License-Identifier: GPL-3.0-only
//! The folder for lock files. It belongs to the user, so that no other user can place links or files in it.

use std::path::{Path, PathBuf};

/// Finds or creates the folder. The error has the reason for each parent that was tried.
pub(super) fn find() -> Result<PathBuf, String> {
    first_usable(&parents())
}

fn first_usable(parents: &[PathBuf]) -> Result<PathBuf, String> {
    let mut reasons = Vec::new();
    for parent in parents {
        match own_folder(parent) {
            Ok(folder) => return Ok(folder),
            Err(reason) => reasons.push(reason),
        }
    }
    Err(reasons.join("; "))
}

#[cfg(unix)]
fn parents() -> Vec<PathBuf> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let runtime = runtime.filter(|path| path.is_absolute());
    [
        Some(PathBuf::from("/run/lock")),
        runtime,
        Some(std::env::temp_dir()),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(not(unix))]
fn parents() -> Vec<PathBuf> {
    vec![std::env::temp_dir()]
}

/// Creates the folder if it is missing, and checks that only this user can write to it.
///
/// Links are not followed.
#[cfg(unix)]
fn own_folder(parent: &Path) -> Result<PathBuf, String> {
    use std::os::unix::fs::{DirBuilderExt, MetadataExt};

    let user = rustix::process::geteuid().as_raw();
    let folder = parent.join(format!("cv4pve-autosnap-{user}"));
    let failed = |reason: &dyn std::fmt::Display| format!("{}: {reason}", folder.display());
    match std::fs::DirBuilder::new().mode(0o700).create(&folder) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(failed(&error)),
    }
    let found = std::fs::symlink_metadata(&folder).map_err(|error| failed(&error))?;
    if !found.is_dir() || found.uid() != user {
        return Err(failed(&"it is not a folder of this user"));
    }
    if found.mode() & 0o022 != 0 {
        return Err(failed(&"others can write to it; run: chmod 700"));
    }
    Ok(folder)
}

#[cfg(not(unix))]
fn own_folder(parent: &Path) -> Result<PathBuf, String> {
    let folder = parent.join("cv4pve-autosnap");
    std::fs::create_dir_all(&folder)
        .map(|()| folder.clone())
        .map_err(|error| format!("{}: {error}", folder.display()))
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn folder_name() -> String {
        format!("cv4pve-autosnap-{}", rustix::process::geteuid().as_raw())
    }

    #[test]
    fn the_folder_is_created_for_the_user_alone() {
        let parent = tempfile::tempdir().unwrap();
        let folder = own_folder(parent.path()).unwrap();
        let mode = std::fs::metadata(&folder).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        assert_eq!(own_folder(parent.path()).unwrap(), folder, "found again");
    }

    #[test]
    fn a_link_or_a_folder_that_others_can_write_to_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        let other = tempfile::tempdir().unwrap();
        let folder = parent.path().join(folder_name());
        symlink(other.path(), &folder).unwrap();
        let reason = own_folder(parent.path()).unwrap_err();
        assert!(reason.contains("not a folder of this user"), "{reason}");
        std::fs::remove_file(&folder).unwrap();
        std::fs::create_dir(&folder).unwrap();
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o777)).unwrap();
        let reason = own_folder(parent.path()).unwrap_err();
        assert!(reason.contains("others can write"), "{reason}");
    }

    #[test]
    fn the_first_usable_parent_is_taken() {
        let parent = tempfile::tempdir().unwrap();
        let missing = parent.path().join("missing");
        let parents = [missing.clone(), parent.path().to_owned()];
        let expected = parent.path().join(folder_name());
        assert_eq!(first_usable(&parents).unwrap(), expected);
        let reasons = first_usable(&[missing]).unwrap_err();
        assert!(reasons.contains("missing"), "{reasons}");
    }
}
