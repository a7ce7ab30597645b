# Each target sets up what it needs, once, into .venv/ and .run/.
SHELL := /bin/bash
PORT ?= 7071
DATA ?= .run/$(PORT)
STORE ?= sqlite
MODEL ?= real
COLD ?= 0
export PORT DATA STORE MODEL COLD PYTHON
# Each process that a target starts would compile the product again.
unexport PYTHONDONTWRITEBYTECODE
# USER and TENANT choose the person of `make token`; the login name of the shell is no such choice.
ifeq ($(origin USER),command line)
export TOKEN_USER := $(USER)
endif
export TOKEN_TENANT := $(TENANT)
export TOKEN_APP := $(APP)
export TOKEN_ROLES := $(ROLES)
python := .venv/bin/python
source := function_app.py settings.py telemetry composition api orchestrators activities state clients domain devhost standins ganglion benches scripts tests
# SECOND_TRIES=reported lets a test pass that failed at first and passed when it ran again.
second_tries := $(if $(filter reported,$(SECOND_TRIES)),,--fail-on-flaky)
fast := $(addprefix tests/,domain api activities state clients orchestrators frozen isolation contracts)

.PHONY: setup demo demo-batch run parts token doctor deployment package fast test check format lint types layers unused conform vllm campaign bench bench-routing lock

setup:
	@scripts/setup.sh

demo: setup
	@$(python) -m standins.demo

demo-batch: setup
	@$(python) -m standins.demo.batch

run: setup
	@$(python) -m standins.run

parts: setup
	@$(python) -m standins.run --without-host

token: setup
	@$(python) -m standins.token

doctor: setup
	@$(python) -m ganglion doctor $(if $(APP_NAME),--app $(APP_NAME))

deployment: setup
	@$(python) -m scripts.deployment $(STEP) $(if $(DRY_RUN),--dry-run)

package: setup
	@$(python) -m scripts.package $(if $(AZURE_MONITOR),--azure-monitor) $(if $(TOKENIZERS),--tokenizers) $(if $(MCP),--mcp) $(if $(STORAGE),--storage)

fast: setup
	@TEST_EXAMPLES=few $(python) -m pytest -q -n 2 -p no:randomly -m "not slow and not campaign" $(fast)

test: setup
	@$(python) -m pytest -n 2

check: lint types layers unused test

format: setup
	@$(python) -m ruff format $(source)
	@$(python) -m ruff check --fix $(source)

lint: setup
	@$(python) -m ruff format --check $(source)
	@$(python) -m ruff check $(source)
	@$(python) -m scripts.phrases

types: setup
	@$(python) -m pyright

layers: setup
	@.venv/bin/lint-imports

unused: setup
	@$(python) -m deptry .
	@$(python) -m vulture

conform: setup
	@TEST_KILLS=$${TEST_KILLS:-5} $(python) -m pytest -m "campaign and not long" $(second_tries)

# An opt-in check against a real vLLM that is built for CPUs: make vllm VLLM=/path/to/bin/vllm
vllm: setup
	@VLLM="$(VLLM)" $(python) -m pytest -m campaign tests/conformance/models/test_vllm.py

campaign: setup
	@TEST_EXAMPLES=exploring $(python) -m pytest -m campaign
	@TEST_EXAMPLES=exploring $(python) -m pytest

bench: setup
	@$(python) -m benches

bench-routing: setup
	@$(python) -m benches.routing
	@$(python) -m benches.routing counted

lock: setup
	@scripts/lock.sh
