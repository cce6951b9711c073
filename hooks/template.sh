#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-only
#
# A hook for cv4pve-autosnap to start your own from.
#
# Copy it, fill in the phases you need, make the copy executable (chmod +x) and name it:
#   cv4pve-autosnap --host=pve1 --api-token=file:/etc/cv4pve/token --vmid=100 \
#       snap --label=daily --keep=7 --script=/etc/cv4pve/hook.sh
#
# It is called once for every phase, with these variables:
#   CV4PVE_AUTOSNAP_PHASE      the phase, see the branches below
#   CV4PVE_AUTOSNAP_VMID       the guest's ID                    (empty in *-job-* phases)
#   CV4PVE_AUTOSNAP_VMNAME     the guest's name                  (empty in *-job-* phases)
#   CV4PVE_AUTOSNAP_VMTYPE     qemu or lxc                       (empty in *-job-* phases)
#   CV4PVE_AUTOSNAP_SNAP_NAME  the snapshot                      (empty in *-job-* phases)
#   CV4PVE_AUTOSNAP_LABEL      the label of the run
#   CV4PVE_AUTOSNAP_KEEP       how many snapshots are kept
#   CV4PVE_AUTOSNAP_VMSTATE    1 if the RAM is part of the snapshot
#   CV4PVE_AUTOSNAP_DURATION   seconds with decimals, in phases that come after something
#   CV4PVE_AUTOSNAP_STATE      1 if all went well, 0 if not
#   CV4PVE_AUTOSNAP_DEBUG      1 with --debug
#   CV4PVE_AUTOSNAP_DRY_RUN    1 with --dry-run
#
# What it prints to stdout appears in the guest's block of the report; stderr is that of the program. An exit code other
# than 0 is reported. Hooks of different guests may run side by side: name temporary files after the guest.

set -u

case "$CV4PVE_AUTOSNAP_PHASE" in
    # Around a whole run of "snap".
    snap-job-start) ;;
    snap-job-end) ;;

    # Around a whole run of "clean".
    clean-job-start) ;;
    clean-job-end) ;;

    # Around the snapshot of one guest. After "pre" always comes one of the others, so what is paused here can be resumed there.
    snap-create-pre) ;;
    snap-create-post) ;;
    snap-create-abort) ;;

    # Around the removal of one old snapshot.
    snap-remove-pre) ;;
    snap-remove-post) ;;
    snap-remove-abort) ;;

    *)
        echo "unknown phase '$CV4PVE_AUTOSNAP_PHASE'" >&2
        exit 1
        ;;
esac
