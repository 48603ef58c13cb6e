# Every target sets up what it needs. A fresh machine has Python 3.10 - 3.13, Git and make; nothing else.
#
#   make demo          a real project whose runs carry commit and data
#   make test          the test suite with branch coverage
#   make lint          ruff, mypy --strict, shellcheck
#   make bench         side by side with what a user would do without us
#   make docs          do the documents' links and commands exist?
#   make build         dist/: wheel and sdist
#   make test-lowest   the suite with the oldest versions that setup.cfg allows
#   make test-pythons  the quick part of the suite under every Python found (or PYTHONS="python3.10 ...")
#
# Settings: PYTHON=python3  VENV=.venv  WORKERS=3  ARGS="what to pass to pytest"

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV ?= .venv
WORKERS ?= 3
ARGS ?=
COVERAGE_MINIMUM ?= 85
PYTHONS ?= $(foreach minor,10 11 12 13,$(if $(shell python3.$(minor) -c 'print(1)' 2>/dev/null),python3.$(minor)))

BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SELF := '.[s3,test,dev]'
SELF_LOWEST := '.[s3,test]'
LOWEST := $(VENV)-lowest
# Three workers on two cores: tests wait for servers and programs now and then.
# loadfile: the tests of a file run on one worker, which starts the servers they need once. The files
# keep the order that tests/slowfirst.py gives them.
PYTEST_PARALLEL := -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

# $(call create,venv,python): uv is some ten times faster than pip, but pip does where uv has no wheel.
define create
	@echo "setting up $(1) ..."
	@$(2) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed: make PYTHON=python3.x")'
	@$(2) -m venv $(1)
	@$(1)/bin/python -m pip install --quiet --disable-pip-version-check uv \
		|| echo "uv cannot be installed here: going on with pip, which takes a minute longer"
endef

# $(call install,venv,what)
define install
	@if test -x $(1)/bin/uv; \
	then $(1)/bin/uv pip install --quiet --python $(1)/bin/python --compile-bytecode $(2); \
	else $(1)/bin/python -m pip install --quiet --disable-pip-version-check $(2); fi
endef

.PHONY: help demo test lint bench docs build test-lowest test-pythons

help:
	@sed -n '2,/^$$/s/^# \{0,1\}//p' Makefile

$(STAMP): setup.cfg pyproject.toml
	$(call create,$(VENV),$(PYTHON))
	$(call install,$(VENV),-e $(SELF))
	@touch $@

$(LOWEST)/.installed: setup.cfg pyproject.toml tests/lowest-constraints.txt
	$(call create,$(LOWEST),$(PYTHON))
	@test -x $(LOWEST)/bin/uv || { echo "make test-lowest needs uv: pip cannot resolve to the lowest versions"; exit 1; }
	$(call install,$(LOWEST),--upgrade --resolution lowest-direct --constraint tests/lowest-constraints.txt -e $(SELF_LOWEST))
	@touch $@

demo: $(STAMP)
	$(BIN)/mlflow-dvc demo

test: $(STAMP)
	$(BIN)/python $(PYTEST_PARALLEL) --cov --cov-fail-under=$(COVERAGE_MINIMUM) $(ARGS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	git ls-files -z --cached --others --exclude-standard -- .ci hooks | xargs -0 grep -lZ '^#!.*sh$$' | xargs -0 -r $(BIN)/shellcheck

bench: $(STAMP)
	$(BIN)/python -m benchmarks $(ARGS)

docs: $(STAMP)
	$(BIN)/python -m pytest tests/test_docs.py tests/cli/test_readme.py $(ARGS)

build: $(STAMP)
	$(BIN)/python -m build --no-isolation --outdir dist .

test-lowest: $(LOWEST)/.installed
	$(LOWEST)/bin/python $(PYTEST_PARALLEL) $(ARGS)

# One virtual environment for each: .venv-python3.12 ...
test-pythons:
	@failed=""; for python in $(or $(PYTHONS),$(error no python3.10 ... python3.13 found: give PYTHONS=)); do \
		$(MAKE) --no-print-directory VENV="$(VENV)-$$(basename "$$python")" PYTHON="$$python" quick \
			|| failed="$$failed $$python"; \
	done; test -z "$$failed" || { echo "failed with:$$failed"; exit 1; }

.PHONY: quick
quick: $(STAMP)
	@$(BIN)/python --version
	$(BIN)/python $(PYTEST_PARALLEL) -m 'not slow' $(ARGS)
