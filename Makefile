# Everything a developer runs. `make help` lists it.
#
# What is built is kept outside the clone, so that clones share it and stay clean.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

export CARGO_TARGET_DIR ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/nightjar/target
DEBUG := $(CARGO_TARGET_DIR)/debug
RELEASE := $(CARGO_TARGET_DIR)/release
CARGO ?= cargo

CONSOLE := web/console
# Marks in node_modules, which `git clean` and a fresh clone are without.
INSTALLED := $(CONSOLE)/node_modules/.installed
BUILT := $(CONSOLE)/node_modules/.built
CONSOLE_SOURCES = $(shell find $(CONSOLE)/src $(CONSOLE)/public -type f 2>/dev/null) \
	$(CONSOLE)/index.html $(CONSOLE)/vite.config.ts $(CONSOLE)/tsconfig.json

.PHONY: help setup console build release demo dev run test fuzz check fmt clean \
	bench bench-scan bench-latency bench-second bench-idle bench-start bench-ingest bench-million bench-fleet bench-top \
	bench-sql

help: ## List what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{ printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install the system packages that building and testing need, where that is permitted
	@.ci/setup

$(INSTALLED): $(CONSOLE)/package-lock.json
	cd $(CONSOLE) && npm ci --no-audit --no-fund
	@touch $@

$(BUILT): $(INSTALLED) $(CONSOLE_SOURCES)
	cd $(CONSOLE) && npm run build
	@touch $@

console: $(BUILT) ## Build the console that the server embeds

# The whole workspace, so that the tests find everything built with the same features.
build: console ## Build server and agent for development
	$(CARGO) build --locked --workspace --bins

release: console ## Build server and agent for use
	$(CARGO) build --locked --release -p nightjar -p nightjar-agent
	@echo "built: $(RELEASE)/nightjar $(RELEASE)/nightjar-agent"

demo: ## A server, an agent and an application that begins to fail: see an alert arrive
	@.ci/setup build
	@$(MAKE) --no-print-directory build
	@exec $(DEBUG)/nightjar demo

dev: build ## A server on ./data, and the console with hot reload on http://localhost:5173
	@$(DEBUG)/nightjar server --data-dir data & server=$$!; \
	(cd $(CONSOLE) && exec node_modules/.bin/vite --clearScreen false) <&0 & vite=$$!; \
	trap 'trap - INT TERM; kill $$server $$vite 2>/dev/null; wait || true; exit 0' INT TERM; \
	ended=0; wait -n $$server $$vite || ended=$$?; \
	kill $$server $$vite 2>/dev/null || true; wait || true; \
	echo "make dev: the server or the console has ended" >&2; exit $$(( ended ? ended : 1 ))

run: build ## A server on ./data
	@exec $(DEBUG)/nightjar server --data-dir data

test: setup build ## Every test: unit, end to end, and the console in a real browser
	@tests/run

check: setup console ## Format, lints, types
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	cd $(CONSOLE) && npm run check
	cd tests/browser && node --check console.mjs
	sh -n web/assets/install-agent.sh

fuzz: ## Every decoder of bytes that are not ours, or may be damaged, for FUZZ_SECONDS (60) each
	@tests/fuzz

fmt: ## Format the code
	$(CARGO) fmt --all

bench: bench-scan bench-latency bench-second bench-idle bench-start bench-ingest bench-million bench-fleet bench-top bench-sql ## Every figure of docs/benchmarks.md

bench-scan: ## The agent's scan against mawk, 4 million lines
	@bench/scan.sh

bench-latency: release ## From a minute's end to the notification sent
	@bench/latency.sh $(RELEASE)

bench-second: release ## From a line of a monitor of seconds to its figure in the API
	@bench/second.sh $(RELEASE)

bench-idle: release ## Memory and processor of an idle server and agent
	@bench/idle.sh $(RELEASE)

bench-start: release ## Start of a server that holds ten million windows, and of one with 400 MB of log
	@bench/start.sh $(RELEASE)

bench-ingest: release ## Windows a second on one core; what is written for what is stored, and by late lines
	@bench/ingest.sh $(RELEASE)

bench-million: release ## Memory of server and agent with a million series, and whether the server answers meanwhile
	@bench/million.sh $(RELEASE)

bench-fleet: ## Bookkeeping of completeness: 3,000 agents × 20 monitors, 10,000 × 3, and a tenth of each
	@bench/fleet.sh

bench-top: release ## Memory and error of a Top over a million keys in a minute
	@bench/top.sh $(RELEASE)

bench-sql: ## Queries of seven million windows beside DuckDB on the same files
	@bench/sql.sh

clean: ## Remove what was built
	$(CARGO) clean
	rm -rf $(CONSOLE)/dist $(CONSOLE)/node_modules
