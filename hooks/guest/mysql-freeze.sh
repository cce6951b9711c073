#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-only
#
# For use inside a VM, as a hook of the QEMU guest agent: stops writes of MySQL or MariaDB while the disks are
# snapshotted. Copy it to /etc/qemu/fsfreeze-hook.d/ and make it executable; the agent calls it with "freeze" and "thaw".
#
# On freeze a session takes the global read lock and stays open; on thaw the session ends and releases the lock. Without a
# thaw the session ends by itself, so that the database is never blocked permanently.
#
#   MYSQL_FREEZE_LIMIT    seconds after which the lock is released without a thaw, default 60
#   MYSQL_FREEZE_WAIT     seconds to wait for the lock, default 10; then this script fails. Debian's fsfreeze-hook logs
#                         that in /var/log/qga-fsfreeze-hook.log and continues, so the snapshot is taken without the lock
#   MYSQL_FREEZE_FOLDER   folder for the state between freeze and thaw, default /run/cv4pve-mysql-freeze; must not be on a disk
#
# The client logs in with its option files. As root on Debian and Ubuntu no setting is needed.

set -u

limit=${MYSQL_FREEZE_LIMIT:-60}
patience=${MYSQL_FREEZE_WAIT:-10}
folder=${MYSQL_FREEZE_FOLDER:-/run/cv4pve-mysql-freeze}

thaw() {
    # The keeper holds the session's input open; without it the session reads the end of its input and ends. If the keeper
    # has already ended, another process may have its PID, so the file behind its stdout is compared.
    if [ -f "$folder/keeper" ]; then
        keeper=$(cat "$folder/keeper")
        # shellcheck disable=SC3013 # The shells of Linux know -ef: dash, bash and that of busybox.
        [ "/proc/$keeper/fd/1" -ef "$folder/input" ] && kill "$keeper" 2>/dev/null
    fi
    rm -rf "$folder"
}

freeze() {
    client=$(command -v mariadb || command -v mysql) || {
        echo "mysql-freeze: no client of MySQL or MariaDB" >&2
        exit 1
    }
    thaw
    (umask 077 && mkdir -p "$folder") || exit 1
    mkfifo "$folder/input" || exit 1

    # Opened first, in both directions: no side waits for the other, and the session cannot read the end of its input
    # before the keeper starts.
    exec 3<>"$folder/input"
    "$client" --batch --skip-column-names --unbuffered <"$folder/input" >"$folder/output" 2>&1 3>&- &
    # exec makes it one process, so that killing it closes the input. It holds nothing else open, so that the agent does
    # not wait for it.
    (exec sleep "$limit" >&3 2>/dev/null 3>&-) </dev/null &
    echo $! >"$folder/keeper"
    # A session that waits for the lock blocks all writers, so the server stops waiting when this script does.
    echo "SET SESSION lock_wait_timeout=$patience; FLUSH TABLES WITH READ LOCK; SELECT 'locked';" >&3
    exec 3>&-

    waited=0
    until grep -q '^locked$' "$folder/output" 2>/dev/null; do
        if [ "$waited" -ge "$patience" ] || grep -q '^ERROR' "$folder/output"; then
            echo "mysql-freeze: no lock: $(cat "$folder/output")" >&2
            thaw
            exit 1
        fi
        sleep 1
        waited=$((waited + 1))
    done
}

case "${1:-}" in
    freeze) freeze ;;
    thaw) thaw ;;
    *)
        echo "usage: $0 freeze|thaw" >&2
        exit 2
        ;;
esac
