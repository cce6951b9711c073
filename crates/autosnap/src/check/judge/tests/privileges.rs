// SPDX-License-Identifier: GPL-3.0-only
//! Missing privileges and a cluster without quorum.

use super::*;
use crate::check::storages::Unlisted;

fn privileges(entries: &[(&str, &[(&str, bool)])]) -> Permissions {
    let entries = entries.iter();
    entries
        .map(|(path, list)| (*path, list.iter().copied()))
        .collect()
}

#[test]
fn a_missing_privilege_comes_with_the_lines_that_grant_it() {
    let mut cluster = cluster(vec![
        (guest(100), Some(details(&[DISK]))),
        (guest(101), Some(details(&[("scsi0", "hidden:x")]))),
    ]);
    let audit: &[(&str, bool)] = &[("VM.Audit", true)];
    let both: &[(&str, bool)] = &[("VM.Audit", true), ("VM.Snapshot", true)];
    cluster.privileges = Some(privileges(&[("/", audit), ("/vms/100", both)]));
    let hidden = ("hidden".to_owned(), "pve1".to_owned());
    cluster.unlisted = BTreeMap::from([(hidden, Unlisted::NotPermitted)]);
    let kinds = ["missing-privilege"; 3];
    let found = check_with(&settings("@all,@pool-lab"), cluster, &kinds);
    let texts: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert!(
        texts[0].starts_with("VM.Snapshot is missing on /vms/101: "),
        "{texts:?}"
    );
    assert!(texts[1].starts_with("Datastore.Audit is missing on /storage/hidden: "));
    assert!(texts[2].starts_with("Pool.Audit is missing on /pool/lab: "));
    assert_eq!(
        found[0].commands(),
        ["pveum acl modify /vms/101 --tokens 'backup@pve!auto' --roles Autosnap",]
    );
    let hint = found[0].hint().unwrap();
    assert!(
        hint.ends_with("; if the user lacks it too, also pveum acl modify /vms/101 --users 'backup@pve' --roles Autosnap, which alone is right for a token made with --privsep 0"),
        "{hint}"
    );
    assert!(found[0].prevents(Vmid::new(101).unwrap()));
    assert!(!found[0].prevents(Vmid::new(100).unwrap()));
}

#[test]
fn a_login_without_any_privilege_is_told_so_once() {
    let mut cluster = cluster(Vec::new());
    cluster.privileges = Some(Permissions::default());
    cluster.separated = Some(false);
    let found = check(cluster, &["nothing-selected", "no-privileges"]);
    let lines = ["pveum acl modify / --users 'backup@pve' --roles Autosnap"];
    assert_eq!(found[1].commands(), lines, "its privileges are its user's");
    let hint = found[1].hint().unwrap();
    assert!(!hint.contains("pveum"), "{hint}");
}

#[test]
fn lost_quorum_stops_everything() {
    let mut cluster = one(details(&[DISK]));
    cluster.status = Some(ClusterStatus {
        quorate: Some(false),
        ..ClusterStatus::default()
    });
    cluster.guests[0].plan.decision = Decision::Refuse(Refusal::NoQuorum);
    let found = check(cluster, &["no-quorum"]);
    assert!(found[0].prevents(Vmid::new(100).unwrap()));
}
