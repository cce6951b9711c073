#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-only
#
# For use inside of a VM, as a hook of the QEMU guest agent: keeps MySQL or MariaDB from writing while the disks are
# snapshotted. Copy it to /etc/qemu/fsfreeze-hook.d/ and make it executable; the agent calls it with "freeze" and "thaw".
#
# On freeze a session takes the global read lock and stays open; on thaw it ends, and with it the lock. If thaw never comes
# the session ends by itself, so that the database is never blocked for good.
#
#   MYSQL_FREEZE_LIMIT    seconds after which the lock goes by itself, default 60
#   MYSQL_FREEZE_WAIT     seconds to wait for the lock, default 10; then this fails. Debian's fsfreeze-hook notes that in
#                         /var/log/qga-fsfreeze-hook.log and goes on, so that the snapshot is taken all the same
#   MYSQL_FREEZE_FOLDER   where to keep notes in between, default /run/cv4pve-mysql-freeze; must not be on a disk
#
# The client logs in as its option files say; as root on Debian and Ubuntu that works as it is.

set -u

limit=${MYSQL_FREEZE_LIMIT:-60}
patience=${MYSQL_FREEZE_WAIT:-10}
folder=${MYSQL_FREEZE_FOLDER:-/run/cv4pve-mysql-freeze}

thaw() {
    # The keeper holds the session's input open; without it the session sees the end and leaves. One that has left by
    # itself may have passed its number on to somebody else.
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

    # Open before anybody starts, in both directions, so that nobody waits for the other side and the session cannot see
    # an end that comes before the keeper.
    exec 3<>"$folder/input"
    "$client" --batch --skip-column-names --unbuffered <"$folder/input" >"$folder/output" 2>&1 3>&- &
    # One process, so that killing it closes the input: the shell that inherits it becomes the sleep. It keeps nothing
    # else open, so that the agent does not wait for it.
    (exec sleep "$limit" >&3 2>/dev/null 3>&-) </dev/null &
    echo $! >"$folder/keeper"
    # Who waits for the lock makes all writers wait behind: so the server gives up with us.
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
