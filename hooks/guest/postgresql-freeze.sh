#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-only
#
# For use inside a VM, as a hook of the QEMU guest agent: makes PostgreSQL write its memory to the disks before they are
# snapshotted, so that recovery after a rollback is short. Copy it to /etc/qemu/fsfreeze-hook.d/ and make it
# executable. PostgreSQL recovers without it, too: the agent freezes all file systems together, those of the log and of the data.
#
#   POSTGRESQL_USER    the user of the operating system that can connect, default postgres
#
# If the server is missing or does not answer, that is logged, and the freeze continues: the snapshot is still taken.

set -u

user=${POSTGRESQL_USER:-postgres}

case "${1:-}" in
    freeze)
        if ! timeout 60 runuser -u "$user" -- psql --no-psqlrc --quiet --dbname=postgres --command=CHECKPOINT; then
            echo "postgresql-freeze: no checkpoint; the snapshot is as consistent as after a power cut" >&2
        fi
        ;;
    thaw) ;;
    *)
        echo "usage: $0 freeze|thaw" >&2
        exit 2
        ;;
esac
