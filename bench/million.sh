#!/usr/bin/env bash
# A million series: ten monitors of 100,000 keys each, the most one may have, share a log in which each of a million keys
# comes once a minute, MINUTES (5) of them. The log is there when the agent begins, so both work as hard as they can.
# Printed are the most memory either ever had, and how long `/-/ready` took meanwhile, asked every 20 ms on a connection
# of its own.
#
#   bench/million.sh DIRECTORY_OF_THE_RELEASE_BUILD
. "$(dirname "$0")/stand.sh"

minutes=${MINUTES:-5}
# As server.md has it: a monitor gets no more series than are left to all others.
export NIGHTJAR_ENGINE_MAX_SERIES=2000000
start_server
for shard in {0..9}; do
    api PUT "monitors/shard-$shard" '{"kind":"Monitor","metadata":{"name":"shard-'$shard'"},"spec":{"type":"minute_multi_key","source":{"log":{"paths":[{"path":"'"$DIR"'/app.log"}],"start":"beginning","time":{"timezone":"UTC"}}},
      "columns":[{"name":"shard","pick":{"split":{"by":",","index":1}}},{"name":"order","pick":{"split":{"by":",","index":2}}},{"name":"cost","pick":{"split":{"by":",","index":3}}}],
      "filter":{"include":[{"column":"shard","in":["'$shard'"]}]},"group_by":["order"],"limits":{"max_keys":100000},
      "stats":[{"name":"count","fn":"lines"},{"name":"cost_sum","fn":"sum","column":"cost"}]}}' >/dev/null
done
python3 - "$DIR/app.log" "$minutes" "$DIR/last" <<'PYTHON'
import datetime, random, sys

path, minutes = sys.argv[1], int(sys.argv[2])
random.seed(7)
now = datetime.datetime.now(datetime.timezone.utc).replace(second=0, microsecond=0)
with open(path, "w") as log:
    for minute in range(minutes):
        at = f"{now - datetime.timedelta(minutes=minutes - minute):%Y-%m-%d %H:%M}"
        for part in range(100):
            costs = random.choices(range(500), k=10_000)
            log.write("".join(f"{at}:00,{key % 10},order-{part * 10_000 + key:07},{cost}\n" for key, cost in enumerate(costs)))
open(sys.argv[3], "w").write(at.replace(" ", "T"))
PYTHON

python3 - "$HTTP" "$DIR/loaded" >"$DIR/ready" <<'PYTHON' &
import http.client, os, sys, time

# Until told to end, and no longer than the script may take.
until = time.time() + 1800
while not os.path.exists(sys.argv[2]) and time.time() < until:
    began = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=30)
    connection.request("GET", "/-/ready")
    answer = connection.getresponse()
    answer.read()
    connection.close()
    if answer.status != 200:
        sys.exit(f"/-/ready: {answer.status}")
    print(1000 * (time.perf_counter() - began))
    time.sleep(max(0, began + 0.02 - time.perf_counter()))
PYTHON
ASKING=$!
PIDS+=("$ASKING")

last=$(<"$DIR/last")
is_there() { api GET "monitors/shard-9/windows?from=$last:00Z&until=$last:59Z&where.order=order-0999999&fill=none" | grep -q '"points":\[{'; }
began=$(date +%s%N)
start_agent
until is_there; do
    kill -0 "$AGENT"
    sleep 0.5
done
ended=$(date +%s%N)
touch "$DIR/loaded"
wait "$ASKING"
of() { awk -v what="$2:" '$1 == what { printf "%.0f", $2 / 1024 }' "/proc/$1/status"; }
memory="server: $(of "$SERVER" VmHWM) MB resident at most, $(of "$SERVER" VmRSS) MB at the end
agent:  $(of "$AGENT" VmHWM) MB resident at most, $(of "$AGENT" VmRSS) MB at the end"

for shard in {0..9}; do
    found=$(api POST sql '{"sql":"SELECT count(*) AS n FROM monitor.\"shard-'$shard'\"","format":"json"}' | python3 -c 'import json, sys; print(json.load(sys.stdin)["rows"][0]["n"])')
    ((found == 100000 * minutes)) || { echo "bench/million.sh: $found windows of shard $shard, not $((100000 * minutes))" >&2; exit 1; }
done
series=$(curl -fsS -H "Authorization: Bearer $TOKEN" "http://127.0.0.1:$HTTP/metrics" | awk '$1 == "nightjar_engine_series" { print $2 }')
awk -v n="$((1000000 * minutes))" -v series="$series" -v ns="$((ended - began))" 'BEGIN { printf "%d series, %d windows in %.0f s\n", series, n, ns / 1e9 }'
echo "$memory"
sort -n "$DIR/ready" | awk '{ ms[NR] = $1 } END { printf "ready:  %d answers while loading: median %.1f ms, 99 of 100 within %.1f ms, worst %.1f ms\n", NR, ms[int((NR + 1) / 2)], ms[int(NR * 0.99 + 0.999)], ms[NR] }'
