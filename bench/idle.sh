#!/usr/bin/env bash
# Memory and processor of a server and an agent that have nothing to do: three monitors on a log that
# does not grow, over five minutes (SECONDS_IDLE) after one of settling.
#
#   bench/idle.sh DIRECTORY_OF_THE_RELEASE_BUILD
. "$(dirname "$0")/stand.sh"

start_server
: >"$DIR/app.log"
for name in one two three; do
    api PUT "monitors/$name" '{"kind":"Monitor","metadata":{"name":"'"$name"'"},"spec":{"type":"minute","source":{"log":{"paths":[{"path":"'"$DIR"'/app.log"}]}}}}' >/dev/null
done
start_agent
sleep 60

ticks() { awk '{ print $14 + $15 }' "/proc/$1/stat"; }
resident() { awk '/^VmRSS:/ { printf "%.1f", $2 / 1024 }' "/proc/$1/status"; }
period=${SECONDS_IDLE:-300}
server_before=$(ticks "$SERVER")
agent_before=$(ticks "$AGENT")
sleep "$period"
hz=$(getconf CLK_TCK)
share() { awk -v used="$(($(ticks "$1") - $2))" -v hz="$hz" -v period="$period" 'BEGIN { printf "%.2f", 100 * used / hz / period }'; }
echo "agent:  $(resident "$AGENT") MB resident, $(share "$AGENT" "$agent_before") % of a core"
echo "server: $(resident "$SERVER") MB resident, $(share "$SERVER" "$server_before") % of a core"
