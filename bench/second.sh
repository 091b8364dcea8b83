#!/usr/bin/env bash
# From a line written to its figure in the API: a monitor of seconds, a line a second at any time within it, SAMPLES (200)
# of them, and the windows of the last seconds asked for every 20 ms. Prints how long it took until the line was counted,
# and how long until its second was complete as well.
#
#   bench/second.sh DIRECTORY_OF_THE_RELEASE_BUILD
. "$(dirname "$0")/stand.sh"

start_server
: >"$DIR/app.log"
api PUT monitors/second '{"kind":"Monitor","metadata":{"name":"second"},"spec":{"type":"second","source":{"log":{"paths":[{"path":"'"$DIR"'/app.log"}],"time":{"timezone":"UTC"}}}}}' >/dev/null
start_agent
# The agent has the monitor, and its first second is not waited for.
sleep 5

python3 - "$DIR/app.log" "$HTTP" "$TOKEN" "${SAMPLES:-200}" <<'PYTHON'
import datetime, http.client, json, random, sys, threading, time

path, port, token, samples = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
random.seed(7)
written, counted, complete = {}, {}, {}


def stamp(second):
    return f"{datetime.datetime.fromtimestamp(second, datetime.timezone.utc):%Y-%m-%dT%H:%M:%S}"


def write():
    with open(path, "a") as log:
        begin = int(time.time()) + 1
        for second in range(begin, begin + samples):
            time.sleep(max(0, second + random.uniform(0, 0.99) - time.time()))
            log.write(f"{stamp(second).replace('T', ' ')} a line\n")
            log.flush()
            written[stamp(second)] = time.time()


writer = threading.Thread(target=write)
writer.start()
connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
headers = {"Authorization": f"Bearer {token}"}
while writer.is_alive() or time.time() < max(written.values()) + 15 and not all(second in complete for second in written):
    began = time.time()
    url = f"/api/v1/workspaces/default/monitors/second/windows?from={stamp(began - 20)}Z&until={stamp(began + 1)}Z&fill=none"
    connection.request("GET", url, headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    now = time.time()
    if answer.status != 200:
        sys.exit(f"bench/second.sh: {answer.status} {body}")
    found = json.loads(body)
    for point in found["series"][0]["points"] if found["series"] else []:
        if point["values"]["count"]:
            counted.setdefault(point["time"][:19], now)
    for window in found["completeness"]:
        if window["state"] in ("complete", "revised"):
            complete.setdefault(window["time"][:19], now)
    time.sleep(max(0, began + 0.02 - time.time()))

for what, times in (("counted", counted), ("complete", complete)):
    waits = sorted(times[second] - at for second, at in written.items() if second in times)
    if len(waits) < samples:
        sys.exit(f"bench/second.sh: {len(waits)} of {samples} {what}")
    p99 = waits[-(-99 * len(waits) // 100) - 1]
    print(f"{what + ':':10}{len(waits)} lines: median {waits[len(waits) // 2]:.2f} s, 99 of 100 within {p99:.2f} s, worst {waits[-1]:.2f} s")
PYTHON
