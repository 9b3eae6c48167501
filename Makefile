# Two commands: `make run` shows the gateway on a simulated plant, `make test` proves it. Both set up all they need.
# JOBS is how many tests run at once: most of them wait for something. BESSAI_SEED chooses other random runs, BESSAI_SCALE longer ones.
# PYTHON chooses the interpreter (3.11 or newer); everything installed goes into .venv.

export UV_PYTHON_DOWNLOADS = never
# Hundreds of processes start in the tests: what they import is compiled once.
unexport PYTHONDONTWRITEBYTECODE
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
JOBS ?= 5
export VIRTUAL_ENV := $(abspath $(VENV))
SUPPORTED := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c "$(SUPPORTED)" >/dev/null 2>&1 && { echo $$p; break; }; done)

PAGE := src/bessai/interfaces/api/page/index.html
PAGE_SOURCES := $(shell find ui -path ui/node_modules -prune -o -type f -print)

.PHONY: help run test coverage soak lint supply checkov sbom image-check bench docs format lock page clean
.DEFAULT_GOAL := help

help:
	@echo "make run       simulated plant and gateway, on this terminal (Ctrl-C ends it)"
	@echo "make test      all tests"
	@echo "make coverage  the same, slower, with coverage"
	@echo "make lint      style, types and import contracts"
	@echo "make supply    workflows, secrets, licences; make checkov: Terraform and Dockerfile; make sbom: the parts"
	@echo "make soak      long randomised runs"
	@echo "make bench     all benchmarks, into docs/performance.md (QUICK=1: a first look)"
	@echo "make docs      the documentation as a site, in build/site"
	@echo "make page      the dashboard, from ui/"
	@echo "make lock      requirements*.txt anew from pyproject.toml"

run: $(VENV)/.runtime $(PAGE)
	@$(BIN)/bessai demo

test: $(VENV)/.development $(PAGE)
	@BESSAI_SEED=$${BESSAI_SEED:-20261124} $(BIN)/python tests/run.py -n $(JOBS)

coverage: $(VENV)/.development
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest -n $(JOBS); code=$$?; \
	$(BIN)/coverage combine -q && $(BIN)/coverage report --skip-empty -m | tail -n 40; exit $$code

soak: $(VENV)/.development
	@$(BIN)/pytest -m soak -s --override-ini "addopts=-ra --import-mode=importlib" --timeout 36000

lint: $(VENV)/.development $(PAGE)
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python ui/npm.py run --silent check
	@$(BIN)/python ui/npm.py run --silent lint
	@$(BIN)/python ui/npm.py run --silent test

supply: $(VENV)/.development
	@$(BIN)/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	@$(BIN)/python -m release.secrets
	@$(BIN)/python -m release.licences

checkov: $(VENV)/bin/uv requirements-checkov.txt
	@$(BIN)/uv venv -q --clear --python $(BIN)/python build/checkov
	@VIRTUAL_ENV=build/checkov $(BIN)/uv pip install -q --require-hashes -r requirements-checkov.txt
	@build/checkov/bin/checkov --skip-download --quiet --compact --framework terraform dockerfile -d infrastructure

sbom: $(VENV)/.development
	@$(BIN)/python -m release.sbom --output build/open-bess-edge.cdx.json

bench: $(VENV)/.development $(PAGE)
	@$(BIN)/python -m benchmarks.collect $(if $(QUICK),--quick)

docs: $(VENV)/.development
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

image-check:
	@infrastructure/docker/check.sh && infrastructure/docker/check-root.sh

format: $(VENV)/.development
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

lock: $(VENV)/bin/uv
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		--extra parquet --extra kafka --extra nats --extra notify --extra scada --extra gridcode -o requirements.txt pyproject.toml
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		--extra parquet --extra kafka --extra nats --extra notify --extra scada --extra gridcode --group dev --group checks --group docs -c requirements.txt -o requirements-dev.txt pyproject.toml
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		--group build -o requirements-build.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		--group checkov -o requirements-checkov.txt

page: $(VENV)/bin/uv $(PAGE)

$(PAGE): ui/node_modules/.package-lock.json $(PAGE_SOURCES)
	@$(BIN)/python ui/npm.py run --silent build

ui/node_modules/.package-lock.json: ui/package.json ui/package-lock.json | $(VENV)/bin/uv
	@$(BIN)/python ui/npm.py ci --silent
	@touch $@

$(VENV)/bin/uv: requirements-build.txt
	@test -n "$(PYTHON)" && $(PYTHON) -c "$(SUPPORTED)" || { echo "error: Python 3.11 or newer with venv is needed; \
	install it (Debian: python3-venv) or name it: make PYTHON=/path/to/python3"; exit 2; }
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-build.txt
	@touch $@

$(VENV)/.runtime: $(VENV)/bin/uv requirements.txt pyproject.toml
	@echo "setting up .venv (first time only)"
	@$(BIN)/uv pip install -q --require-hashes -r requirements.txt
	@$(BIN)/uv pip install -q --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.development: $(VENV)/bin/uv requirements-dev.txt pyproject.toml
	@echo "setting up .venv for development (first time only)"
	@$(BIN)/uv pip install -q --require-hashes -r requirements-dev.txt
	@$(BIN)/uv pip install -q --no-deps --no-build-isolation -e .
	@touch $@ $(VENV)/.runtime

clean:
	rm -rf $(VENV) ui/node_modules src/bessai/interfaces/api/page .coverage* .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
