#!/usr/bin/env bash
# What completeness costs with large fleets, simulated at the engine's port: watermarks, changes of the fleet,
# the checkpoint. The cost of a watermark should not grow with the agents: with as many monitors it is the same.
#
#   bench/fleet.sh
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --release --locked -q -p nightjar-engine --example fleet
program=${CARGO_TARGET_DIR:-target}/release/examples/fleet
dir=$(mktemp -d "${TMPDIR:-/tmp}/nightjar-fleet.XXXXXX")
trap 'rm -rf "$dir"' EXIT
for fleet in "300 20" "3000 20" "1000 3" "10000 3"; do
    echo "== ${fleet/ / agents × } monitors"
    # shellcheck disable=SC2086 -- two words
    "$program" "$dir/${fleet/ /-}" $fleet 3
done
