# The only entry point of the repository: CI calls these targets and nothing else.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
PYTHON ?= python3
BIN := .venv/bin
WORKERS ?= 2
export PYTHONDONTWRITEBYTECODE ?=

.PHONY: help setup run demo test soak bench lint format gen check-gen breaking lock wheel clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

setup: .venv/ready ## Make .venv with the locked packages and fetch the protos that ours import

run: .venv/ready ## Bring the whole mesh up on http://localhost:8080, until Ctrl-C
	@exec $(BIN)/python -m deploy.local run

demo: .venv/ready ## Run the demo scenario against the running mesh, each step printed
	@$(BIN)/python -m deploy.local demo $(if $(LOOP),--loop)

test: .venv/ready ## Run the tests
	@$(BIN)/python -m pytest -m "not soak" -n $(WORKERS) --dist loadfile --durations=10 $(ARGS)

soak: .venv/ready ## Run the long tests and those that judge time: limits, overload, restarts, crashes
	@$(BIN)/python -m pytest -m soak -s $(ARGS)

bench: .venv/ready ## Compare side by side with what a team would write instead (ARGS=--quick for 3 minutes)
	@$(BIN)/python -m bench $(ARGS)

lint: .venv/ready ## Check contracts, style, types and import rules
	@echo "contracts …"; $(BIN)/python -m codegen.check
	@$(BIN)/buf lint protos && $(BIN)/buf format -d --exit-code protos
	@echo "style …"; $(BIN)/ruff check --quiet . && $(BIN)/ruff format --check --quiet .
	@echo "types …"; $(BIN)/mypy contract chassis services codegen deploy clients/python/src/weft_client
	@echo "imports …"; $(BIN)/lint-imports --no-cache >/dev/null || $(BIN)/lint-imports --no-cache

format: .venv/ready ## Format code and contracts
	@$(BIN)/buf format -w protos && $(BIN)/ruff check --fix --quiet . && $(BIN)/ruff format --quiet .

gen: .venv/ready ## Generate everything from the protos
	@$(BIN)/python -m codegen.generate

check-gen: .venv/ready ## Fail when what is generated differs from what is committed
	@echo "generating in a copy …"; $(BIN)/python -m codegen.check_gen

breaking: .venv/ready ## Fail when a contract breaks its users: against the last tag, or the baseline
	@echo "comparing with the previous contract …"; $(BIN)/python -m codegen.breaking

wheel: .venv/ready ## Build the Python client's wheel into dist/
	@$(BIN)/python -m build --wheel --no-isolation --outdir dist clients/python

lock: ## Resolve the locked packages again (for maintainers; needs uv)
	@uv pip compile --quiet pyproject.toml --group local --group dev --group bench --python-version 3.11 --universal --generate-hashes --no-header --output-file requirements.lock

clean: ## Remove what make made: .venv, .weft with all data, caches
	@bash deploy/clean.sh

.venv/ready: requirements.lock codegen/third_party.py codegen/third_party.txt
	@PYTHON="$(PYTHON)" bash deploy/setup.sh
