# The two commands of the README: `make demo` and `make test`. Everything they need they set up themselves.
.NOTPARALLEL:
.PHONY: help demo test setup check lint types contracts unit docker bench clean

PYTHON := .venv/bin/python
DEMO := demo

help:  ## List the targets.
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile

demo: setup  ## Start a lab, play the chapter on Services in it, remove it.
	@trap '$(PYTHON) -m labctl.cli.main down --name $(DEMO)' EXIT; \
	$(PYTHON) -m labctl.cli.main up --name $(DEMO) && \
	$(PYTHON) -m labctl.cli.main lesson chapter3 --name $(DEMO)

test: setup check unit docker  ## Everything: style, types, architecture, unit tests, tests on a real lab.

check: lint types contracts  ## Style, types and architecture.

setup:
	@.ci/setup

lint:
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .

types:
	$(PYTHON) -m mypy

contracts:
	.venv/bin/lint-imports

unit:  ## Unit tests; no Docker needed.
	$(PYTHON) -m pytest --numprocesses auto --maxprocesses 4

docker:  ## Tests on a real lab: packets, DNS, kubectl.
	$(PYTHON) -m pytest -m docker --timeout 600 --durations 10 -rs

bench: setup  ## Measure against the targets; prints a table, writes build/bench.json.
	$(PYTHON) -m tests.bench

clean:  ## Remove the Python environment and caches of this checkout.
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
