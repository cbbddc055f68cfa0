# Everything lands in .venv, node_modules, contracts/out and build: nothing is installed outside the checkout.
# A step whose inputs have not changed is not done again.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory

BIN := .venv/bin
ARGS ?=
# Any Python from 3.11 on; `make demo PYTHON=/path/to/python` to choose one.
PYTHON ?= $(firstword $(shell command -v python3.11 python3.12 python3.13 python3) python3)
# Foundry on PATH wins, else the binary that npm brought: the platform's own, not its node wrapper.
PLATFORM := $(shell uname -s | tr '[:upper:]' '[:lower:]')-$(patsubst x86_64,amd64,$(patsubst aarch64,arm64,$(shell uname -m)))
FORGE ?= $(or $(shell command -v forge),node_modules/@foundry-rs/forge-$(PLATFORM)/bin/forge)

# Lock files by purpose: docs/adr/017-lock-files-by-purpose.md. test.txt has all of run.txt at the same versions.
RUN_STAMP := .venv/.run
TEST_STAMP := .venv/.test
NODE_STAMP := node_modules/.installed
SOL_STAMP := contracts/out/.built
SOLIDITY := $(shell find contracts/src contracts/script contracts/test -name '*.sol' 2>/dev/null)

say = @printf '\033[1m==> %s\033[0m\n' "$(1)"

.PHONY: help setup demo test test-python test-contracts takeover check format contracts abis bench bench-compare chaos crash soak parity \
	docs audit audit-slither audit-halmos audit-invariants audit-mutants audit-env nightly lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(TEST_STAMP) $(NODE_STAMP) $(SOL_STAMP) ## Python packages for all targets, npm packages and contracts, as far as they are missing

demo: $(RUN_STAMP) $(NODE_STAMP) $(SOL_STAMP) ## a market crashes on an embedded node, and the keeper rescues it (ARGS="--accounts 500 --keep")
	$(call say,the demo)
	@$(BIN)/keeper demo $(ARGS)

test: test-contracts test-python ## all tests: the contracts' and the keeper's (ARGS="tests/unit -k health")

test-contracts: setup
	$(call say,forge test)
	@$(FORGE) test

test-python: setup
	$(call say,pytest)
	@$(BIN)/python -m pytest --hypothesis-profile=ci $(ARGS)

takeover: setup ## leaders killed and frozen under load, their standbys taking over (N=30, PACE_S=2 seconds a block)
	$(call say,takeovers)
	@TAKEOVERS=$(or $(N),30) $(BIN)/python -m pytest -q -s --timeout 0 tests/e2e/takeover/test_takeover.py

check: setup ## format, lint, types, layers, shape, generated files, names and words in pages
	$(call say,format and lint)
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(FORGE) fmt --check
	$(call say,types)
	@$(BIN)/mypy
	@MYPYPATH=examples/lending-plugin $(BIN)/mypy -p tiny_lend
	$(call say,layers)
	@$(BIN)/lint-imports --no-logo
	$(call say,shape)
	@$(BIN)/python tools/shape.py --check
	$(call say,generated files)
	@$(BIN)/python tools/abis.py --check
	@$(BIN)/python tools/events.py --check
	@$(BIN)/python tools/env_example.py --check
	@$(BIN)/python tools/quotes.py --check
	$(call say,names and words in pages)
	@$(BIN)/python tools/doc_names.py --check
	@$(BIN)/python tools/plain_words.py --check

format: setup ## rewrite Python and Solidity in the project's format
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .
	@$(FORGE) fmt

contracts: $(SOL_STAMP) ## build the contracts

abis: setup ## write abis/, docs/events.md, .env.example and quoted code from what they are made of
	@$(BIN)/python tools/abis.py
	@$(BIN)/python tools/events.py
	@$(BIN)/python tools/env_example.py
	@$(BIN)/python tools/quotes.py

bench: setup ## measure; a table, and build/bench.json
	@$(BIN)/python -m benchmarks $(ARGS)

bench-compare: ## figures against another revision: median and interval of the ratio (REV=main RUNS=10 FIGURES="head to wire" ARGS=--json)
	@$(MAKE) setup >&2
	@$(BIN)/python -m benchmarks.compare --rev "$(REV)" --runs $(or $(RUNS),10) --figures "$(FIGURES)" --forge "$(FORGE)" $(ARGS)

soak: setup ## blocks of a live market under light faults in one process; build/soak.json (N=5000 SEED=1)
	@$(BIN)/python -m tests.e2e.soak --blocks $(or $(N),5000) --seed $(or $(SEED),1) $(ARGS)

parity: setup ## health against the contracts' own views, 5,000 states (Aave 20,000) and more; build/parity.json (STATES=5000)
	@PARITY_STATES=$(or $(STATES),5000) SIZING_EXAMPLES=$(or $(SIZES),200) $(BIN)/python tools/parity.py

chaos: setup ## a live market under random faults and kills, then the count (N=200 SEED=1 ARGS=--json)
	$(call say,chaos)
	@$(BIN)/python -m tests.e2e.chaos.chaos --cycles $(or $(N),200) --seed $(or $(SEED),1) $(ARGS)

