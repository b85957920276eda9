# Innkeeper: every task of a developer. `make help` lists them.
# Nothing but Python 3.11 or later and make is needed; each target sets up what it misses.

PYTHON ?= python3
PORT ?= 8000
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
COMPILE := UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/uv pip compile --quiet --universal \
	--generate-hashes --python-version 3.11

# uv must use the environment's Python and never fetch one; mirrors come by environment variable.
export UV_PYTHON_DOWNLOADS := never
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# The lock of development holds everything that running needs: do not thin it out.
RUN_READY := $(if $(wildcard $(VENV)/stamp.dev),$(VENV)/stamp.dev,$(VENV)/stamp.run)
DEV_READY := $(VENV)/stamp.dev

# With ARGS a lane may have nothing to run, which pytest reports as 5; without, that is a failure.
NONE_IS_FINE := $(if $(ARGS),|| [ $$? -eq 5 ])

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup run test perf-test check lint types arch deps migrations openapi docs bench lock clean

help:  ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(DEV_READY)  ## Install everything for development into .venv

run: $(RUN_READY)  ## Start the whole system (PORT=8000, INNKEEPER_HOME=.innkeeper)
	@PORT=$(PORT) exec $(BIN)/python -P -m config.launcher

test: $(DEV_READY)  ## Run all tests: a parallel lane, then the serial one
	$(BIN)/pytest -n 2 --dist loadfile -m "not serial" $(ARGS) $(NONE_IS_FINE)
	@$(MAKE) --no-print-directory perf-test

perf-test: $(DEV_READY)  ## Run the serial lane: latency, load and whole-system tests
	$(BIN)/pytest -p no:xdist -m serial $(ARGS) $(NONE_IS_FINE)

check: lint types arch deps migrations openapi  ## Run every check that is no test, as CI does

lint: $(DEV_READY)  ## Check style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(DEV_READY)  ## Check types, strictly
	$(BIN)/mypy

arch: $(DEV_READY)  ## Check import directions and the rules of the house
	$(BIN)/lint-imports
	$(BIN)/pytest -p no:xdist -q tests/architecture

deps: $(DEV_READY)  ## Check that imports and declared dependencies agree
	$(BIN)/deptry .

migrations: $(DEV_READY)  ## Check that no model change lacks its migration
	$(BIN)/python -W ignore::RuntimeWarning manage.py makemigrations --check --dry-run

openapi: $(DEV_READY)  ## Check that the committed API description is the code's
	@mkdir -p dist
	$(BIN)/python manage.py spectacular --validate --fail-on-warn --file dist/openapi.yaml
	diff -u docs/openapi.yaml dist/openapi.yaml

docs: $(DEV_READY)  ## Write what is generated in docs/ anew
	$(BIN)/python manage.py spectacular --validate --fail-on-warn --file docs/openapi.yaml
	$(BIN)/python manage.py audit_actions

bench: $(DEV_READY)  ## Measure beside the usual assembly (ARGS=--quick for a minute)
	$(BIN)/python -m bench $(ARGS)

lock: $(VENV)/stamp.uv  ## Compile requirements/*.in into hash-pinned locks (needs the network)
	$(COMPILE) requirements/uv.in -o requirements/uv.lock.txt
	$(COMPILE) requirements/run.in -o requirements/run.lock.txt
	$(COMPILE) requirements/dev.in -o requirements/dev.lock.txt
	$(COMPILE) bench/peers/requirements.in -o bench/peers/requirements.lock.txt

clean:  ## Remove build products and caches (data and .venv stay)
	rm -rf dist htmlcov staticfiles .mypy_cache .ruff_cache .import_linter_cache .coverage*
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Python 3.11 or later is needed; name one: make PYTHON=/path/to/python3"; exit 1; }
	@echo "Creating $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "No virtual environment could be made. On Debian: apt install python3-venv"; exit 1; }

$(VENV)/stamp.uv: requirements/uv.lock.txt | $(BIN)/python
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements/uv.lock.txt
	@touch $@

# `uv pip sync` removes the project itself, so it is installed again after each one.
define sync
	@echo "Installing $(1)"
	@$(BIN)/uv pip sync --quiet --require-hashes $(1)
	@$(BIN)/uv pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@
endef

$(VENV)/stamp.run: requirements/run.lock.txt pyproject.toml | $(VENV)/stamp.uv
	$(call sync,requirements/run.lock.txt)

$(VENV)/stamp.dev: requirements/dev.lock.txt pyproject.toml | $(VENV)/stamp.uv
	$(call sync,requirements/dev.lock.txt)
