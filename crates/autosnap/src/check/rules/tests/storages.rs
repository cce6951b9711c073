// SPDX-License-Identifier: GPL-3.0-only
//! Storages near and above the limit, and the room for RAM.

use super::*;

#[test]
fn storages_near_and_above_the_limit_differ() {
    for (percent, expected) in [
        (89, None),
        (90, None),
        (91, Some(Severity::Warning)),
        (95, Some(Severity::Warning)),
        (96, Some(Severity::Problem)),
    ] {
        let guests = vec![(guest(100), Some(details(&[DISK])))];
        let cluster = cluster_on(guests, vec![storage("tank", "zfspool", percent)]);
        let found = findings(&settings("@all"), cluster);
        let weight = found.first().map(Finding::severity);
        assert_eq!(weight, expected, "{percent}");
    }
}

#[test]
fn ram_needs_twice_the_memory_where_pve_would_put_it() {
    let ram = settings_with_ram("@all", true);
    let memory = |mib: &'static str| details(&[DISK, ("memory", mib)]);
    // 90 GiB are free: (90 * 1024 - 500) / 2 = 45830.
    check_with(&ram, one(memory("45830")), &[]);
    let found = check_with(&ram, one(memory("45831")), &["ram-does-not-fit"]);
    // On thin storages it may still work.
    assert_eq!(found[0].severity(), Severity::Warning);
    let Finding::RamDoesNotFit { needed_mib, .. } = &found[0] else {
        panic!("{found:?}");
    };
    assert_eq!(*needed_mib, 92_162);
    check(one(memory("45831")), &[]);
    let mut stopped = one(memory("45831"));
    stopped.guests[0].plan.guest.status = GuestStatus::Stopped;
    check_with(&ram, stopped, &[]);
}

#[test]
fn the_storage_for_ram_is_the_one_pve_would_choose() {
    let ram = settings_with_ram("@all", true);
    let disks = [
        DISK,
        ("scsi1", "files:1/a.qcow2"),
        ("scsi2", "san:b"),
        ("memory", "999999"),
    ];
    let mut shared = storage("san", "rbd", 10);
    shared.shared = true;
    let storages = [
        storage("files", "dir", 10),
        storage("other", "dir", 10),
        storage("tank", "zfspool", 10),
    ];
    let chosen = |details: Details, storages: &[StorageUsage]| {
        let mut cluster = one(details);
        cluster.inventory.storages = storages.to_vec();
        let found = findings(&ram, cluster);
        found.into_iter().find_map(|finding| match finding {
            Finding::RamDoesNotFit { storage, .. } => Some(storage),
            _ => None,
        })
    };
    let with_shared = [&storages[..], &[shared]].concat();
    assert_eq!(
        chosen(details(&disks), &with_shared).as_deref(),
        Some("san")
    );
    assert_eq!(
        chosen(details(&disks[..2]), &storages).as_deref(),
        None,
        "fits"
    );
    let local = [disks[0], disks[1], disks[3]];
    assert_eq!(chosen(details(&local), &storages).as_deref(), Some("files"));
    let named = [disks[0], disks[3], ("vmstatestorage", "other")];
    assert_eq!(chosen(details(&named), &storages).as_deref(), Some("other"));
}
