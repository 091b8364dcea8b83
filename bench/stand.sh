# Sourced by the benchmarks: a server and an agent on free ports in a directory of their own, ended with
# the script. Sets HTTP, API, TOKEN, DIR. SERVER_UNDER and AGENT_UNDER may be set to what each is run by, as taskset.
set -euo pipefail

BIN=${1:?the directory of the release build}
DIR=$(mktemp -d "${TMPDIR:-/tmp}/nightjar-bench.XXXXXX")
TOKEN=a-token-for-the-benchmarks-of-nightjar
PIDS=()
SERVER_UNDER=()
AGENT_UNDER=()
trap 'kill "${PIDS[@]}" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$DIR"' EXIT
trap 'exit 130' INT TERM

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
HTTP=$(free_port)
AGENTS=$(free_port)
API=http://127.0.0.1:$HTTP/api/v1/workspaces/default

api() { # METHOD PATH [BODY]
    curl -fsS -X "$1" -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' ${3:+-d "$3"} "$API/$2"
}

start_server() {
    NIGHTJAR_BOOTSTRAP_TOKEN=$TOKEN NIGHTJAR_ADMIN_PASSWORD='correct horse' \
        "${SERVER_UNDER[@]}" "$BIN/nightjar" server \
        --data-dir "$DIR/server" --http "127.0.0.1:$HTTP" --agents "127.0.0.1:$AGENTS" >>"$DIR/server.log" 2>&1 &
    SERVER=$!
    PIDS+=("$SERVER")
    until curl -fs "http://127.0.0.1:$HTTP/-/ready" >/dev/null; do
        kill -0 "$SERVER" || { tail -n 20 "$DIR/server.log" >&2; exit 1; }
        sleep 0.02
    done
}

start_agent() {
    local token
    token=$(api POST enrolment-tokens '{"note":"bench","uses":1}' | python3 -c 'import json, sys; print(json.load(sys.stdin)["token"])')
    "${AGENT_UNDER[@]}" "$BIN/nightjar-agent" run --server "http://127.0.0.1:$AGENTS" --token "$token" --data-dir "$DIR/agent" >>"$DIR/agent.log" 2>&1 &
    AGENT=$!
    PIDS+=("$AGENT")
    until api GET agents | grep -q '"healthy"'; do
        kill -0 "$AGENT" || { tail -n 20 "$DIR/agent.log" >&2; exit 1; }
        sleep 0.1
    done
}
