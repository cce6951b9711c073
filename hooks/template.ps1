# SPDX-License-Identifier: GPL-3.0-only
#
# Template of a hook for cv4pve-autosnap in PowerShell.
#
# Copy it, fill in the phases you need and pass it to: --script=C:\cv4pve\hook.ps1
# It is started by powershell.exe on Windows and by pwsh elsewhere, once for every phase.
#
# Variables, each as $env:CV4PVE_AUTOSNAP_...:
#   PHASE      the phase, see the branches below
#   VMID, VMNAME, VMTYPE (qemu or lxc), SNAP_NAME    empty in *-job-* phases
#   LABEL      the label of the run
#   KEEP       how many snapshots are kept
#   VMSTATE    1 if the RAM is part of the snapshot
#   DURATION   seconds with a decimal point, in phases after a step
#   STATE      1 success, 0 failure
#   DEBUG, DRY_RUN    1 with --debug, --dry-run
#
# Its stdout is printed in the guest's block of the report.
# Its stderr goes to the stderr of the program. An exit code other than 0 is reported.

$ErrorActionPreference = 'Stop'

switch ($env:CV4PVE_AUTOSNAP_PHASE) {
    # First and last in a run of "snap".
    'snap-job-start' { }
    'snap-job-end' { }

    # First and last in a run of "clean".
    'clean-job-start' { }
    'clean-job-end' { }

    # Before and after the snapshot of one guest. After "pre" always comes one of the others.
    'snap-create-pre' { }
    'snap-create-post' { }
    'snap-create-abort' { }

    # Before and after the removal of one old snapshot.
    'snap-remove-pre' { }
    'snap-remove-post' { }
    'snap-remove-abort' { }

    default {
        Write-Output "unknown phase '$env:CV4PVE_AUTOSNAP_PHASE'"
        exit 1
    }
}

exit 0
