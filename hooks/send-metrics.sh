#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-only
#
# A hook for cv4pve-autosnap that sends metrics after each snapshot (snap-create-post) and after each clean (clean-job-end).
# Other phases do nothing. Needs curl or wget, sed, tr and date.
#
# Configuration, by variables:
#   METRICS_TYPE       prometheus (default), influxdb, json, grafana, loki; the last two are the same
#   METRICS_ENDPOINT   where to POST to; default http://localhost:9091/metrics/job/cv4pve-autosnap, a Prometheus Pushgateway
#   METRICS_USERNAME, METRICS_PASSWORD   for HTTP basic authentication; needs curl or GNU wget
#   METRICS_PER_GUEST  1 adds /vmid/ID to the endpoint for each guest. A Pushgateway keeps the last value of a group only, so
#                      without it the guests of a run replace each other there.
#
# Examples:
#   METRICS_PER_GUEST=1 cv4pve-autosnap ... snap --label=daily --keep=7 --script=/etc/cv4pve/send-metrics.sh
#   METRICS_TYPE=influxdb METRICS_ENDPOINT='http://influx:8086/write?db=pve' cv4pve-autosnap ...
#   METRICS_TYPE=loki METRICS_ENDPOINT=http://loki:3100/loki/api/v1/push cv4pve-autosnap ...
#
# Metrics for Prometheus: cv4pve_snapshot_duration_seconds, cv4pve_snapshot_created (the time of the snapshot) and
# cv4pve_snapshot_cleanup_total (the time of the last clean). For InfluxDB: measurements snapshots and cleanup.

set -u
# The tools below must pass names in UTF-8 through unchanged.
LC_ALL=C
export LC_ALL

endpoint=${METRICS_ENDPOINT:-http://localhost:9091/metrics/job/cv4pve-autosnap}
type=${METRICS_TYPE:-prometheus}
phase=${CV4PVE_AUTOSNAP_PHASE:-}
vmid=${CV4PVE_AUTOSNAP_VMID:-}
duration=${CV4PVE_AUTOSNAP_DURATION:-0}

case "$phase" in
    snap-create-post | clean-job-end) ;;
    *) exit 0 ;;
esac

# Escapes a value for double quotes, for Prometheus, JSON and curl: a backslash before quotes and backslashes. Control
# characters are removed, because each format would escape them in another way.
quoted() {
    printf '%s' "$1" | tr -d '[:cntrl:]' | sed 's/[\\"]/\\&/g'
}

# Prints one tag of the InfluxDB line protocol, with the comma before it. A tag must not be empty or end in a backslash.
tag() {
    value=$(printf '%s' "$2" | tr -d '[:cntrl:]' | sed -e 's/\\*$//' -e 's/[,= ]/\\&/g')
    if [ -n "$value" ]; then
        printf ',%s=%s' "$1" "$value"
    fi
}

now=$(date +%s)
vmname=$(quoted "${CV4PVE_AUTOSNAP_VMNAME:-}")
vmtype=$(quoted "${CV4PVE_AUTOSNAP_VMTYPE:-}")
label=$(quoted "${CV4PVE_AUTOSNAP_LABEL:-}")
snap_name=$(quoted "${CV4PVE_AUTOSNAP_SNAP_NAME:-}")
vmstate=$(quoted "${CV4PVE_AUTOSNAP_VMSTATE:-}")
status=$(quoted "${CV4PVE_AUTOSNAP_STATE:-}")

prometheus() {
    if [ "$phase" = snap-create-post ]; then
        guest="vmid=\"$vmid\",vmname=\"$vmname\",vmtype=\"$vmtype\",label=\"$label\""
        printf 'cv4pve_snapshot_duration_seconds{%s,vmstate="%s",status="%s"} %s\n' \
            "$guest" "$vmstate" "$status" "$duration"
        printf 'cv4pve_snapshot_created{%s,snap_name="%s",status="%s"} %s\n' "$guest" "$snap_name" "$status" "$now"
    else
        printf 'cv4pve_snapshot_cleanup_total{vmid="%s",vmname="%s",label="%s",status="%s"} %s\n' \
            "$vmid" "$vmname" "$label" "$status" "$now"
    fi
}

