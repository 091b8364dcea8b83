#!/usr/bin/env bash
# How many windows one core takes, what is written for what is stored, and what late lines write anew.
#
# First at the engine's port (engine/examples/ingest.rs), all of it on one core: a day of 5,000 keys, two fields each,
# in 50 flushes with all compactions and roll-ups, then 30 late lines. Then a real server on one core, statements and
# all, and a real agent on the others, which reads a log of MINUTES (1,000) minutes of 10,000 keys, a line each.
#
#   bench/ingest.sh DIRECTORY_OF_THE_RELEASE_BUILD [INGEST]
#
# INGEST: a release build of engine/examples/ingest.rs; without it, one is built.
. "$(dirname "$0")/stand.sh"
cd "$(dirname "$0")/.."

ingest=${2:-}
if [[ -z $ingest ]]; then
    cargo build --release --locked -q -p nightjar-engine --example ingest
    ingest=${CARGO_TARGET_DIR:-target}/release/examples/ingest
fi
minutes=${MINUTES:-1000}
keys=10000
cores=$(nproc)
((cores > 1)) || { echo "bench/ingest.sh: the server has a core of its own; this machine has one alone" >&2; exit 1; }

echo "at the engine's port, one core:"
taskset -c 0 "$ingest" "$DIR" 5000 50
rm -rf "$DIR/engine"

SERVER_UNDER=(taskset -c 0)
AGENT_UNDER=(taskset -c "1-$((cores - 1))")
start_server
api PUT monitors/ingest '{"kind":"Monitor","metadata":{"name":"ingest"},"spec":{"type":"minute_multi_key","source":{"log":{"paths":[{"path":"'"$DIR"'/app.log"}],"start":"beginning","time":{"timezone":"UTC"}}},"columns":[{"name":"key","pick":{"split":{"by":",","index":1}}},{"name":"cost","pick":{"split":{"by":",","index":2}}}],"group_by":["key"],"stats":[{"name":"count","fn":"lines"},{"name":"cost_sum","fn":"sum","column":"cost"}]}}' >/dev/null
python3 - "$DIR/app.log" "$keys" "$minutes" "$DIR/last" <<'PYTHON'
import datetime, random, sys

path, keys, minutes = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
random.seed(7)
now = datetime.datetime.now(datetime.timezone.utc).replace(second=0, microsecond=0)
with open(path, "w") as log:
    for minute in range(minutes):
        at = now - datetime.timedelta(minutes=minutes - minute)
        costs = random.choices(range(500), k=keys)
        log.write("".join(f"{at:%Y-%m-%d %H:%M}:00,k{key},{costs[key]}\n" for key in range(keys)))
open(sys.argv[4], "w").write(f"{at:%Y-%m-%dT%H:%M}")
PYTHON

# The log is in order, so all are there when the last is.
last=$(<"$DIR/last")
is_there() { api GET "monitors/ingest/windows?from=$last:00Z&until=$last:59Z&where.key=k$((keys - 1))&fill=none" | grep -q '"points":\[{'; }
ticks() { awk '{ print $14 + $15 + $16 + $17 }' "/proc/$SERVER/stat"; }
ticks_before=$(ticks)
began=$(date +%s%N)
start_agent
until is_there; do
    kill -0 "$AGENT"
    sleep 0.2
done
ended=$(date +%s%N)
used=$(($(ticks) - ticks_before))
found=$(api POST sql '{"sql":"SELECT count(*) AS n FROM monitor.ingest","format":"json"}' | python3 -c 'import json, sys; print(json.load(sys.stdin)["rows"][0]["n"])')
((found == keys * minutes)) || { echo "bench/ingest.sh: $found windows of $((keys * minutes))" >&2; exit 1; }
echo "a real server on one core, one agent:"
awk -v n="$found" -v ns="$((ended - began))" -v ticks="$used" -v hz="$(getconf CLK_TCK)" 'BEGIN {
    printf "%d windows in %.1f s, %.1f s of processor: %.0f a second, %.0f a second of processor\n", n, ns / 1e9, ticks / hz, n / ns * 1e9, n / ticks * hz }'
