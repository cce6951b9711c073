// SPDX-License-Identifier: GPL-3.0-only
//! Guests and their configuration, with values that PVE has written.

use proptest::prelude::*;

use super::*;

fn config(kind: GuestKind, entries: &[(&str, &str)]) -> GuestConfig {
    GuestConfig::parse(kind, entries.iter().copied())
}

/// The volumes of a configuration in the spelling of PVE, without their options.
fn volumes(kind: GuestKind, entries: &[(&str, &str)]) -> Vec<String> {
    let config = config(kind, entries);
    config.volumes.iter().map(ToString::to_string).collect()
}

#[test]
fn ids_outside_of_the_range_of_pve_are_invalid() {
    for (text, expected) in [
        ("100", Some(100)),
        ("999999999", Some(999_999_999)),
        ("00100", Some(100)),
        ("99", None),
        ("1000000000", None),
        ("99999999999999999999", None),
        ("", None),
        ("+100", None),
        ("-100", None),
        ("1OO", None),
        (" 100", None),
    ] {
        let vmid = text.parse::<Vmid>().ok().map(Vmid::get);
        assert_eq!(vmid, expected, "{text:?}");
    }
    assert_eq!(
        Vmid::new(5).unwrap_err().to_string(),
        "invalid guest ID `5`: must be between 100 and 999999999"
    );
}

#[test]
fn status_and_kind_keep_the_names_of_pve() {
    for word in ["running", "stopped", "unknown", "paused"] {
        assert_eq!(GuestStatus::from(word).as_str(), word);
    }
    assert_eq!(GuestStatus::from("unknown"), GuestStatus::Unknown);
    assert_eq!(GuestKind::Qemu.to_string(), "qemu");
    assert_eq!(GuestKind::Lxc.to_string(), "lxc");
    assert_eq!(GuestKind::Qemu.short_name(), "VM");
    assert_eq!(GuestKind::Lxc.short_name(), "CT");
}

#[test]
fn volumes_of_a_vm_are_its_disks_without_cd_drives() {
    let entries = [
        ("scsi0", "local:100/vm-100-disk-0.qcow2,size=1G"),
        ("scsi12", "bulk:108/vm-108-disk-0.raw,backup=0,size=1G"),
        ("virtio3", "file=tank:vm-100-disk-2,size=4G"),
        ("sata1", "cache=none,tank:vm-100-disk-3"),
        ("ide0", "/dev/sdb,size=8G"),
        ("efidisk0", "tank:vm-100-disk-4,efitype=4m,size=1M"),
        ("tpmstate0", "tank:vm-100-disk-5,version=v2.0"),
        (
            "ide2",
            "local:iso/debian-12-netinst.iso,media=cdrom,size=1M",
        ),
        ("ide3", "none,media=cdrom"),
        ("sata4", "cdrom,media=cdrom"),
        ("scsi5", "none"),
        ("scsi6", ""),
        ("unused0", "tank:vm-100-disk-9"),
        ("scsihw", "virtio-scsi-single"),
        ("vmstate", "tank:vm-100-state-x"),
        ("net0", "virtio=BC:24:11:00:01:00"),
        ("virtiofs0", "share"),
        ("rootfs", "tank:not-a-vm-disk"),
        ("mp0", "tank:not-a-vm-disk"),
    ];
    let expected = [
        "efidisk0: tank:vm-100-disk-4",
        "ide0: /dev/sdb",
        "sata1: tank:vm-100-disk-3",
        "scsi0: local:100/vm-100-disk-0.qcow2",
        "scsi12: bulk:108/vm-108-disk-0.raw",
        "tpmstate0: tank:vm-100-disk-5",
        "virtio3: tank:vm-100-disk-2",
    ];
    assert_eq!(volumes(GuestKind::Qemu, &entries), expected);
    let config = config(GuestKind::Qemu, &entries);
    assert_eq!(
        config.storages().collect::<Vec<_>>(),
        ["bulk", "local", "tank"]
    );
    assert_eq!(
        config
            .unsupported_volumes()
            .next()
            .map(|volume| volume.key.as_str()),
        Some("ide0")
    );
}

#[test]
fn volumes_of_a_container_are_its_mount_points() {
    let entries = [
        ("rootfs", "tank:201/subvol-201-disk-0.subvol,size=0T"),
        ("mp0", "/srv/data,mp=/data"),
        ("mp10", "volume=bulk:vm-201-disk-1,mp=/var"),
        ("mpx", "tank:no-number"),
        ("unused0", "tank:vm-201-disk-9"),
        ("scsi0", "tank:not-a-container-volume"),
    ];
    let expected = [
        "mp0: /srv/data",
        "mp10: bulk:vm-201-disk-1",
        "rootfs: tank:201/subvol-201-disk-0.subvol",
    ];
    assert_eq!(volumes(GuestKind::Lxc, &entries), expected);
    let config = config(GuestKind::Lxc, &entries);
    let bind_mount = config.unsupported_volumes().next().unwrap();
    assert_eq!(
        bind_mount.location,
        VolumeLocation::Path("/srv/data".to_owned())
    );
    assert_eq!(config.storages().collect::<Vec<_>>(), ["bulk", "tank"]);
}

