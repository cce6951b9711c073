#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-only
#
# Template of a hook for cv4pve-autosnap.
#
# Copy it, fill in the phases you need, make the copy executable (chmod +x) and pass it to --script:
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
#   CV4PVE_AUTOSNAP_DURATION   seconds with decimals, in phases after a step
#   CV4PVE_AUTOSNAP_STATE      1 success, 0 failure
#   CV4PVE_AUTOSNAP_DEBUG      1 with --debug
#   CV4PVE_AUTOSNAP_DRY_RUN    1 with --dry-run
#
# Its stdout is printed in the guest's block of the report, its stderr on the stderr of the program. An exit code other
# than 0 is reported. Hooks of different guests may run in parallel: put the guest's ID into names of temporary files.

set -u

case "$CV4PVE_AUTOSNAP_PHASE" in
    # First and last in a run of "snap".
    snap-job-start) ;;
    snap-job-end) ;;

    # First and last in a run of "clean".
    clean-job-start) ;;
    clean-job-end) ;;

    # Before and after the snapshot of one guest. Each "pre" is followed by "post" or "abort": resume there what "pre" pauses.
    snap-create-pre) ;;
    snap-create-post) ;;
    snap-create-abort) ;;

    # Before and after the removal of one old snapshot.
    snap-remove-pre) ;;
    snap-remove-post) ;;
    snap-remove-abort) ;;

    *)
        echo "unknown phase '$CV4PVE_AUTOSNAP_PHASE'" >&2
        exit 1
        ;;
esac
