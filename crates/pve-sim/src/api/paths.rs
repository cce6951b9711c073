// SPDX-License-Identifier: GPL-3.0-only
//! All paths and methods of PVE's API, simulated or not, so that a client's author can distinguish
//! an unsupported path from a typo. The list is that of PVE 9.

/// The paths of PVE's API: one per line, with its methods.
const PATHS: &str = include_str!("../../data/paths.txt");

/// The template of a path that exists in PVE with this method.
pub(super) fn find(method: &str, segments: &[&str]) -> Option<&'static str> {
    let given: Vec<&str> = segments
        .iter()
        .copied()
        .filter(|segment| !segment.is_empty())
        .collect();
    PATHS.lines().find_map(|line| {
        let (template, methods) = line.split_once(' ')?;
        let has_method = methods.split(' ').any(|one| one == method);
        (has_method && matches(template, &given)).then_some(template)
    })
}

/// Whether a path matches a template. Volume names may contain slashes.
fn matches(template: &str, given: &[&str]) -> bool {
    let mut rest = given;
    for expected in template.split('/').filter(|part| !part.is_empty()) {
        let Some((first, others)) = rest.split_first() else {
            return false;
        };
        if expected == "{volume}" {
            return true;
        }
        if !expected.starts_with('{') && expected != *first {
            return false;
        }
        rest = others;
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(method: &str, path: &str) -> Option<&'static str> {
        let segments: Vec<&str> = path.split('/').collect();
        find(method, &segments)
    }

    #[test]
    fn paths_of_pve_are_distinguished_from_typos() {
        assert_eq!(
            template("POST", "/nodes/pve1/qemu/100/clone"),
            Some("/nodes/{node}/qemu/{vmid}/clone")
        );
        assert_eq!(
            template("GET", "/nodes/pve1/storage/local/content/local:iso/a.iso"),
            Some("/nodes/{node}/storage/{storage}/content/{volume}")
        );
        for (method, path) in [
            ("GET", "/nodes/pve1/qemu/100/clone"),
            ("GET", "/nodes/pve1/qemu/100/snapshots"),
            ("GET", "/nodes/pve1/storage/local/content/"),
            ("DELETE", "/access/ticket"),
        ] {
            let found = template(method, path);
            assert!(
                found.is_none_or(|found| !found.contains("clone") && !found.ends_with("{volume}")),
                "{method} {path}: {found:?}"
            );
        }
        assert_eq!(template("DELETE", "/access/ticket"), None);
    }
}
