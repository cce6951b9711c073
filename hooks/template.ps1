# SPDX-License-Identifier: GPL-3.0-only
#
# A hook for cv4pve-autosnap in PowerShell to start your own from.
#
# Copy it, fill in the phases you need and name it: --script=C:\cv4pve\hook.ps1
# It is started by powershell.exe on Windows and by pwsh elsewhere, once for every phase.
#
# Variables, each as $env:CV4PVE_AUTOSNAP_...:
#   PHASE      the phase, see the branches below
#   VMID, VMNAME, VMTYPE (qemu or lxc), SNAP_NAME    empty in *-job-* phases
#   LABEL      the label of the run
#   KEEP       how many snapshots are kept
#   VMSTATE    1 if the RAM is part of the snapshot
#   DURATION   seconds with a decimal point, in phases that come after something
#   STATE      1 if all went well, 0 if not
#   DEBUG, DRY_RUN    1 with --debug, --dry-run
#
# What it prints to stdout appears in the guest's block of the report.
# Its stderr is that of the program. An exit code other than 0 is reported.

$ErrorActionPreference = 'Stop'

switch ($env:CV4PVE_AUTOSNAP_PHASE) {
    # Around a whole run of "snap".
    'snap-job-start' { }
    'snap-job-end' { }

    # Around a whole run of "clean".
    'clean-job-start' { }
    'clean-job-end' { }

    # Around the snapshot of one guest. After "pre" always comes one of the others.
    'snap-create-pre' { }
    'snap-create-post' { }
    'snap-create-abort' { }

    # Around the removal of one old snapshot.
    'snap-remove-pre' { }
    'snap-remove-post' { }
    'snap-remove-abort' { }

    default {
        Write-Output "unknown phase '$env:CV4PVE_AUTOSNAP_PHASE'"
        exit 1
    }
}

exit 0
