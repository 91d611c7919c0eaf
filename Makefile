# make demo: set up and run the whole flow. make test: set up and run the tests. Nothing else needs installing.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt
# glibc then backs large tensors with huge pages: about a fifth faster on the CPU.
export GLIBC_TUNABLES ?= glibc.malloc.hugetlb=1

.PHONY: help demo test clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

$(VENV)/bin/python:
	@$(PYTHON) -m venv $(VENV) || { echo "python3-venv is missing: sudo apt-get install python3-venv"; exit 1; }

$(VENV)/.train: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable '.[train,export]'
	touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable '.[dev]'
	touch $@ $(VENV)/.train

demo: $(VENV)/.train  ## install, then run the whole flow on phantom data (12 minutes at most on 2 cores)
	$(BIN)/python -m edgekd.audit
	$(BIN)/python -m edgekd.distill --control --resume

test: $(VENV)/.dev  ## install what tests need and run the checks and the default suite
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest

clean:  ## remove the environment and everything that runs made
	rm -rf $(VENV) runs build
