# Trimtab on one laptop. Needs make and Python 3.11, 3.12, 3.13 or 3.14; all other tools are installed in .venv and .local.

PORT ?= 4566
CLOUD ?= local
ENDPOINT ?= http://localhost:$(PORT)
BUNDLE ?=
TENANT ?= demo
USER_ID ?=
SCOPES ?=
WORKERS ?= 2
IAM ?= 0

VENV := .venv
BIN := $(VENV)/bin
CACHE := $(CURDIR)/.local/cache
RUN_TOOLS := $(BIN)/.run .local/node/.ready .local/aws/.ready
TEST_TOOLS := $(BIN)/.test
CONTRACT_TOOLS := .local/contract/.ready
SHIPPED := $(wildcard layers/*/requirements.txt)
LOCKS := $(SHIPPED) $(wildcard infra/toolchain/*.txt)
# ecdsa leaks keys by the time of signing and has no fix; checkov only verifies signatures.
NOT_AFFECTING := GHSA-wj6h-64fc-37mp
PIP := -m pip --disable-pip-version-check --no-cache-dir install -qq --no-warn-script-location --require-hashes
UV := $(BIN)/uv pip install -q --require-hashes
# Create, rebalance, trade, quote, execute, bet, settle, link and alert, with the role of each function enforced.
ENFORCED := $(addprefix tests/e2e/,test_walking_system.py balancing/test_balancing.py betting/test_orders_and_markets.py) \
	tests/e2e/analytics -k "not analytics or link or alert"
# Apart from the other tests: the plugins of these tools would change how those run.
CONTRACT = PYTHONPATH="$(PYTHONPATH):$(CURDIR)/.local/contract" $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile
FIND_PYTHON := for python in $(or $(PYTHON),python3 python3.14 python3.13 python3.12 python3.11); do \
	"$$python" -c 'import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' 2>/dev/null && \
	{ echo "$$python"; exit; }; done
IF_INSTALLED := if [ ! -x $(BIN)/python ]; then echo "nothing is deployed: run \`make up\`" >&2; exit 1; fi;

export PATH := $(CURDIR)/$(BIN):$(PATH)
export PYTHONPATH := $(CURDIR):$(CURDIR)/layers/core/python
# Caches stay in this directory. jsii refuses a cache in the home directory if its group may write there (umask 0002).
export UV_CACHE_DIR := $(CACHE)/uv
export npm_config_cache := $(CACHE)/npm
export JSII_RUNTIME_PACKAGE_CACHE_ROOT := $(CACHE)/jsii
# uv does not compile modules, so the first import does, even if the user's shell forbids writing bytecode.
unexport PYTHONDONTWRITEBYTECODE
# No command here may use the user's AWS account; only `cdk deploy` does.
export AWS_EC2_METADATA_DISABLED := true
export AWS_CONFIG_FILE := /dev/null
export AWS_SHARED_CREDENTIALS_FILE := /dev/null
unexport AWS_PROFILE AWS_DEFAULT_PROFILE AWS_ENDPOINT_URL AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN

.PHONY: help up down reset token env logs test check docs-check proof mutation bench e2e audit lint-templates describe protos synth \
	lock sessions simulate backfill rebuild clean
.DEFAULT_GOAL := help

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

up: $(RUN_TOOLS) ## start and deploy the system: PORT=4566, or CLOUD=localstack ENDPOINT=http://… BUNDLE=host|container
	@$(BIN)/python -m infra.local up --port $(PORT) --cloud $(CLOUD) --endpoint $(ENDPOINT) --bundle "$(BUNDLE)"

down: ## stop the system; `make up` starts it again with the stored data
	@$(IF_INSTALLED) $(BIN)/python -m infra.local down

reset: ## stop the system and remove the stored data
	@$(IF_INSTALLED) $(BIN)/python -m infra.local down --forget

token: ## print a token: TENANT=demo USER_ID= SCOPES=portfolios:read,portfolios:write
	@$(IF_INSTALLED) $(BIN)/python -m infra.local token --tenant "$(TENANT)" --scopes "$(SCOPES)" \
		$(if $(USER_ID),--user-id "$(USER_ID)")

env: ## print shell exports for the running stack: eval "$$(make -s env)"
	@$(IF_INSTALLED) $(BIN)/python -m infra.local env

logs: ## follow the functions' logs
	@$(IF_INSTALLED) $(BIN)/python -m infra.local logs

test: $(RUN_TOOLS) $(TEST_TOOLS) $(CONTRACT_TOOLS) static ## run all checks and tests: format, lint, types, imports, unit to end-to-end
	@$(BIN)/python -m pytest -n $(WORKERS) -m "not proof and not volume" --cov --cov-report=term:skip-covered tests/unit tests/integration tests/docs
	@$(BIN)/python -m pytest -n $(WORKERS) -m "volume and not proof" tests/integration
	@$(CONTRACT) -m "not proof" tests/contract
	@$(BIN)/python -m pytest -n $$(($(WORKERS) + 1)) -m "not proof" --dist loadgroup tests/e2e tests/infra tests/faults
	@TRIMTAB_IAM=1 $(BIN)/python -m pytest -m "not proof" $(ENFORCED)

check: $(TEST_TOOLS) static ## run the fast part of `make test`, before every commit
	@$(BIN)/python -m pytest -n $(WORKERS) -m "not proof" tests/unit tests/integration/test_main_job.py tests/integration/test_payloads.py

docs-check: $(RUN_TOOLS) $(TEST_TOOLS) .local/awscli/.ready ## run every command of README and docs, and check their links
	@$(BIN)/python -m pytest tests/docs
	@TRIMTAB_ALL_PAGES=1 $(BIN)/python -m pytest tests/e2e/test_documentation.py

proof: $(RUN_TOOLS) $(TEST_TOOLS) $(CONTRACT_TOOLS) .local/proof/.ready .local/openapi/.ready ## run the exhaustive tests: faults, races, price waves, years of price history, generated requests
	@rm -f .local/assurance.jsonl
	@$(BIN)/python -m pytest -n $(WORKERS) -m proof --dist loadgroup --ignore tests/contract tests
	@$(CONTRACT) -m proof tests/contract
	@$(BIN)/python -m pytest -n $(WORKERS) --hypothesis-profile=explore tests/unit
	@$(MAKE) e2e IAM=1
	@$(MAKE) lint-templates
	@$(BIN)/python -m infra.tools.assurance

mutation: $(TEST_TOOLS) .local/mutation/tools/.ready ## measure how many changes of the code the tests notice: AREAS="kernel planner" CHANGES="*7" WORKERS=2
	@$(BIN)/python -m tests.mutation $(AREAS) --processes $(WORKERS) $(if $(CHANGES),--changes $(foreach each,$(CHANGES),"$(each)"))

bench: $(TEST_TOOLS) ## measure latency and cost against the budgets
	@$(BIN)/python -m tests.benchmarks

e2e: $(RUN_TOOLS) $(TEST_TOOLS) $(CONTRACT_TOOLS) .local/openapi/.ready ## run the end-to-end tests on a separate local AWS: IAM=1 enforces the roles, or CLOUD=localstack ENDPOINT=http://…
	@TRIMTAB_CLOUD=$(CLOUD) TRIMTAB_ENDPOINT=$(ENDPOINT) TRIMTAB_BUNDLE=$(BUNDLE) TRIMTAB_IAM=$(IAM) \
		$(BIN)/python -m pytest tests/e2e

audit: .local/audit/.ready ## check licences and known vulnerabilities of locked packages, write .local/audit/sbom.json
	@.local/audit/tools/bin/pip-licenses --python .local/audit/shipped/bin/python
	@PYTHONWARNINGS=ignore .local/audit/tools/bin/cyclonedx-py environment .local/audit/shipped/bin/python \
		--pyproject pyproject.toml --output-reproducible -o .local/audit/sbom.json
	@.local/audit/tools/bin/pip-audit --strict --disable-pip --require-hashes --progress-spinner off \
		$(NOT_AFFECTING:%=--ignore-vuln %) $(LOCKS:%=-r %)

lint-templates: .local/lint/.ready synth ## check the CloudFormation templates of production with cfn-lint and checkov
	@$(BIN)/python -m infra.tools.template_lint

describe: $(TEST_TOOLS) ## write the OpenAPI, JSON Schema and AsyncAPI documents from the code
	@$(BIN)/python -m infra.tools.descriptions
	@$(BIN)/python -m infra.tools.reference

protos: $(TEST_TOOLS) ## generate messages, service and client from the .proto
	@$(BIN)/python -m infra.tools.protos

synth: $(RUN_TOOLS) ## write the CloudFormation templates of production to cdk.out
	@PATH="$(CURDIR)/$(BIN):$$PATH" .local/node/node_modules/.bin/cdk synth -q -c env=prod

.PHONY: static
static: $(TEST_TOOLS)
	@$(BIN)/ruff format --check -q . && $(BIN)/ruff check -q . && $(BIN)/mypy && $(BIN)/lint-imports

lock: $(TEST_TOOLS) ## compile the locked requirements again
	@for list in layers/dependencies/requirements layers/rpc/requirements layers/pictures/requirements \
		infra/toolchain/installer \
		infra/toolchain/run infra/toolchain/test infra/toolchain/contract infra/toolchain/local-aws \
		infra/toolchain/awscli infra/toolchain/audit infra/toolchain/lint infra/toolchain/mutation; do \
		$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
			$$list.in -o $$list.txt || exit; done
	@$(BIN)/uv pip compile -q --no-deps --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		infra/toolchain/proof.in -o infra/toolchain/proof.txt

sessions: $(TEST_TOOLS) ## write the table of the exchange's trading days again
	@$(BIN)/uv run -q --script infra/toolchain/trading_days.py

simulate: ## move prices on the running system: CHANGES=200 PORTFOLIOS=20 SEED=
	@$(IF_INSTALLED) $(BIN)/python -m infra.local simulate --changes $(or $(CHANGES),200) \
		--portfolios $(or $(PORTFOLIOS),20) $(if $(SEED),--seed $(SEED))

backfill: ## ingest daily bars: FROM=2024-01-02 TO=2026-11-20 SOURCE=sample|massive|DIRECTORY|s3://… JUMPS=accept REPLACE=1 DECIMAL=comma
	@$(IF_INSTALLED) $(BIN)/python -m infra.operator --local bars backfill --from "$(FROM)" --to "$(TO)" \
		--source "$(or $(SOURCE),sample)" $(if $(JUMPS),--accept-jumps) $(if $(REPLACE),--replace) \
		$(if $(DECIMAL),--decimal $(DECIMAL))

rebuild: ## compare a bettor's stored totals with their orders: TENANT=demo USER_ID= REPAIR=1
	@$(IF_INSTALLED) $(BIN)/python -m infra.operator --local sums $(if $(REPAIR),rebuild,compare) \
		--tenant "$(TENANT)" --user-id "$(USER_ID)"

clean: ## stop the system and remove the stored data and all installed and built files
	@[ ! -x $(BIN)/python ] || $(BIN)/python -m infra.local down
	@rm -rf $(VENV) .local cdk.out

$(BIN)/.run: infra/toolchain/run.txt infra/toolchain/installer.txt
	@python=$$($(FIND_PYTHON)); [ -n "$$python" ] || { \
		echo "needs Python 3.11, 3.12, 3.13 or 3.14 with its venv module: install one, or name one with PYTHON=" >&2; \
		exit 1; }; \
	echo "installing the tools of \`make up\` with $$("$$python" --version)" && \
	rm -rf $(VENV) && "$$python" -m venv $(VENV) && $(BIN)/python $(PIP) -r infra/toolchain/installer.txt && \
	$(UV) --python $(BIN)/python -r $<
	@printf '#!/bin/sh\nPYTHONPATH="%s" exec "%s" -m infra.operator "$$@"\n' "$(PYTHONPATH)" "$(CURDIR)/$(BIN)/python" \
		> $(BIN)/trimtab && chmod +x $(BIN)/trimtab
	@touch $@

$(BIN)/.test: infra/toolchain/test.txt $(BIN)/.run
	@echo "installing the tools of \`make test\`"
	@$(UV) --python $(BIN)/python -r $<
	@touch $@

.local/aws/.ready: infra/toolchain/local-aws.txt $(BIN)/.run
	@echo "installing the local AWS"
	@rm -rf .local/aws && mkdir -p .local && $(BIN)/python -m venv --without-pip .local/aws && \
		$(UV) --python .local/aws/bin/python -r $<
	@touch $@

.local/proof/.ready: infra/toolchain/proof.txt $(BIN)/.test
	@echo "installing the price history"
	@rm -rf .local/proof && $(UV) --no-deps --target .local/proof -r $<
	@touch $@

.local/mutation/tools/.ready: infra/toolchain/mutation.txt $(BIN)/.test
	@echo "installing mutmut"
	@rm -rf .local/mutation && $(UV) --python $(BIN)/python --target .local/mutation/tools -r $<
	@touch $@

.local/contract/.ready: infra/toolchain/contract.txt $(BIN)/.test
	@echo "installing the tools of the contract tests"
	@rm -rf .local/contract && $(UV) --python $(BIN)/python --target .local/contract -r $<
	@touch $@

.local/openapi/.ready: infra/toolchain/openapi/package.json infra/toolchain/openapi/package-lock.json $(BIN)/.run
	@echo "installing the tools of the OpenAPI document: linters, clients and a browser"
	@mkdir -p .local/openapi && cp infra/toolchain/openapi/package.json infra/toolchain/openapi/package-lock.json .local/openapi/
	@$(BIN)/npm ci --prefix .local/openapi --silent --no-audit --no-fund --no-update-notifier
	@touch $@

.local/awscli/.ready: infra/toolchain/awscli.txt $(BIN)/.test
	@echo "installing the AWS command line"
	@rm -rf .local/awscli && mkdir -p .local && $(BIN)/python -m venv --without-pip .local/awscli && \
		$(UV) --python .local/awscli/bin/python -r $<
	@touch $@

.local/lint/.ready: infra/toolchain/lint.txt $(BIN)/.run
	@echo "installing cfn-lint and checkov"
	@rm -rf .local/lint && mkdir -p .local && $(BIN)/python -m venv --without-pip .local/lint && \
		$(UV) --python .local/lint/bin/python -r $<
	@touch $@

# `shipped` holds what the functions bring to AWS: the packages whose licences bind, and the bill of materials.
.local/audit/.ready: infra/toolchain/audit.txt $(SHIPPED) $(BIN)/.run
	@echo "installing the tools of \`make audit\`"
	@rm -rf .local/audit && mkdir -p .local/audit && for env in tools shipped; do \
		$(BIN)/python -m venv --without-pip .local/audit/$$env || exit; done
	@$(UV) --python .local/audit/tools/bin/python -r $<
	@$(UV) --python .local/audit/shipped/bin/python $(SHIPPED:%=-r %)
	@touch $@

.local/node/.ready: infra/toolchain/package.json infra/toolchain/package-lock.json $(BIN)/.run
	@echo "installing the CDK command line"
	@mkdir -p .local/node && cp infra/toolchain/package.json infra/toolchain/package-lock.json .local/node/
	@$(BIN)/npm ci --prefix .local/node --silent --no-audit --no-fund --no-update-notifier
	@touch $@
