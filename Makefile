# The only entry point of the repository: CI calls these targets and nothing else.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
PYTHON ?= python3
BIN := .venv/bin
WORKERS ?= 2
USERS ?= 10000
ORDERS ?= 10000
CORE ?=
DELETE ?=
STRICT ?=
export PYTHONDONTWRITEBYTECODE ?=
UPGRADE ?=
UV_LOCK = uv pip compile --quiet $(if $(UPGRADE),--upgrade) --python-version 3.11 --universal --generate-hashes --no-header

.PHONY: help setup up down journey check-deploy run demo seed test soak bench lint format gen check-gen breaking image lock pin wheel clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

setup: .venv/ready ## Make .venv with the locked packages and fetch the protos that ours import

run: .venv/ready ## Bring the whole mesh up on http://localhost:8080, until Ctrl-C
	@exec $(BIN)/python -m deploy.local run

demo: .venv/ready ## Run the demo scenario against the running mesh, each step printed
	@$(BIN)/python -m deploy.local demo $(if $(LOOP),--loop)

seed: .venv/ready ## Fill the running mesh with made-up data, for trials: USERS=1000000 ORDERS=1000000
	@$(BIN)/python -m deploy.local seed --users $(USERS) --orders $(ORDERS)

test: .venv/ready ## Run the tests
	@$(BIN)/python -m pytest -m "not soak" -n $(WORKERS) --dist loadfile --max-worker-restart=0 --durations=10 $(ARGS)

soak: .venv/ready ## Run the long tests and those that judge time: limits, overload, restarts, crashes
	@$(BIN)/python -m pytest -m soak -s -o faulthandler_timeout=3600 $(ARGS)

bench: .venv/ready ## Compare side by side with what a team would write instead (ARGS=--quick for 5 minutes)
	@$(BIN)/python -m bench $(ARGS)

lint: .venv/ready ## Check contracts, style, types and import rules: all that is wrong at once
	@$(BIN)/python -m codegen.lint

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

image: .venv/ready ## Build the images weft/services, weft/edge and weft/sinks (needs Docker; IMAGE_ARGS for `docker build`)
	@for name in services edge sinks; do \
	  echo "weft/$$name …"; docker build --quiet --file deploy/docker/Dockerfile --target $$name \
	    --tag weft/$$name:$$(git rev-parse --short HEAD) --tag weft/$$name:latest --build-arg VERSION=$$(git rev-parse --short HEAD) $(IMAGE_ARGS) .; \
	done
	@echo "built; next: make up"

up: .venv/ready ## Start the whole mesh in containers, with dashboards, and say what to open (needs `make image`; CORE=1: no dashboards)
	@$(BIN)/python -m deploy.compose up $(if $(CORE),--core)

journey: .venv/ready ## Run the demo scenario against the mesh of `make up`
	@$(BIN)/python -m deploy.compose journey

down: .venv/ready ## Stop the mesh of `make up`; its data stays (DELETE=1 deletes data and secrets)
	@$(BIN)/python -m deploy.compose down $(if $(DELETE),--delete)

check-deploy: .venv/ready ## Hold deploy/ and the workflows against schemas and linters (STRICT=1: missing tools are faults)
	@$(MAKE) --no-print-directory .venv/deploy-tools/ready || echo "the tools could not be fetched: what they check is not checked"
	@$(BIN)/python -m deploy.checks $(if $(STRICT),--strict)

lock: ## Resolve the locked packages again (for maintainers; needs uv; UPGRADE=1: the newest)
	@$(UV_LOCK) pyproject.toml --group local --group dev --group bench --output-file requirements.lock
	@echo "what checks deploy/, and what scans and updates …"; for name in tools upkeep; do \
	  $(UV_LOCK) deploy/checks/$$name.in --output-file deploy/checks/$$name.lock; \
	done
	@echo "the images' …"; $(UV_LOCK) pyproject.toml --constraint requirements.lock --output-file deploy/docker/services.lock
	@for name in edge bake; do \
	  $(UV_LOCK) deploy/docker/$$name.in --constraint requirements.lock --output-file deploy/docker/$$name.lock; \
	done

pin: ## Name the images of others by their digests (for maintainers; needs Docker and the registries)
	@bash deploy/pin.sh

clean: ## Remove what make made: .venv, .weft with all data, caches
	@bash deploy/clean.sh

.venv/ready: requirements.lock codegen/third_party.py codegen/third_party.txt
	@PYTHON="$(PYTHON)" bash deploy/setup.sh

.venv/deploy-tools/ready: .venv/ready deploy/checks/tools.lock
	@echo "tools that check deploy/ …"; $(BIN)/python -m venv .venv/deploy-tools
	@.venv/deploy-tools/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r deploy/checks/tools.lock
	@touch $@
