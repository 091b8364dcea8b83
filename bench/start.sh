#!/usr/bin/env bash
# Start of a server that holds many stored windows (WINDOWS, 10 million): a log is written and counted,
# the server is stopped, and started again after a clean end and after kill -9; by `/-/ready`. Then the same with
# LOG_MB (400) of write-ahead log that is in no block: a million windows, to which more and more is added.
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

# A server writes blocks when its log is 256 MB long. For once it has to wait until memory is full, as it would have to
# with a disk that cannot keep up.
kill "$SERVER"
wait "$SERVER" || true
export NIGHTJAR_ENGINE_WAL_BYTES=$((4 << 30)) NIGHTJAR_ENGINE_FLUSH_EVERY=1h NIGHTJAR_ENGINE_MEMTABLE_BYTES=$((256 << 20))
start_server
: >"$DIR/again.log"
api PUT monitors/again '{"kind":"Monitor","metadata":{"name":"again"},"spec":{"type":"minute_multi_key","source":{"log":{"paths":[{"path":"'"$DIR"'/again.log"}],"start":"beginning"}},"columns":[{"name":"key","pick":{"split":{"by":",","index":1}}}],"group_by":["key"]}}' >/dev/null
rm -rf "$DIR/agent" "$DIR/app.log"
start_agent
python3 - "$DIR/pass.log" <<'PYTHON'
import datetime, sys

start = datetime.datetime.now().replace(second=0, microsecond=0) - datetime.timedelta(minutes=100)
with open(sys.argv[1], "w") as log:
    for minute in range(100):
        stamp = (start + datetime.timedelta(minutes=minute)).strftime("%Y-%m-%d %H:%M:00")
        log.write("".join(f"{stamp},k{key}\n" for key in range(10_000)))
PYTHON
lines() { api POST sql '{"sql":"SELECT sum(count) AS n FROM monitor.again","format":"json"}' | python3 -c 'import json, sys; print(json.load(sys.stdin)["rows"][0]["n"] or 0)'; }
log_bytes() { cat "$DIR"/server/engine/wal/*.wal | wc -c; }
passes=0
until [ "$(log_bytes)" -ge "$((${LOG_MB:-400} * 1000000))" ]; do
    cat "$DIR/pass.log" >>"$DIR/again.log"
    passes=$((passes + 1))
    until [ "$(lines)" = "$((passes * 1000000))" ]; do sleep 0.5; done
done
kill "$AGENT"
wait "$AGENT" || true
kill -9 "$SERVER"
wait "$SERVER" 2>/dev/null || true
unset NIGHTJAR_ENGINE_WAL_BYTES NIGHTJAR_ENGINE_FLUSH_EVERY NIGHTJAR_ENGINE_MEMTABLE_BYTES
echo "$(($(log_bytes) / 1000000)) MB of log"
timed_start "kill -9"
[ "$(lines)" = "$((passes * 1000000))" ] || { echo "bench/start.sh: $(lines) lines of $((passes * 1000000))" >&2; exit 1; }