crash: setup ## the keeper killed at each named point of the send path (N=50)
	$(call say,crash)
	@$(BIN)/python -m tests.e2e.chaos.crash --times $(or $(N),50) --seed $(or $(SEED),1)

docs: .venv-docs/.installed ## the pages of docs/ as a site in build/site; a broken link fails
	$(call say,the site)
	@NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --strict

audit: setup .venv-audit/.installed ## the contracts: slither, halmos, invariants with random seeds (SEED=...), mutants (PARTS="slither halmos")
	@FORGE="$(FORGE)" SEED="$(SEED)" $(BIN)/python -u tools/audit.py $(PARTS)

audit-slither: setup .venv-audit/.installed ## findings of slither that have no reason in contracts/audit/slither.toml
	@FORGE="$(FORGE)" SEED="$(SEED)" $(BIN)/python -u tools/audit_slither.py $(ARGS)

audit-halmos: setup .venv-audit/.installed ## access and callbacks for all callers and arguments
	@FORGE="$(FORGE)" SEED="$(SEED)" $(BIN)/python -u tools/audit_halmos.py $(ARGS)

audit-invariants: setup ## 256 runs of 500 actions, three random seeds (SEED=1,2 RUNS=256 DEPTH=500)
	@FORGE="$(FORGE)" SEED="$(SEED)" $(BIN)/python -u tools/audit_invariants.py $(ARGS)

audit-mutants: setup ## contracts with one rule broken: does a test notice? (ARGS=engine-03)
	@FORGE="$(FORGE)" SEED="$(SEED)" $(BIN)/python -u tools/mutants.py $(ARGS)

nightly: ## everything that is slow, with random seeds that are printed: audit, parity, chaos, crash, soak, takeover (SEED=...)
	@seed=$${SEED:-$$RANDOM}; echo "nightly: SEED=$$seed"; failed=; \
	for part in audit parity "chaos SEED=$$seed" "crash SEED=$$seed" "soak SEED=$$seed" takeover; do \
		$(MAKE) $$part || failed="$$failed $${part%% *}"; \
	done; \
	[ -z "$$failed" ] || { echo "nightly: failed:$$failed (SEED=$$seed)" >&2; exit 1; }

audit-env: .venv-audit/.installed ## slither and halmos in an environment of their own, .venv-audit
	@echo "slither $$(.venv-audit/bin/slither --version)"
	@.venv-audit/bin/halmos --version

COMPILE = $(BIN)/uv --no-config pip compile --generate-hashes --universal --python-version 3.11 \
	--no-annotate --no-header --system-certs --quiet
# What test.txt says holds for the files that are a part of it.
PART = $(COMPILE) pyproject.toml --group build --constraint requirements/test.txt

lock: $(TEST_STAMP) ## resolve the dependencies again: requirements/*.txt and package-lock.json
	$(call say,requirements)
	@$(COMPILE) pyproject.toml --group build --all-extras -o requirements/test.txt
	@$(PART) -o requirements/run.txt
	@$(PART) --extra aws --extra postgres -o requirements/deploy.txt
	@$(COMPILE) --group docs -o requirements/docs.txt
	@$(COMPILE) --group audit -o requirements/audit.txt
	$(call say,package-lock.json)
	@npm install --package-lock-only --loglevel=error
	@$(BIN)/python tools/npm_lock.py

clean: ## remove everything that the targets above made
	rm -rf .venv .venv-docs .venv-audit node_modules build dist contracts/out contracts/cache .mypy_cache .ruff_cache .pytest_cache \
		.hypothesis .import_linter_cache .benchmarks .coverage

PIP_INSTALL := -m pip install --quiet --disable-pip-version-check

define environment
	$(call say,Python packages into $(@D) from $<; hashes are checked)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; give one by PYTHON=/path/to/python")'
	@$(@D)/bin/python -c '' 2>/dev/null || $(PYTHON) -m venv --clear $(@D)
	@$(@D)/bin/python $(PIP_INSTALL) --require-hashes -r $<
endef

$(RUN_STAMP): requirements/run.txt pyproject.toml
	$(environment)
	@$(BIN)/python $(PIP_INSTALL) --no-deps --no-build-isolation -e .
	@touch $@

$(TEST_STAMP): requirements/test.txt $(RUN_STAMP)
	$(environment)
	@touch $@

.venv-%/.installed: requirements/%.txt
	$(environment)
	@touch $@

$(NODE_STAMP): package-lock.json package.json
	$(call say,npm packages into node_modules from package-lock.json)
	@command -v npm >/dev/null || { echo "Node 20 or newer with npm is needed" >&2; exit 1; }
	@npm ci --loglevel=error
	@touch $@

$(SOL_STAMP): $(NODE_STAMP) foundry.toml tools/solc.mjs $(SOLIDITY)
	$(call say,contracts by forge)
	@$(FORGE) build
	@touch $@