#[test]
fn volumes_on_storages_are_not_unsupported() {
    let cases: [(GuestKind, &[(&str, &str)]); 4] = [
        (GuestKind::Qemu, &[]),
        (
            GuestKind::Qemu,
            &[("scsi0", "bulk:102/vm-102-disk-0.raw,size=1G")],
        ),
        (GuestKind::Qemu, &[("ide2", "/dev/cdrom,media=cdrom")]),
        (
            GuestKind::Lxc,
            &[("rootfs", "bulk:202/subvol-202-disk-0.subvol,size=0T")],
        ),
    ];
    for (kind, entries) in cases {
        assert_eq!(
            config(kind, entries).unsupported_volumes().next(),
            None,
            "{entries:?}"
        );
    }
}

#[test]
fn the_agent_setting_is_parsed_in_every_spelling() {
    use AgentSetting::{Disabled, Enabled};
    for (value, expected) in [
        ("1", Enabled),
        ("enabled=1", Enabled),
        ("enabled=1,fstrim_cloned_disks=1", Enabled),
        ("1,type=virtio", Enabled),
        ("type=isa,enabled=1", Enabled),
        ("yes", Enabled),
        ("0", Disabled),
        ("enabled=0", Disabled),
        ("0,fstrim_cloned_disks=1", Disabled),
        ("fstrim_cloned_disks=1", Disabled),
        ("", Disabled),
    ] {
        assert_eq!(
            config(GuestKind::Qemu, &[("agent", value)]).agent,
            expected,
            "{value:?}"
        );
    }
    assert_eq!(config(GuestKind::Qemu, &[]).agent, Disabled);
    assert_eq!(
        config(GuestKind::Lxc, &[("agent", "1")]).agent,
        AgentSetting::NotApplicable
    );
}

#[test]
fn lock_template_and_memory_are_parsed() {
    let entries = [("lock", "backup"), ("template", "1"), ("memory", "2048")];
    let full = config(GuestKind::Qemu, &entries);
    assert_eq!(
        (full.lock.as_deref(), full.template, full.memory_mib),
        (Some("backup"), true, Some(2048))
    );
    let named = config(
        GuestKind::Qemu,
        &[("memory", "current=512"), ("template", "0")],
    );
    assert_eq!(
        (named.lock.as_deref(), named.template, named.memory_mib),
        (None, false, Some(512))
    );
    let odd = config(GuestKind::Lxc, &[("memory", "much")]);
    assert_eq!((odd.template, odd.memory_mib), (false, None));
}

#[test]
fn a_status_is_displayed_with_the_name_of_pve() {
    assert_eq!(format!("{:>8}", GuestStatus::Running), " running");
    assert_eq!(GuestStatus::from("paused").to_string(), "paused");
}

#[test]
fn the_repair_command_unlocks_the_guest_and_removes_the_snapshot() {
    let vmid = Vmid::new(100).unwrap();
    for (kind, snapshot, expected) in [
        (GuestKind::Qemu, None, "qm unlock 100"),
        (GuestKind::Lxc, None, "pct unlock 100"),
        (
            GuestKind::Qemu,
            Some("autodaily1"),
            "qm unlock 100 && qm delsnapshot 100 autodaily1 --force",
        ),
        (
            GuestKind::Lxc,
            Some("it's"),
            r"pct unlock 100 && pct delsnapshot 100 'it'\''s' --force",
        ),
    ] {
        assert_eq!(repair_command(kind, vmid, snapshot), expected);
    }
}

#[test]
fn an_absolute_path_with_a_colon_is_not_a_volume_on_a_storage() {
    let path = "/dev/disk/by-path/pci-0000:00:1f.2";
    let config = config(GuestKind::Qemu, &[("scsi0", path), ("scsi1", "no-colon")]);
    let paths: Vec<String> = config
        .unsupported_volumes()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        paths,
        [format!("scsi0: {path}").as_str(), "scsi1: no-colon"]
    );
}

proptest! {
    #[test]
    fn parsing_never_panics(key in "(scsi|ide|mp|rootfs|agent|memory)?[0-9]{0,3}\\PC{0,3}", value in "\\PC{0,40}") {
        for kind in [GuestKind::Qemu, GuestKind::Lxc] {
            let config = config(kind, &[(&key, &value)]);
            prop_assert!(config.volumes.len() <= 1);
        }
        let _ = value.parse::<Vmid>();
    }
}
