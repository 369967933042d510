# One entry point for people and for CI. Needs Python 3.11 or later, git and make; all else goes into .venv and typings/.
# uv does the installing when it is there; the standard library's venv and pip do when it is not.

PYTHON  ?= python3
WORKERS ?= 2
# More for the tests: some of them wait for a served pen's real time.
TESTERS ?= 4
SIZE    ?= commit

BIN      := .venv/bin
UV       := $(shell command -v uv 2>/dev/null)
NODE     := $(shell command -v node 2>/dev/null)
FIRMWARE := $(shell find firmware -name '*.py' 2>/dev/null | sort)
BENCHES  := $(wildcard bench/*.py)

ifdef UV
  MAKE_VENV = $(UV) venv --quiet --clear --seed --python $(PYTHON) .venv
  PIP       = $(UV) pip install --quiet --python .venv
else
  MAKE_VENV = $(PYTHON) -m venv --clear .venv
  PIP       = $(BIN)/python -m pip install --quiet
endif

INSTALL        = $(PIP) --constraint constraints.txt
INSTALL_NEWEST = $(PIP) --upgrade
INSTALL_TO     = $(PIP) --no-deps --target

# What an environment is made from: when one of these changes, the next target installs again.
MADE_FROM := pyproject.toml constraints.txt hatch_build.py firmware/pencore/version.py

USER_ENV := .venv/.installed
DEV_ENV  := .venv/.installed-dev
VM       := tests/vm/node_modules/.installed
TYPINGS  := typings/.installed

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test check chip fmt bench campaign mutants lint types docs docs-check sizes cover vm typings lock clean

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

demo: $(USER_ENV) ## Run a whole session on a virtual pen and see that its limits hold
	@$(BIN)/pinprick demo

test: $(DEV_ENV) $(VM) ## Run the tests but for the slow ones
	@$(BIN)/pytest -n $(TESTERS) -m "not slow"

check: lint types docs-check | $(VM) ## Do all that CI does: lint, types, documents, every test, campaigns, planted bugs, the safety case
	@rm -f build/tests.json build/campaign.json build/safety.json
	@$(BIN)/pytest -n $(TESTERS) --ran build/tests.json
	@$(BIN)/python -m tests.campaigns --size commit
	@$(BIN)/python -m tests.mutants --fixed --jobs $(WORKERS)
	@$(BIN)/python -m tests.safety

chip: $(DEV_ENV) ## Run the tests of the whole chip; PINPRICK_UF2 names the MicroPython image
	@$(BIN)/pytest -n $(WORKERS) -m chip

fmt: $(DEV_ENV) ## Format the code and mend what the linter can
	@$(BIN)/ruff check --fix --quiet --exit-zero
	@$(BIN)/ruff format

bench: $(DEV_ENV) $(VM) ## Run the benchmarks
	@set -e; for bench in $(BENCHES); do $(BIN)/python $$bench; done

campaign: $(DEV_ENV) ## Run the campaigns of SIZE=commit, nightly or release; MINUTES= ends them, ONLY= names some
	@$(BIN)/python -m tests.campaigns --size $(SIZE) --jobs $(WORKERS) \
		$(if $(MINUTES),--minutes $(MINUTES)) $(if $(ONLY),--only $(ONLY)) $(if $(SEED),--seed $(SEED))

mutants: $(DEV_ENV) ## Plant known bugs in a copy, one by one, and see a test fail for each (minutes)
	@$(BIN)/python -m tests.mutants --jobs $(WORKERS)

lint: $(DEV_ENV) ## Check style and format
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check

types: $(DEV_ENV) $(TYPINGS) ## Check the types: of all as seen by CPython, of the firmware as seen by the pen
	@$(BIN)/mypy host sim firmware/pencore tests hatch_build.py $(BENCHES)
	@$(BIN)/mypy --config-file mypy-firmware.ini $(FIRMWARE)

docs: $(DEV_ENV) ## Write the generated documents anew: protocol, tables of the guides, JSON Schema, safety case
	@$(BIN)/python -m pinprick.cli.gendocs
	@$(BIN)/python -m tests.safety --write

docs-check: $(DEV_ENV) ## See that the generated documents are as they are made now
	@$(BIN)/python -m pinprick.cli.gendocs --check
	@$(BIN)/python -m tests.safety --check

sizes: $(DEV_ENV) ## Show the size of each firmware file as it goes onto the pen
	@$(BIN)/python -m tests.architecture.mpy

cover: $(DEV_ENV) $(VM) ## Show which lines and branches the tests reach; below 100 % of the core it fails
	@$(BIN)/pytest -n $(WORKERS) --cov --cov-report=term-missing:skip-covered
	@$(BIN)/coverage report --include='firmware/pencore/*' --show-missing --skip-covered --fail-under=100

vm: $(VM) ## Install the MicroPython VM that tests run the firmware's logic in

typings: $(TYPINGS) ## Install the pen's type stubs, which `types` wants

lock: | $(BIN)/python ## Bring every package up to date and write constraints.txt anew
	@$(INSTALL_NEWEST) pip --editable '.[app,board,sim]' --group dev
	@$(INSTALL_NEWEST) --no-deps --group pioasm
	@$(BIN)/python tests/architecture/lock.py

clean: ## Remove everything that was installed or built
	rm -rf .venv typings build dist tests/vm/node_modules .mypy_cache .pytest_cache .ruff_cache .hypothesis

# Order-only below: the interpreter's own date says nothing; a missing or broken one is made anew. Either way it holds
# the same pip, so that an environment made with uv can be gone on with without it.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Pinprick needs Python 3.11 or later: make PYTHON=python3.x" >&2; exit 1; }
	@$(MAKE_VENV)
	@$(INSTALL) pip

$(USER_ENV): $(MADE_FROM) | $(BIN)/python
	@echo "installing pinprick into .venv"
	@$(INSTALL) --editable '.[app,board,sim]'
	@touch $@

$(DEV_ENV): $(USER_ENV)
	@echo "installing the development tools into .venv"
	@$(INSTALL) --group dev $(if $(NODE),,--group node)
	@$(INSTALL) --no-deps --group pioasm
	@touch $@

$(VM): tests/vm/package.json tests/vm/package-lock.json | $(DEV_ENV)
	@echo "installing the MicroPython VM into tests/vm/node_modules"
	@$(BIN)/python tests/vm/nodejs.py
	@touch $@

$(TYPINGS): pyproject.toml | $(USER_ENV)
	@echo "installing the pen's type stubs into typings"
	@rm -rf typings
	@$(INSTALL_TO) typings --group stubs
	@touch $@
