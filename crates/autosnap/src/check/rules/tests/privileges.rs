// SPDX-License-Identifier: GPL-3.0-only
//! Missing privileges and a cluster without quorum.

use super::*;
use crate::check::finding::Privilege;
use crate::check::storages::Unlisted;

fn privileges(entries: &[(&str, &[(&str, bool)])]) -> Permissions {
    let entries = entries.iter();
    entries
        .map(|(path, list)| (*path, list.iter().copied()))
        .collect()
}

#[test]
fn a_missing_privilege_is_reported_with_its_path() {
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
    let missing: Vec<(Privilege, &str)> = found
        .iter()
        .map(|finding| match finding {
            Finding::MissingPrivilege {
                privilege, grant, ..
            } => (*privilege, grant.path.as_str()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        missing,
        [
            (Privilege::VmSnapshot, "/vms/101"),
            (Privilege::DatastoreAudit, "/storage/hidden"),
            (Privilege::PoolAudit, "/pool/lab"),
        ]
    );
    assert!(found[0].prevents(Vmid::new(101).unwrap()));
    assert!(!found[0].prevents(Vmid::new(100).unwrap()));
}

#[test]
fn a_login_without_any_privilege_is_one_finding() {
    let mut cluster = cluster(Vec::new());
    cluster.privileges = Some(Permissions::default());
    cluster.separated = Some(false);
    let found = check(cluster, &["nothing-selected", "no-privileges"]);
    let Finding::NoPrivileges { grant } = &found[1] else {
        panic!("{found:?}");
    };
    assert_eq!((grant.path.as_str(), grant.separated), ("/", Some(false)));
}

#[test]
fn lost_quorum_is_a_problem_for_all_guests() {
    let mut cluster = one(details(&[DISK]));
    cluster.status = Some(ClusterStatus {
        quorate: Some(false),
        ..ClusterStatus::default()
    });
    cluster.guests[0].plan.decision = Decision::Refuse(Refusal::NoQuorum);
    let found = check(cluster, &["no-quorum"]);
    assert!(found[0].prevents(Vmid::new(100).unwrap()));
}