# A point without a time gets the time of the server, in the precision of the endpoint.
influxdb() {
    common=$(tag vmid "$vmid" && tag vmname "${CV4PVE_AUTOSNAP_VMNAME:-}" && tag vmtype "${CV4PVE_AUTOSNAP_VMTYPE:-}" &&
        tag label "${CV4PVE_AUTOSNAP_LABEL:-}" && tag vmstate "$vmstate" && tag status "$status")
    if [ "$phase" = snap-create-post ]; then
        printf 'snapshots%s duration=%s,created=%si,snap_name="%s"\n' "$common" "$duration" "$now" "$snap_name"
    else
        printf 'cleanup%s count=1i,duration=%s\n' "$common" "$duration"
    fi
}

json() {
    printf '{"phase":"%s","vmid":%s,"vmname":"%s","vmtype":"%s","label":"%s","keep":%s,"snap_name":"%s",' \
        "$phase" "${vmid:-null}" "$vmname" "$vmtype" "$label" "${CV4PVE_AUTOSNAP_KEEP:-null}" "$snap_name"
    printf '"vmstate":"%s","duration":%s,"status":"%s","debug":"%s","dry_run":"%s","timestamp":%s}' "$vmstate" "$duration" \
        "$status" "$(quoted "${CV4PVE_AUTOSNAP_DEBUG:-}")" "$(quoted "${CV4PVE_AUTOSNAP_DRY_RUN:-}")" "$now"
}

# The line of the log is JSON, quoted once more. Loki counts nanoseconds.
loki() {
    printf '{"streams":[{"stream":{"job":"cv4pve-autosnap","vmid":"%s","phase":"%s"},"values":[["%s000000000","%s"]]}]}' \
        "$vmid" "$phase" "$now" "$(quoted "$(json)")"
}

# The password goes through stdin, because every user of the machine can read arguments. wget reads its configuration
# from a regular file only, so a temporary one is created.
with_curl() {
    set -- -sS -f --max-time 30 -o /dev/null -H "Content-Type: $content_type" --data-binary "$payload" "$endpoint"
    if [ -n "${METRICS_USERNAME:-}" ]; then
        printf 'user = "%s:%s"\n' "$(quoted "$METRICS_USERNAME")" "$(quoted "${METRICS_PASSWORD:-}")" | curl --config - "$@"
    else
        curl "$@"
    fi
}

with_wget() {
    set -- -q -O /dev/null -T 30 --header="Content-Type: $content_type" --post-data="$payload" "$endpoint"
    if [ -n "${METRICS_USERNAME:-}" ]; then
        config=$(umask 077 && mktemp) || return 1
        trap 'rm -f "$config"' EXIT
        trap 'exit 1' HUP INT TERM
        printf 'auth_no_challenge = on\nuser = %s\npassword = %s\n' "$METRICS_USERNAME" "${METRICS_PASSWORD:-}" >"$config"
        wget --config="$config" "$@"
    else
        wget "$@"
    fi
}

# Adds the line end that "$(...)" removes: Prometheus requires it.
newline='
'
case "$type" in
    prometheus)
        content_type='text/plain'
        payload=$(prometheus)$newline
        if [ "${METRICS_PER_GUEST:-0}" = 1 ] && [ -n "$vmid" ]; then
            endpoint=$endpoint/vmid/$vmid
        fi
        ;;
    influxdb)
        content_type='text/plain; charset=utf-8'
        payload=$(influxdb)$newline
        ;;
    json)
        content_type='application/json'
        payload=$(json)
        ;;
    grafana | loki)
        content_type='application/json'
        payload=$(loki)
        ;;
    *)
        echo "unknown METRICS_TYPE '$type'; use prometheus, influxdb, json, grafana or loki" >&2
        exit 1
        ;;
esac

if command -v curl >/dev/null 2>&1; then
    with_curl
elif command -v wget >/dev/null 2>&1; then
    with_wget
else
    echo 'cannot send metrics: neither curl nor wget is installed' >&2
    exit 1
fi || {
    # The endpoint may hold a password.
    echo "cannot send $type metrics to $(printf '%s' "$endpoint" | sed 's,//[^/@]*@,//,')" >&2
    exit 1
}
echo "sent $type metrics${vmid:+ of guest $vmid}"
