# Everything works from a fresh clone with nothing but Python >= 3.11 and make.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help project test test-fast calibrate golden bench backcast coverage crosscheck records brief validate-serving docs docs-check lint clean

help:  ## print the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-17s %s\n", $$1, $$2}'

$(VENV)/.made: pyproject.toml
	@test -n "$(PYTHON)" || { echo "make: no Python 3.11 or newer found; set PYTHON=..." >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/.made-dev: $(VENV)/.made
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	@touch $@

project: $(VENV)/.made  ## the main job: project year 3 of the reference case, with report
	$(BIN)/aiaas project

calibrate: $(VENV)/.made  ## fit the reference case anew and ship the posterior with it
	$(BIN)/aiaas calibrate ship=true

test: $(VENV)/.made-dev  ## all tests
	$(BIN)/python -m pytest -q -n 2 --dist loadgroup

test-fast: $(VENV)/.made-dev  ## the tests that take seconds
	$(BIN)/python -m pytest -q -n 2 -m "not slow"

lint: $(VENV)/.made-dev  ## style, types and layers
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy

docs: $(VENV)/.made-dev  ## write the generated docs
	$(BIN)/python -m analysis.dictionary
	$(BIN)/python -m analysis.methods_page
	$(BIN)/python -m analysis.policies_page
	$(BIN)/python -m analysis.accounting_page

docs-check: $(VENV)/.made-dev  ## generated docs are current, every command in README and docs runs
	$(BIN)/python -m analysis.dictionary --check
	$(BIN)/python -m analysis.methods_page --check
	$(BIN)/python -m analysis.policies_page --check
	$(BIN)/python -m analysis.accounting_page --check
	$(BIN)/python -m tests.docs_commands README.md docs/*.md

golden: $(VENV)/.made-dev  ## write the golden results anew (raise sim.MODEL_VERSION first)
	$(BIN)/python -m tests.golden.regenerate

bench: $(VENV)/.made-dev  ## all benchmarks, results in benchmarks/results.json
	$(BIN)/python -m benchmarks

backcast: $(VENV)/.made  ## fit on earlier figures, predict the later ones, write docs/backcast
	$(BIN)/python -m analysis.backcast_page

coverage: $(VENV)/.made  ## do intervals cover as often as they say? 600 synthetic reports, docs/coverage
	$(BIN)/python -m analysis.coverage_page

crosscheck: $(VENV)/.made  ## a second opinion on the shipped posterior: ES-MDA on the simulator, docs/crosscheck
	$(BIN)/python -m analysis.crosscheck_page

records: $(VENV)/.made  ## what deployment records teach: recovery, value, another platform's jobs, docs/records
	$(BIN)/python -m analysis.records_page

brief: $(VENV)/.made  ## what releasing idle GPUs saves, costs and hangs on, two pages of A4: docs/policy-brief
	$(BIN)/python -m analysis.policy_brief

validate-serving: $(VENV)/.made  ## hold serving against measured AWS Lambda experiments
	$(BIN)/python -m analysis.serving_validation

clean:  ## remove the virtual environment, caches and build products (never outputs)
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .mypy_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
