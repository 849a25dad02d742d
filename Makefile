# swarmd: everything a checkout can do. `make help` lists it.
#
# The environment is .venv in the checkout; nothing is installed outside of it, except by
# `make run` as root: the system user that instances run as.

SHELL := /bin/sh
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

VENV := .venv
PYTHON := $(VENV)/bin/python
PYTEST_ARGS ?= --numprocesses=auto --maxprocesses=8 --dist=worksteal
ROUNDS ?= 50
CYCLES ?= 2000
# Containers in the storm: auto (where an engine can be started), none, tiny or real.
DOCKER ?= auto

# The newest Python from 3.11 on that the machine has; PYTHON3=/path/to/python overrides it.
PYTHON3 ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && break; done)

export SWARMD_TEST_SERVER_DIR ?= $(CURDIR)/.run/server

.PHONY: help run stop test lint bench storm soak clean

help:  ## Show this list
	@sed -n 's/^\([a-z]*\):.*##/  make \1 \t/p' $(MAKEFILE_LIST) | expand -t 18

$(VENV)/.ready: pyproject.toml .make/environment.py
	@test -n "$(PYTHON3)" || { echo "swarmd needs Python 3.11 or later as python3 on PATH (or: make PYTHON3=/path/to/python …)" >&2; exit 1; }
	@"$(PYTHON3)" .make/environment.py $(VENV)
	@touch $@

$(VENV)/.ready-test: $(VENV)/.ready
	@"$(PYTHON3)" .make/environment.py $(VENV) --extra test
	@touch $@

run: $(VENV)/.ready  ## Install, start the daemon and a first instance, print its URL
	@$(PYTHON) .make/run.py start

stop:  ## Stop the daemon that `make run` started; instances keep running
	@if test -x $(PYTHON); then $(PYTHON) .make/run.py stop; else echo "nothing was installed here: nothing to stop"; fi

lint: $(VENV)/.ready-test  ## ruff, formatting and types
	$(PYTHON) -m ruff check
	$(PYTHON) -m ruff format --check
	$(PYTHON) -m mypy

test: lint  ## lint, then every test with branch coverage of at least 90 %
	$(PYTHON) -m coverage erase
	$(PYTHON) -m coverage run -m pytest $(PYTEST_ARGS)
	$(PYTHON) -m coverage combine --quiet
	$(PYTHON) -m coverage report

bench: $(VENV)/.ready-test  ## Measure speed and memory against their limits
	$(PYTHON) -m tests.benchmarks

storm: $(VENV)/.ready-test  ## Kill the daemon, and an engine, at random moments, ROUNDS times
	$(PYTHON) -m tests.e2e.storm --rounds $(ROUNDS) --docker $(DOCKER)

soak: $(VENV)/.ready-test  ## CYCLES lives of an instance; descriptors and memory must not grow
	$(PYTHON) -m tests.e2e.soak --cycles $(CYCLES)

clean:  ## Remove the environment and caches; .run (the managed code-server) stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage .coverage.* *.egg-info build
