@echo off
rem SPDX-License-Identifier: GPL-3.0-only
rem
rem Template of a hook for cv4pve-autosnap on Windows.
rem
rem Copy it, fill in the phases you need and pass it to: --script=C:\cv4pve\hook.cmd
rem It is called once for every phase.
rem
rem Variables, each with the prefix CV4PVE_AUTOSNAP_:
rem   PHASE      the phase, see the labels below
rem   VMID, VMNAME, VMTYPE (qemu or lxc), SNAP_NAME    empty in *-job-* phases
rem   LABEL      the label of the run
rem   KEEP       how many snapshots are kept
rem   VMSTATE    1 if the RAM is part of the snapshot
rem   DURATION   seconds with a decimal point, in phases after a step
rem   STATE      1 success, 0 failure
rem   DEBUG, DRY_RUN    1 with --debug, --dry-run
rem
rem Its stdout is printed in the guest's block of the report.
rem Its stderr goes to the stderr of the program. An exit code other than 0 is reported.

setlocal
for %%P in (snap-job-start snap-job-end clean-job-start clean-job-end snap-create-pre snap-create-post snap-create-abort snap-remove-pre snap-remove-post snap-remove-abort) do (
    if "%CV4PVE_AUTOSNAP_PHASE%"=="%%P" goto %%P
)
echo unknown phase "%CV4PVE_AUTOSNAP_PHASE%"
exit /b 1

rem First and last in a run of "snap".
:snap-job-start
exit /b 0

:snap-job-end
exit /b 0

rem First and last in a run of "clean".
:clean-job-start
exit /b 0

:clean-job-end
exit /b 0

rem Before and after the snapshot of one guest. After "pre" always comes one of the others.
:snap-create-pre
exit /b 0

:snap-create-post
exit /b 0

:snap-create-abort
exit /b 0

rem Before and after the removal of one old snapshot.
:snap-remove-pre
exit /b 0

:snap-remove-post
exit /b 0

:snap-remove-abort
exit /b 0
