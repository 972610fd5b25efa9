# `make help` lists the targets. Nothing but Python >= 3.11, make and git is needed: each target sets itself up.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install --no-deps --require-hashes
UV := $(BIN)/python -m uv pip --system-certs
# uv installs four times as fast; pip does what uv cannot, with a mirror that only pip knows for example.
INSTALL = $(UV) install --quiet --python $(BIN)/python --require-hashes -r $(1) || $(PIP) -r $(1)
# Tests wait for more than half of their time: three of them keep two cores busy.
WORKERS ?= 3
MINUTES ?= 30

# A linked virtualenv belongs to somebody else: it is used as it is.
LINKED := $(shell test -L .venv && echo yes)
RUNTIME := $(if $(LINKED),,.venv/.runtime)
DEV := $(if $(LINKED),,.venv/.dev)

.PHONY: help up test check bench soak e2e load load-wrk storm outage lived-in lived-in-office log-days clean lock
.DEFAULT_GOAL := help

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: $(RUNTIME) ## run everything here, until Ctrl-C; data in .data; PORT_OFFSET=n moves every port
	@exec $(BIN)/python -m cli.main up

test: $(DEV) ## the whole test suite on its own databases
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadscope $(ARGS)

check: $(DEV) ## lint, format, types, imports
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy
	$(BIN)/lint-imports

bench: $(DEV) ## B1 to B8 beside nginx, a bare pass-through and a naive proxy (needs nginx, wrk); kept in docs/benchmarks.md
	$(BIN)/python -m loadtests.bench --write $(ARGS)

soak: $(DEV) ## memory of a worker at full speed for MINUTES (30)
	$(BIN)/python -m loadtests.bench --only B8 --soak-minutes $(MINUTES) $(ARGS)

e2e: $(DEV) ## the whole product as a person runs it
	$(BIN)/python -m pytest -m e2e tests/e2e $(ARGS)

load: $(DEV) ## five kinds of callers for 60 s, headless, with budgets; the report is build/load.html
	$(BIN)/python -m loadtests.run $(ARGS)

load-wrk: $(DEV) ## mixed keys at full speed for 30 s, with budgets (needs wrk)
	$(BIN)/python -m loadtests.run_wrk $(ARGS)

storm: $(DEV) ## 120 s of load while one process after the other is killed, then the audit
	$(BIN)/python -m tests.drills.storm --everybody $(ARGS)

outage: $(DEV) ## PostgreSQL and Redis hung and gone under load, then a full disk (as root)
	$(BIN)/python -m tests.drills.outage $(ARGS)
	test "$$(id -u)" != 0 || $(BIN)/python -m tests.drills.disk_full

lived-in: $(DEV) ## every page of the portal with 10 million logs: times, queries, plans (ARGS=--plans), an export; 20 GB of disk
	$(BIN)/python -m tests.drills.lived_in $(ARGS)

lived-in-office: $(DEV) ## every page of the back office with 100,000 organizations and 10 million logs (ARGS=--plans); 20 GB of disk
	$(BIN)/python -m tests.drills.lived_in_office $(ARGS)

log-days: $(DEV) ## five days of a million requests each, every job by its schedule, by an injected clock; 4 GB of disk
	$(BIN)/python -m tests.drills.log_days $(ARGS)

clean: ## remove what was built or cached; the data in .data stays
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis htmlcov .coverage
	$(if $(LINKED),,rm -rf .venv)
	find . -name __pycache__ -type d -not -path './.venv/*' -prune -exec rm -rf {} +

lock: $(DEV) ## pin requirements*.in, with hashes
	for name in requirements requirements-dev requirements-uv; do $(UV) compile --quiet --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-annotate --no-header $$name.in --output-file $$name.lock; done

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv .venv
	@$(PIP) -r requirements-uv.lock || echo 'uv cannot be installed; pip does its work, more slowly'

.venv/.runtime: requirements.lock | .venv/bin/python
	@echo "Installing what the product runs on (once)"
	@$(call INSTALL,requirements.lock)
	@$(MAKE) --no-print-directory .venv/bin/paid-endpoint
	@touch $@

.venv/.dev: requirements-dev.lock | .venv/bin/python
	@echo "Installing what product, tests and checks need (once)"
	@$(call INSTALL,requirements-dev.lock)
	@$(MAKE) --no-print-directory .venv/bin/paid-endpoint
	@touch .venv/.runtime $@

# The command without a build step: this directory on the path, and a script that starts it.
.venv/bin/paid-endpoint: | .venv/bin/python
	@echo "$(CURDIR)" > "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/paid_endpoint.pth"
	@printf '#!/bin/sh\nexec "%s/.venv/bin/python" -P -m cli.main "$$@"\n' "$(CURDIR)" > $@
	@chmod +x $@
