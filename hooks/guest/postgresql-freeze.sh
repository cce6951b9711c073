#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-only
#
# For use inside of a VM, as a hook of the QEMU guest agent: has PostgreSQL write out what it holds in memory before the
# disks are snapshotted, so that recovery after a rollback is short. Copy it to /etc/qemu/fsfreeze-hook.d/ and make it
# executable. PostgreSQL recovers without it, too: the agent freezes all file systems at once, log and data alike.
#
#   POSTGRESQL_USER    the operating system's user that may connect, default postgres
#
# A server that is not there or does not answer is no reason to refuse the snapshot: it is reported and the freeze goes on.

set -u

user=${POSTGRESQL_USER:-postgres}

case "${1:-}" in
    freeze)
        if ! timeout 60 runuser -u "$user" -- psql --no-psqlrc --quiet --dbname=postgres --command=CHECKPOINT; then
            echo "postgresql-freeze: no checkpoint; the snapshot is still as safe as after a power cut" >&2
        fi
        ;;
    thaw) ;;
    *)
        echo "usage: $0 freeze|thaw" >&2
        exit 2
        ;;
esac
