# Trimtab on one laptop. Needs Python 3.11 or newer and make; everything else is installed under .venv and .local.

PORT ?= 4566
CLOUD ?= local
ENDPOINT ?= http://localhost:$(PORT)
BUNDLE ?=
TENANT ?= demo
USER_ID ?=
SCOPES ?=
WORKERS ?= 2

VENV := .venv
BIN := $(VENV)/bin
TOOLS := $(BIN)/.ready .local/node/.ready .local/aws/.ready
PIP := -m pip --disable-pip-version-check install -qq --no-warn-script-location --require-hashes
UV := $(BIN)/uv pip install -q --require-hashes
FIND_PYTHON := for python in $(or $(PYTHON),python3 python3.13 python3.12 python3.11); do \
	"$$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$python"; exit; }; done

export PATH := $(CURDIR)/$(BIN):$(PATH)
export PYTHONPATH := $(CURDIR):$(CURDIR)/layers/core/python
# Each module is compiled once, whatever the shell says: uv leaves that to the first run.
unexport PYTHONDONTWRITEBYTECODE
# Nothing that is run from here may find the user's AWS account: `cdk deploy` is for that.
export AWS_EC2_METADATA_DISABLED := true
export AWS_CONFIG_FILE := /dev/null
export AWS_SHARED_CREDENTIALS_FILE := /dev/null
unexport AWS_PROFILE AWS_DEFAULT_PROFILE AWS_ENDPOINT_URL AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN

.PHONY: help up down token logs test check proof bench e2e describe protos synth lock sessions simulate backfill rebuild \
	clean
.DEFAULT_GOAL := help

help: ## this list
	@sed -n 's/^\([a-z0-9]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 16

up: $(TOOLS) ## the whole system on this machine: PORT=4566, or CLOUD=localstack ENDPOINT=http://… BUNDLE=host|container
	@python -m infra.local up --port $(PORT) --cloud $(CLOUD) --endpoint $(ENDPOINT) --bundle "$(BUNDLE)"

down: $(BIN)/.ready ## stop it
	@python -m infra.local down

token: $(BIN)/.ready ## print a token: TENANT=demo USER_ID= SCOPES=portfolios:read,portfolios:write
	@python -m infra.local token --tenant "$(TENANT)" --scopes "$(SCOPES)" $(if $(USER_ID),--user-id "$(USER_ID)")

logs: $(BIN)/.ready ## follow the functions' logs
	@python -m infra.local logs

test: $(TOOLS) static ## everything: format, lint, types, import contracts, unit to end-to-end
	@python -m pytest -n $(WORKERS) -m "not proof and not volume" --cov --cov-report=term:skip-covered tests/unit tests/integration
	@python -m pytest -n $(WORKERS) -m "volume and not proof" tests/integration
	@python -m pytest -n $(WORKERS) -m "not proof" --dist loadgroup tests/infra tests/faults
	@$(MAKE) --no-print-directory e2e

check: $(BIN)/.ready static ## the fast part of `make test`, before every commit
	@python -m pytest -n $(WORKERS) -m "not proof" tests/unit tests/integration/test_main_job.py tests/integration/test_payloads.py

proof: $(BIN)/.ready .local/proof/.ready ## exhaustive runs: faults, races, waves of prices, years of the market's history
	@python -m pytest -n $(WORKERS) -m proof tests
	@python -m pytest -n $(WORKERS) --hypothesis-profile=explore tests/unit

bench: $(BIN)/.ready ## the budgets
	@python -m tests.benchmarks

e2e: $(TOOLS) ## end to end on a local AWS of its own, or CLOUD=localstack ENDPOINT=http://…
	@TRIMTAB_CLOUD=$(CLOUD) TRIMTAB_ENDPOINT=$(ENDPOINT) TRIMTAB_BUNDLE=$(BUNDLE) python -m pytest tests/e2e

describe: $(BIN)/.ready ## write the OpenAPI, JSON Schema and AsyncAPI documents from the code
	@python -m infra.tools.descriptions

protos: $(BIN)/.ready ## generate messages, service and client from the .proto
	@python -m infra.tools.protos

synth: $(TOOLS) ## the CloudFormation templates of production, in cdk.out
	@.local/node/node_modules/.bin/cdk synth -q -c env=prod

.PHONY: static
static: $(BIN)/.ready
	@ruff format --check -q . && ruff check -q . && mypy && lint-imports

lock: $(BIN)/.ready ## compile the requirement locks again
	@for list in layers/dependencies/requirements layers/rpc/requirements infra/toolchain/installer \
		infra/toolchain/development infra/toolchain/local-aws; do \
		uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
			$$list.in -o $$list.txt || exit; done
	@uv pip compile -q --no-deps --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		infra/toolchain/proof.in -o infra/toolchain/proof.txt

sessions: $(BIN)/.ready ## write the table of the exchange's trading days again
	@uv run -q --script infra/toolchain/trading_days.py

simulate: $(BIN)/.ready ## move prices on the running stack: CHANGES=200 PORTFOLIOS=20 SEED=
	@python -m infra.local simulate --changes $(or $(CHANGES),200) --portfolios $(or $(PORTFOLIOS),20) $(if $(SEED),--seed $(SEED))

backfill: $(BIN)/.ready ## daily bars into the running stack: FROM=2024-01-02 TO=2026-11-20 SOURCE=sample|massive|DIRECTORY|s3://… JUMPS=accept
	@python -m infra.local backfill --from "$(FROM)" --to "$(TO)" --source "$(or $(SOURCE),sample)" $(if $(JUMPS),--accept-jumps)
rebuild: $(BIN)/.ready ## compare a bettor's sums with the fold of their orders: TENANT=demo USER_ID= REPAIR=1
	@python -m infra.local rebuild --tenant "$(TENANT)" --user-id "$(USER_ID)" $(if $(REPAIR),--repair)

clean: ## remove everything that was installed or built
	@[ ! -x $(BIN)/python ] || python -m infra.local down
	@rm -rf $(VENV) .local cdk.out

$(BIN)/.ready: infra/toolchain/development.txt infra/toolchain/installer.txt
	@python=$$($(FIND_PYTHON)); [ -n "$$python" ] || { \
		echo "needs Python 3.11 or newer with its venv module: install it, or name it with PYTHON=" >&2; exit 1; }; \
	echo "installing the tools of development with $$("$$python" --version)" && \
	rm -rf $(VENV) && "$$python" -m venv $(VENV) && $(BIN)/python $(PIP) -r infra/toolchain/installer.txt && \
	$(UV) --python $(BIN)/python -r $<
	@touch $@

.local/aws/.ready: infra/toolchain/local-aws.txt $(BIN)/.ready
	@echo "installing the local AWS"
	@rm -rf .local/aws && mkdir -p .local && $(BIN)/python -m venv --without-pip .local/aws && \
		$(UV) --python .local/aws/bin/python -r $<
	@touch $@

.local/proof/.ready: infra/toolchain/proof.txt $(BIN)/.ready
	@echo "installing the price history"
	@rm -rf .local/proof && $(UV) --no-deps --target .local/proof -r $<
	@touch $@

.local/node/.ready: infra/toolchain/package.json infra/toolchain/package-lock.json $(BIN)/.ready
	@echo "installing the CDK command line"
	@mkdir -p .local/node && cp infra/toolchain/package.json infra/toolchain/package-lock.json .local/node/
	@npm ci --prefix .local/node --silent --no-audit --no-fund --no-update-notifier
	@touch $@
