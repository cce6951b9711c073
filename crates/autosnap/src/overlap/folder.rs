// SPDX-License-Identifier: GPL-3.0-only
//! The folder for lock files: the user's own, so that nobody else can put a link or a file in the
//! way.

use std::path::{Path, PathBuf};

/// Finds or makes the folder; the error names each place and what is wrong there.
pub(super) fn find() -> Result<PathBuf, String> {
    first_of(&places())
}

fn first_of(places: &[PathBuf]) -> Result<PathBuf, String> {
    let mut reasons = Vec::new();
    for place in places {
        match own_folder(place) {
            Ok(folder) => return Ok(folder),
            Err(reason) => reasons.push(reason),
        }
    }
    Err(reasons.join("; "))
}

#[cfg(unix)]
fn places() -> Vec<PathBuf> {
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
fn places() -> Vec<PathBuf> {
    vec![std::env::temp_dir()]
}

/// Makes the folder if it is not there, then looks who it belongs to. It is looked at without
/// following links, and what is in it can be trusted if it is the user's and nobody else's.
#[cfg(unix)]
fn own_folder(place: &Path) -> Result<PathBuf, String> {
    use std::os::unix::fs::{DirBuilderExt, MetadataExt};

    let user = rustix::process::geteuid().as_raw();
    let folder = place.join(format!("cv4pve-autosnap-{user}"));
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
fn own_folder(place: &Path) -> Result<PathBuf, String> {
    let folder = place.join("cv4pve-autosnap");
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
    fn the_folder_is_made_for_the_user_alone() {
        let place = tempfile::tempdir().unwrap();
        let folder = own_folder(place.path()).unwrap();
        let mode = std::fs::metadata(&folder).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        assert_eq!(own_folder(place.path()).unwrap(), folder, "found again");
    }

    #[test]
    fn a_link_or_an_open_folder_in_the_way_is_not_used() {
        let place = tempfile::tempdir().unwrap();
        let other = tempfile::tempdir().unwrap();
        let folder = place.path().join(folder_name());
        symlink(other.path(), &folder).unwrap();
        let reason = own_folder(place.path()).unwrap_err();
        assert!(reason.contains("not a folder of this user"), "{reason}");
        std::fs::remove_file(&folder).unwrap();
        std::fs::create_dir(&folder).unwrap();
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o777)).unwrap();
        let reason = own_folder(place.path()).unwrap_err();
        assert!(reason.contains("others can write"), "{reason}");
    }

    #[test]
    fn the_first_place_that_works_is_taken() {
        let place = tempfile::tempdir().unwrap();
        let missing = place.path().join("missing");
        let places = [missing.clone(), place.path().to_owned()];
        assert_eq!(first_of(&places).unwrap(), place.path().join(folder_name()));
        let reasons = first_of(&[missing]).unwrap_err();
        assert!(reasons.contains("missing"), "{reasons}");
    }
}
