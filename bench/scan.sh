#!/usr/bin/env bash
# Compares `nightjar-agent scan` with mawk on the same job: lines and the sum of a cost, by minute and
# key, of `trade` lines; and with the limit: a loop written by hand for this one format, which checks
# nothing (bench/limit.rs). First checks that all find the same, and what the generator says.
#
#   bench/scan.sh [AGENT]      AGENT: a release build of nightjar-agent; without it, one is built
#
# LINES (4000000) and RUNS (7) may be set. Needs mawk and python3 and, to make the data, genlog.py
# (../shared/samples, else the same shape is made with awk). Data is kept in $XDG_CACHE_HOME/nightjar/bench.
set -euo pipefail
cd "$(dirname "$0")/.."
export LC_ALL=C

lines=${LINES:-4000000}
runs=${RUNS:-7}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/nightjar
agent=${1:-}
generator=../shared/samples/genlog.py
data=$cache/bench
log=$data/trade-$lines.log
totals=$data/trade-$lines.json

for tool in mawk python3; do
    command -v "$tool" >/dev/null || { echo "bench/scan.sh: $tool is not installed" >&2; exit 1; }
done
if [[ -z $agent ]]; then
    export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$cache/target}
    cargo build --release --locked -p nightjar-agent
    agent=$CARGO_TARGET_DIR/release/nightjar-agent
fi
mkdir -p "$data"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Data: written aside and moved into place, so that a broken run leaves none behind.
if [[ ! -s $log || ! -s $totals ]]; then
    echo "writing $lines lines to $log" >&2
    if [[ -f $generator ]]; then
        python3 "$generator" trade "$log.new" --lines "$lines" --totals "$totals.new"
    else
        mawk -v lines="$lines" -v totals="$totals.new" 'BEGIN {
            srand(7)
            split("衣服 食品 家居 图书 手机 电脑 家电 美妆", names, " ")
            for (i = 0; i < lines; i++) {
                ms = int(i * 60000 / 100000); s = int(ms / 1000); a = rand(); g = int(a * a * 200)
                key = g < 8 ? names[g + 1] : sprintf("g%03d", g - 8)
                cost = int(-20 * log(1 - rand()))
                minute = sprintf("2026-11-20 %02d:%02d", 12 + int(s / 3600) % 12, int(s / 60) % 60)
                printf "%s:%02d.%03d,%d,%s,交易,创建,%d,%s,\n", minute, s % 60, ms % 1000, 2950211004 + i, key, cost, rand() < 0.01 ? "N" : "Y"
                count[minute, key]++; sum[minute, key] += cost
            }
            printf "{\"lines\": %d, \"minutes\": {", lines > totals
            for (c in count) {
                split(c, k, SUBSEP)
                at[k[1]] = at[k[1]] (at[k[1]] == "" ? "" : ", ") sprintf("\"%s\": [%d, %d]", k[2], count[c], sum[c])
            }
            for (m in at) { printf "%s\"%s\": {%s}", gap, m, at[m] > totals; gap = ", " }
            print "}}" > totals
        }' >"$log.new"
    fi
    mv "$log.new" "$log"
    mv "$totals.new" "$totals"
fi

cat >"$work/monitor.yaml" <<'YAML'
kind: Monitor
metadata: { name: trade }
spec:
  type: minute_multi_key
  source: { log: { paths: [ { path: /trade.log } ], time: { timezone: UTC } } }
  columns:
    - { name: goods, pick: { split: { by: ",", index: 2 } } }
    - { name: cost, pick: { split: { by: ",", index: 5 } } }
  group_by: [ goods ]
  stats: [ { name: count, fn: lines }, { name: cost_sum, fn: sum, column: cost } ]
YAML

with_mawk() {
    mawk -F, '{ k = substr($1, 1, 16) FS $3; count[k]++; sum[k] += $6 } END { for (k in count) printf "%s,%d,%d\n", k, count[k], sum[k] }' "$log"
}
rustc --edition 2024 -O -o "$work/limit" bench/limit.rs
with_limit() { "$work/limit" "$log"; }
with_agent() { "$agent" scan --monitor "$work/monitor.yaml" "$@" "$log" -o json 2>/dev/null; }

# The same figures from all, before anything is timed (this also brings the file into memory).
with_mawk | sort >"$work/mawk"
with_limit | sort >"$work/limit.out"
with_agent >"$work/agent.json"
python3 - "$work/agent.json" "$totals" "$work/agent" "$work/totals" <<'PY'
import json, sys
rows = [json.loads(line) for line in open(sys.argv[1], encoding="utf-8")]
told = json.load(open(sys.argv[2], encoding="utf-8"))["minutes"]
found = [f"{r['time'][:16].replace('T', ' ')},{r['goods']},{r['count']},{r['cost_sum']}\n" for r in rows]
total = [f"{minute},{key},{count},{sum}\n" for minute, keys in told.items() for key, (count, sum) in keys.items()]
for path, lines in ((sys.argv[3], found), (sys.argv[4], total)):
    open(path, "wb").write("".join(sorted(lines)).encode())
PY
for side in mawk agent limit.out; do
    sort "$work/$side" | cmp - <(sort "$work/totals") || { echo "bench/scan.sh: $side does not find the generator's totals" >&2; exit 1; }
done

seconds() {
    local begun ended
    begun=$(date +%s%N)
    "$@" >/dev/null
    ended=$(date +%s%N)
    echo $(((ended - begun) / 1000000))
}
for ((run = 0; run < runs; run++)); do
    seconds with_mawk >>"$work/mawk.ms"
    seconds with_agent >>"$work/agent.ms"
    seconds with_agent --threads 1 >>"$work/single.ms"
    seconds with_limit >>"$work/limit.ms"
done
median() { sort -n "$1" | sed -n "$(((runs + 1) / 2))p"; }
mawk_ms=$(median "$work/mawk.ms")
printf '%s lines, %s MB, %s rows, %s runs of each in turn, %s cores; medians:\n' \
    "$lines" "$(($(stat -c %s "$log") / 1000000))" "$(wc -l <"$work/totals")" "$runs" "$(nproc)"
for side in mawk agent single limit; do
    name=$side
    [[ $side == agent ]] && name="nightjar-agent scan"
    [[ $side == single ]] && name="nightjar-agent scan --threads 1"
    [[ $side == limit ]] && name="the limit (one thread)"
    mawk -v name="$name" -v ms="$(median "$work/$side.ms")" -v base="$mawk_ms" -v lines="$lines" -v least="$(sort -n "$work/$side.ms" | head -1)" \
        'BEGIN { printf "  %-32s %7.3f s  (least %.3f s)  %6.1f million lines/s  %5.2f × mawk\n", name, ms / 1000, least / 1000, lines / ms / 1000, base / ms }'
done
