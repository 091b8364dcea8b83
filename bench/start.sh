#!/usr/bin/env bash
# Start of a server that holds many stored windows (WINDOWS, 10 million): a log is written and counted,
# the server is stopped, and started again after a clean end and after kill -9; by `/-/ready`.
#
#   bench/start.sh DIRECTORY_OF_THE_RELEASE_BUILD
. "$(dirname "$0")/stand.sh"

windows=${WINDOWS:-10000000}
keys=10000
minutes=$((windows / keys))
start_server
api PUT monitors/start '{"kind":"Monitor","metadata":{"name":"start"},"spec":{"type":"minute_multi_key","source":{"log":{"paths":[{"path":"'"$DIR"'/app.log"}],"start":"beginning"}},"columns":[{"name":"key","pick":{"split":{"by":",","index":1}}}],"group_by":["key"],"limits":{"max_keys":20000}}}' >/dev/null
echo "writing $minutes minutes of $keys keys"
python3 - "$DIR/app.log" "$keys" "$minutes" <<'PYTHON'
import datetime, sys

path, keys, minutes = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
start = datetime.datetime.now().replace(second=0, microsecond=0) - datetime.timedelta(minutes=minutes)
with open(path, "w") as log:
    for minute in range(minutes):
        stamp = (start + datetime.timedelta(minutes=minute)).strftime("%Y-%m-%d %H:%M:00")
        log.write("".join(f"{stamp},k{key}\n" for key in range(keys)))
PYTHON
start_agent
count() { api POST sql '{"sql":"SELECT count(*) AS n FROM monitor.start","format":"json"}' | python3 -c 'import json, sys; print(json.load(sys.stdin)["rows"][0]["n"])'; }
until [ "$(count)" -ge "$((keys * minutes))" ]; do sleep 2; done
kill "$AGENT"

timed_start() {
    local before after
    before=$(date +%s%N)
    start_server
    after=$(date +%s%N)
    awk -v ns="$((after - before))" -v how="$1" 'BEGIN { printf "ready %.2f s after %s\n", ns / 1e9, how }'
}
kill -9 "$SERVER"
wait "$SERVER" 2>/dev/null || true
timed_start "kill -9"
kill "$SERVER"
wait "$SERVER" || true
timed_start "an orderly stop"
echo "$(count) windows"
