# Two commands do it all on a fresh machine: `make train` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
export TF_CPP_MIN_LOG_LEVEL ?= 2

.DEFAULT_GOAL := help
.PHONY: help train test test-all lint format bench clean

help:  ## Show these commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "  make %-10s %s\n", $$1, $$2}'

# Made anew only when what is to be installed changes.
$(STAMP): setup.cfg setup.py constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if (3, 11) <= v[:2] <= (3, 12) else f"error: Python {v[0]}.{v[1]} found, 3.11 or 3.12 needed: make PYTHON=python3.11 …")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

train: $(STAMP)  ## Install, train on the embedded sample into saved_models/sample, export int8 files
	$(BIN)/python -m pipelines.train --recipe sample

# Two processes: most of a test runs in one thread. A file stays in one, for its tests share what they train.
# Threads of linear algebra would wait for each other.
test test-all: export OPENBLAS_NUM_THREADS ?= 1
test: $(STAMP)  ## Install and run the test suite (minutes)
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

test-all: $(STAMP)  ## The suite and the slow tests
	$(BIN)/python -m pytest -m ''

lint: $(STAMP)  ## Lint, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(STAMP)  ## Rewrite the code as the linter wants it
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP)  ## Measure speed, each figure a ratio within one run
	$(BIN)/python -m benchmarks.batch_norm
	$(BIN)/python -m benchmarks.train_step
	$(BIN)/python -m benchmarks.input
	$(BIN)/python -m benchmarks.audit

clean:  ## Remove the environment and caches; runs stay
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
