#!/usr/bin/env bash
# From the end of a minute to the notification sent: one alert a minute, MINUTES (20) times, by the time
# at which a local webhook receives each. Prints the median and the worst.
#
#   bench/latency.sh DIRECTORY_OF_THE_RELEASE_BUILD
. "$(dirname "$0")/stand.sh"

minutes=${MINUTES:-20}
hook=$(free_port)
python3 - "$hook" "$DIR/arrivals" <<'PYTHON' &
import http.server, json, sys, time

class Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        now = time.time()
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with open(sys.argv[2], "a") as file:
            file.write(json.dumps({"at": now, "body": body.decode()}) + "\n")
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass

http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Hook).serve_forever()
PYTHON
PIDS+=($!)

start_server
# Each minute logs under a key of its own, and each key fires once. The rule is on an average, which more
# lines could still change, so it is judged only once the minute is complete.
api POST apply '[
  {"kind":"Monitor","metadata":{"name":"latency"},"spec":{"type":"minute_multi_key","source":{"log":{"paths":[{"path":"'"$DIR"'/app.log"}],"start":"beginning"}},
    "columns":[{"name":"key","pick":{"split":{"by":",","index":1}}},{"name":"cost","pick":{"split":{"by":",","index":2}}}],"group_by":["key"],
    "stats":[{"name":"cost_avg","fn":"avg","column":"cost"}]}},
  {"kind":"AlertRule","metadata":{"name":"latency"},"spec":{"monitor":"latency","where":{"key":{"any":true}},"conditions":[{"field":"cost_avg","op":">","threshold":0}]}},
  {"kind":"Webhook","metadata":{"name":"latency"},"spec":{"url":"http://127.0.0.1:'"$hook"'/"}},
  {"kind":"ContactGroup","metadata":{"name":"latency"},"spec":{"webhooks":["latency"]}},
  {"kind":"Subscription","metadata":{"name":"latency"},"spec":{"to":["latency"]}}]' >/dev/null
start_agent

python3 - "$DIR/app.log" "$minutes" <<'PYTHON'
import datetime, sys, time

# The first minute has begun already; the keys begin with the next.
time.sleep(60 - time.time() % 60)
end = time.time() + 60 * int(sys.argv[2])
with open(sys.argv[1], "a") as log:
    while time.time() < end:
        now = datetime.datetime.now()
        log.write(f"{now:%Y-%m-%d %H:%M:%S},minute-{int(time.time() // 60)},7\n")
        log.flush()
        time.sleep(0.2)
time.sleep(20)
PYTHON

python3 - "$DIR/arrivals" <<'PYTHON'
import json, re, statistics, sys

first = {}
for line in open(sys.argv[1]):
    arrival = json.loads(line)
    for minute in re.findall(r"minute-(\d+)", arrival["body"]):
        end = (int(minute) + 1) * 60
        first.setdefault(minute, arrival["at"] - end)
waits = sorted(first.values())
print(f"{len(waits)} alerts: median {statistics.median(waits):.2f} s, worst {waits[-1]:.2f} s after the minute's end")
PYTHON
