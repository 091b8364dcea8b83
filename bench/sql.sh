#!/usr/bin/env bash
# Queries of 7.2 million windows (a day of 5,000 keys, two fields each) beside DuckDB on the same block files, two
# threads each: one block of the day; the day in blocks that overlap, each window in two parts, so that reading has to
# merge; and one key out of 100,000. DuckDB is only used here.
#
#   bench/sql.sh [QUERY]      QUERY: a release build of engine/examples/query.rs; without it, one is built
#
# RUNS (5) and ROUNDS (3) may be set: so many runs of each, in rounds of both in turn. Medians, and the least. The windows
# and DuckDB are kept in $XDG_CACHE_HOME/nightjar/bench; DUCKDB_WHEEL may name a wheel to install DuckDB from.
set -euo pipefail
cd "$(dirname "$0")/.."

runs=${RUNS:-5}
rounds=${ROUNDS:-3}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/nightjar
query=${1:-}
# The windows are of the day before yesterday: tomorrow they are written anew.
data=$cache/bench/query-1-$(date -u +%Y%m%d)
venv=$cache/bench/venv

if [[ -z $query ]]; then
    export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$cache/target}
    cargo build --release --locked -q -p nightjar-engine --example query
    query=$CARGO_TARGET_DIR/release/examples/query
fi
if [[ ! -x $venv/bin/python ]] || ! "$venv/bin/python" -c 'import duckdb' 2>/dev/null; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install -q "${DUCKDB_WHEEL:-duckdb==2.0.1}"
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if [[ ! -d $data ]]; then
    rm -rf "$cache"/bench/query-1-*
    mkdir -p "$data.new"
    echo "writing windows to $data" >&2
    "$query" write "$data.new/one" 5000 1440
    "$query" write "$data.new/overlapping" 5000 1440 2
    "$query" write "$data.new/keys" 100000 20
    mv "$data.new" "$data"
fi

cat >"$work/duck.py" <<'PYTHON'
import json, sys, time
import duckdb

files, kind, runs = sys.argv[1], sys.argv[2], int(sys.argv[3])
con = duckdb.connect()
con.execute("SET threads = 2")
pairs = con.execute(f"SELECT decode(value) FROM parquet_kv_metadata('{files}') WHERE decode(key) = 'nightjar.fields' LIMIT 1").fetchone()
fields = {field["name"]: field["id"] for field in json.loads(pairs[0])}
n, c = fields["*"], fields["cost"]
rows = f"read_parquet('{files}')"
if kind == "overlapping":
    # What is merged: each window once.
    merged = (f"(SELECT series, time, sum(count) FILTER (field = {n}) AS n, sum(sum) FILTER (field = {c}) AS c, "
              f"max(max) FILTER (field = {c}) AS m FROM {rows} GROUP BY series, time)")
    count = f"SELECT count(*) FROM (SELECT series, time FROM {rows} WHERE field = {n} GROUP BY series, time)"
    sums = f"SELECT sum(n), sum(c) FROM {merged}"
    most = f"SELECT max(m) FROM {merged}"
    figures, source = "sum(n) AS n, sum(c) AS c", merged
else:
    count = f"SELECT count(*) FROM {rows} WHERE field = {n}"
    sums = f"SELECT sum(count) FILTER (field = {n}), sum(sum) FILTER (field = {c}) FROM {rows}"
    most = f"SELECT max(max) FROM {rows} WHERE field = {c}"
    figures, source = f"sum(count) FILTER (field = {n}) AS n, sum(sum) FILTER (field = {c}) AS c", rows
minute = con.execute(f"SELECT min(time) + INTERVAL 700 MINUTE FROM {rows}").fetchone()[0] if kind != "keys" else None
groups = "SELECT count(*), sum(n), sum(c) FROM"
window = f"sum(count) FILTER (field = {n}) AS n, sum(sum) FILTER (field = {c}) AS c"
statements = {
    "count": count,
    "sum": sums,
    "max": most,
    "key": f"{groups} (SELECT series, {figures} FROM {source} GROUP BY series)",
    "hour-key": f"{groups} (SELECT date_trunc('hour', time) AS h, series, {figures} FROM {source} GROUP BY ALL)",
    "minute": f"SELECT series, {window} FROM {rows} WHERE time = TIMESTAMPTZ '{minute}' GROUP BY series",
}
if kind == "keys":
    series = con.execute(f"SELECT max(series) // 2 FROM {rows}").fetchone()[0]
    statements = {"one-key": f"SELECT time, {window} FROM {rows} WHERE series = {series} GROUP BY time"}
for name, sql in statements.items():
    for run in range(runs + 1):
        started = time.perf_counter()
        answer = con.execute(sql).fetchall()
        if run > 0:
            print(name, f"{(time.perf_counter() - started) * 1000:.2f}")
    print(name, *(answer[0] if len(answer) == 1 else [len(answer)]), file=sys.stderr)
PYTHON

declare -A keys=([one]="" [overlapping]="" [keys]=100000)
for kind in one overlapping keys; do
    # shellcheck disable=SC2086 -- none or one
    "$query" answers "$data/$kind" ${keys[$kind]} >"$work/$kind.answers"
    for ((round = 0; round < rounds; round++)); do
        # shellcheck disable=SC2086
        "$query" measure "$data/$kind" "$runs" ${keys[$kind]} >>"$work/$kind.engine"
        "$venv/bin/python" "$work/duck.py" "$data/$kind/blocks/*.parquet" "$kind" "$runs" >>"$work/$kind.duck" 2>"$work/$kind.told"
    done
    python3 - "$kind" "$work" "$runs" "$rounds" <<'PYTHON'
import statistics, sys
kind, work, runs, rounds = sys.argv[1:]
def times(path):
    found = {}
    for line in open(path):
        name, ms = line.split()
        found.setdefault(name, []).append(float(ms))
    return found
def answers(path):
    return {line.split()[0]: [float(x) for x in line.replace(",", " ").split()[1:]] for line in open(path)}
engine, duck = times(f"{work}/{kind}.engine"), times(f"{work}/{kind}.duck")
ours, theirs = answers(f"{work}/{kind}.answers"), answers(f"{work}/{kind}.told")
for name, answer in theirs.items():
    if ours[name] != answer:
        sys.exit(f"bench/sql.sh: {kind}, {name}: {ours[name]}, and DuckDB says {answer}")
print(f"{kind}: {rounds} rounds of {runs} runs; milliseconds, median (least)")
for name, ms in engine.items():
    text = f"  {name:16} {statistics.median(ms):9.1f} ({min(ms):.1f})"
    if name in duck:
        other = duck[name]
        text += f"   DuckDB {statistics.median(other):9.1f} ({min(other):.1f})   × {statistics.median(ms) / statistics.median(other):.2f} ({min(ms) / min(other):.2f})"
    print(text)
PYTHON
done
