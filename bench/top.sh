#!/usr/bin/env bash
# What a Top costs an agent: a log with a million distinct keys in one minute, of which a hundred are frequent. The
# real agent reads it while it is written, at an even pace over that minute, and sends it to a real server; printed are
# the most memory it ever had, what it sent, and how far the Top is off. Then the same log is scanned in one shot.
#
#   bench/top.sh DIRECTORY_OF_THE_RELEASE_BUILD
#
# KEYS (1000000) and LIMIT_MB (64) may be set. Fails where the agent takes more, or where the truth is not within the
# bounds that the server tells.
. "$(dirname "$0")/stand.sh"

keys=${KEYS:-1000000}
limit=${LIMIT_MB:-64}
cat >"$DIR/monitor.json" <<JSON
{"kind": "Monitor", "metadata": {"name": "urls"}, "spec": {
  "type": "minute_top",
  "source": {"log": {"paths": [{"path": "$DIR/app.log"}], "start": "beginning", "time": {"timezone": "UTC"}}},
  "columns": [{"name": "url", "pick": {"split": {"by": ",", "index": 1}}},
              {"name": "cost", "pick": {"split": {"by": ",", "index": 2}}}],
  "group_by": ["url"],
  "stats": [{"name": "count", "fn": "lines"}, {"name": "cost_sum", "fn": "sum", "column": "cost"}],
  "top": {"n": 100, "by": "count"}}}
JSON

start_server
: >"$DIR/app.log"
start_agent
api PUT monitors/urls "$(cat "$DIR/monitor.json")" >/dev/null

# Half of the lines are of keys that come once, half of a hundred that come again and again, the k-th 1/k as often.
cat >"$DIR/write.py" <<'PY'
import json, random, sys, time

path, keys, truth_path = sys.argv[1], int(sys.argv[2]), sys.argv[3]
random.seed(7)
frequent = [f"/frequent/{k:03}" for k in range(100)]
weights = [1 / (k + 1) for k in range(100)]
while time.time() % 60 > 1:
    time.sleep(0.05)
begun = time.time()
minute = time.strftime("%Y-%m-%d %H:%M", time.gmtime(begun))
truth = {}
written = 0
with open(path, "a") as log:
    for piece in range(500):
        lines = []
        second = int(piece / 10)
        for _ in range(keys // 500):
            for url in (f"/order/{written:08}/detail", random.choices(frequent, weights)[0]):
                cost = random.randint(1, 500)
                lines.append(f"{minute}:{second:02},{url},{cost}\n")
                if url in truth or url.startswith("/frequent"):
                    cell = truth.setdefault(url, [0, 0])
                    cell[0] += 1
                    cell[1] += cost
            written += 1
        log.write("".join(lines))
        log.flush()
        time.sleep(max(0, begun + (piece + 1) / 10 - time.time()))
json.dump({"minute": minute, "lines": 2 * written, "truth": truth}, open(truth_path, "w"))
PY
python3 "$DIR/write.py" "$DIR/app.log" "$keys" "$DIR/truth.json"

minute=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["minute"].replace(" ", "T"))' "$DIR/truth.json")
lines=$(wc -l <"$DIR/app.log")
until api GET "monitors/urls/windows?from=$minute:00Z&until=$minute:59Z" >"$DIR/windows.json" &&
    python3 -c 'import json, sys; a = json.load(open(sys.argv[1])); sys.exit(not a["series"] or a["series"][0]["points"][0]["values"]["count"] < int(sys.argv[2]))' "$DIR/windows.json" "$lines"; do
    kill -0 "$AGENT"
    sleep 0.5
done
peak=$(awk '/^VmHWM:/ { printf "%.1f", $2 / 1024 }' "/proc/$AGENT/status")
echo "$lines lines ($(($(stat -c %s "$DIR/app.log") / 1000000)) MB), $((keys + 100)) keys in a minute"
echo "agent:  $peak MB resident at most"
python3 - "$DIR/windows.json" "$DIR/truth.json" <<'PY'
import json, sys

window = json.load(open(sys.argv[1]))["top"]["windows"][0]
truth = json.load(open(sys.argv[2]))["truth"]
off, sum_off = 0, 0
for item in window["items"]:
    count, cost = truth[item["keys"]["url"]]
    for name, true in (("count", count), ("cost_sum", cost)):
        value, error = item["values"][name], item.get("errors", {}).get(name, 0)
        if not value - error <= true <= value:
            sys.exit(f"bench/top.sh: {true} is not within the bounds of {item}")
    off = max(off, item["values"]["count"] - count)
    sum_off = max(sum_off, (item["values"]["cost_sum"] - cost) / cost)
found = {item["keys"]["url"] for item in window["items"]}
greatest = sorted(truth, key=lambda url: -truth[url][0])[:100]
print(f"top:    {len(found & set(greatest))} of the 100 greatest found, the least of them with {truth[greatest[-1]][0]} lines")
print(f"        lines: bound {window['errors']['count']:.0f}, truly off by at most {off:.0f}; a key that is not kept has at most {window['absentAtMost']:.0f}")
print(f"        sums: bound {window['errors']['cost_sum']:.0f}, truly off by at most {100 * sum_off:.2f} %")
PY
cp "$DIR/monitor.json" "$DIR/monitor.yaml"
python3 - "$BIN/nightjar-agent" "$DIR" <<'PY'
import resource, subprocess, sys

agent, directory = sys.argv[1:]
done = subprocess.run([agent, "scan", "--monitor", f"{directory}/monitor.yaml", f"{directory}/app.log"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
done.check_returncode()
print(f"scan:   {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024:.1f} MB resident at most; {done.stderr.splitlines()[0]}")
PY
awk -v peak="$peak" -v limit="$limit" 'BEGIN { if (peak > limit) { printf "bench/top.sh: the agent took more than %s MB\n", limit; exit 1 } }'
