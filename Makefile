# Everything a person runs. Each target makes its own environment first; `make demo` and `make test` need only
# Python 3.11 (or newer), git and make.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
export PYTHONPATH := plugins:.
# Airflow sends usage data home unless told otherwise; a checkout does not.
export SCARF_ANALYTICS := false
# What tests write stays in memory where 4 GB of it are set aside for files: a fifth of their time is making files.
IN_MEMORY := $(shell test "$$(df -Pm /dev/shm 2>/dev/null | awk 'NR == 2 { print $$4 }')" -ge 4096 2>/dev/null \
	&& ! grep -q ' /dev/shm .*noexec' /proc/mounts && echo TMPDIR=/dev/shm)

.PHONY: help install demo verify stop ui test test-slow test-browser screenshots docs test-compose test-engines test-server test-cluster test-replicas test-load-balanced test-packaging test-matrix test-lowest dist test-contract env audit chaos interleavings lint lint-js format lock bench bench-curve bench-trigger bench-peers clean

help:
	@echo "make demo                  everything from nothing: gaps found, filled and proved, on generated events"
	@echo "make demo ACCESS_LOG=path  the same on a web server's access log in combined format"
	@echo "make verify                compare the demo's tables with the raw events again"
	@echo "make ui                    Airflow with its UI on the demo's ClickHouse; FRESH=1: on new data with gaps"
	@echo "make stop                  stop the demo's ClickHouse"
	@echo "make test                  all tests but the slow ones; make test-slow: those"
	@echo "make test-compose          the services of docker-compose.yaml by hand; needs redis-server"
	@echo "make test-engines          what older engines do with a replaced day at a restart; installs their wheels"
	@echo "make test-packaging        each way to deploy builds a day: wheel, bundle in git, MWAA, Composer"
	@echo "make test-matrix           LEGS of Airflow × Python; make test-lowest: the oldest versions of all"
	@echo "make dist                  dist/: the wheel, dags.zip and plugins.zip with their checksums"
	@echo "make test-contract         what needs nothing but a ClickHouse, on the one at CLICKHOUSE_TEST_URL"
	@echo "make test-server           these and DAG runs on ClickHouse's own listener, native and over HTTP; needs npm"
	@echo "make test-cluster          two of these listeners as two nodes or shards; needs npm"
	@echo "make test-replicas         the contract, a killed replica and Keeper on a real cluster; needs Docker"
	@echo "make test-load-balanced    several nodes behind one endpoint: those at CLICKHOUSE_TEST_URL, CLICKHOUSE_TEST_CLUSTER"
	@echo "make env                   .env for docker compose, with generated secrets"
	@echo "make test-browser          the coverage page in a real browser; needs Chromium"
	@echo "make screenshots           docs/pictures anew from the real page; needs Chromium"
	@echo "make docs                  the documentation as a site, .site/html; a dead link fails"
	@echo "make chaos TRIALS=200      faults at random instants; SEED=1 chooses them; SERVER=\"listener listener-http\""
	@echo "make interleavings         every stop of every step; PART=3/24; STOPS=2 SAMPLES=5000 SEED=1: two at once; CASE=…: one"
	@echo "make lint, make format     ruff, the layers of the package; make lock: constraints.txt from requirements*.txt"
	@echo "make lint-js               types in the coverage page's scripts; needs npm"
	@echo "make audit                 known vulnerabilities of the locked dependencies; asks the package index"
	@echo "make bench                 benchmarks, or PART=teams|reader|freshness|page|run|events|volume|transport|layouts|shards"
	@echo "make bench-curve           how cost grows with events and teams; docs/scaling.md is made of it; QUICK=1 writes .bench only"
	@echo "make bench-trigger         how soon what a person asks for begins and is done; METADATA=postgres"
	@echo "make bench-peers           the same days filled by this package, dbt and SQLMesh; EVENTS=100000; needs npm, a package index"

install: $(STAMP)

$(STAMP): requirements.txt requirements-deploy.txt requirements-dev.txt constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv==$$(sed -n 's/^uv==//p' constraints.txt)"
	$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode -r requirements-dev.txt -c constraints.txt
	touch $@

demo: install
	$(BIN)/python -m demo run $(if $(ACCESS_LOG),--access-log "$(ACCESS_LOG)")

verify: install
	$(BIN)/python -m demo verify

stop: install
	$(BIN)/python -m demo stop

ui: install
	$(BIN)/python -m demo ui $(if $(FRESH),--fresh)

test: install
	$(IN_MEMORY) $(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow and not compose and not browser and not screenshots and not engines and not packaging and not cluster and not endpoint and not replicas" tests

# What starts an Airflow of its own, or asks how soon something is done, has the machine for itself.
ALONE := tests/chaos tests/demo tests/end_to_end tests/interleavings
test-slow: install
	$(IN_MEMORY) THOROUGH=1 $(BIN)/python -m pytest -n 2 --dist worksteal -m "slow or thorough" $(ALONE:%=--ignore=%) tests
	THOROUGH=1 $(BIN)/python -m pytest -m "slow or thorough" $(ALONE)

test-compose: install
	$(BIN)/python -m pytest -m compose tests/compose

test-browser: install
	$(BIN)/python -m pytest -n 0 -m browser tests/browser

# The pictures in docs/pictures.
screenshots: install
	$(BIN)/python -m pytest -n 0 -m screenshots tests/browser/test_screenshots.py

# The pages keep their places beside each other, so the same links hold in the repository and on the site.
docs: install
	rm -rf .site
	mkdir -p .site/source
	tar -cf - README.md CHANGELOG.md SECURITY.md docs tests/*/README.md | tar -xf - -C .site/source
	$(BIN)/uv tool run --with-requirements requirements-docs.txt zensical build --clean --strict

# Engines that load replaced parts again when they restart.
test-engines: install
	$(BIN)/uv pip install --quiet --no-deps --target .engines/25.5 chdb==3.4.1
	$(BIN)/uv pip install --quiet --no-deps --target .engines/26.5 chdb-core==26.5.0
	OLD_ENGINES="$$PWD/.engines" $(BIN)/python -m pytest -n 2 -m engines tests/engines

test-packaging: install
	$(BIN)/python -m pytest -m packaging tests/packaging

LEGS ?= matrix-3.11(newest) matrix-3.12(3.3.1) matrix-3.11(3.2.2)
# `make test-matrix LEGS="matrix-3.13(newest)"`; all names: .venv/bin/nox --list
test-matrix: install
	$(foreach leg,$(LEGS),$(BIN)/nox --session "$(leg)" &&) true

test-lowest: install
	$(BIN)/nox --session "matrix-3.11(lowest)"

dist: install
	rm -rf dist
	$(BIN)/uv build --quiet --wheel --out-dir dist .
	$(BIN)/python -m distribution.archives dist

# What needs nothing but a ClickHouse: CLICKHOUSE_TEST_URL=clickhouse://USER:PASSWORD@HOST:9000/default
test-contract: install
	$(BIN)/python -m pytest -m "not slow" tests/clickhouse tests/build tests/detection tests/schema \
		tests/tasks/test_cleanup_dag.py tests/tasks/test_validate_dag.py

# The same and more on ClickHouse's own listener, native and over HTTP, which is killed at the end; npm fetches it.
test-server: install
	$(BIN)/python -m tests.servers $(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow and not thorough" \
		tests/clickhouse tests/build tests/detection tests/schema tests/rights tests/tasks/test_backfill_dag.py \
		tests/tasks/test_cleanup_dag.py tests/tasks/test_validate_dag.py tests/teams/test_registry.py
	$(BIN)/python -m tests.servers --http $(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow" tests/clickhouse/test_[chipt]*.py \
		tests/build/test_locks.py tests/schema tests/tasks/test_backfill_dag.py
	$(BIN)/python -m tests.chaos --server listener listener-http --trials 4 --seed 12 \
		--kinds kill_clickhouse kill_task

# Two listeners as two shards.
test-cluster: install
	$(BIN)/python -m pytest -n 0 -m cluster tests/servers

# Two shards of two replicas, three Keepers; needs Docker. After a failure they are left to be looked at, until the last line.
CLUSTER := docker compose --file tests/cluster/compose.yaml
test-replicas: export CLICKHOUSE_PASSWORD = cluster
test-replicas: export CLUSTER_SECRET = cluster
test-replicas: export CLICKHOUSE_TEST_URL = clickhouse://web_analytics:cluster@127.0.0.1:9011/default
test-replicas: export CHAOS_KILL = $(CLUSTER) kill --signal KILL clickhouse-1-1
test-replicas: export CHAOS_START = $(CLUSTER) up --detach --wait clickhouse-1-1
test-replicas: install
	$(CLUSTER) up --detach --wait
	$(MAKE) test-contract
	$(BIN)/python -m pytest -n 0 -m replicas tests/cluster
	$(BIN)/python -m tests.chaos --server given --trials 10 --seed 12 --kinds kill_clickhouse kill_task
	$(CLUSTER) down --volumes

# Several nodes behind the endpoint CLICKHOUSE_TEST_URL, which are the cluster CLICKHOUSE_TEST_CLUSTER.
test-load-balanced: install
	$(BIN)/python -m pytest -n 0 -m endpoint tests/servers

env:
	$(PYTHON) bin/generate-env

chaos: install
	$(BIN)/python -m tests.chaos --trials $(or $(TRIALS),200) --seed $(or $(SEED),1) \
		$(if $(SERVER),--server $(SERVER))

interleavings: install
	$(IN_MEMORY) $(BIN)/python -m tests.interleavings --stops $(or $(STOPS),1) --seed $(or $(SEED),1) \
		$(if $(PART),--part $(PART)) $(if $(JOBS),--jobs $(JOBS)) $(if $(LISTENER),--listener) $(if $(WORLDS),--worlds $(WORLDS)) \
		$(if $(SAMPLES),--samples $(SAMPLES)) $(if $(CASE),--case $(CASE))

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache --no-logo

# The page's scripts have no build step; what npm has checks their types. Not a part of lint, which needs no npm.
lint-js:
	npm install --silent --no-fund --no-audit --no-save --prefix .typescript typescript@5.9.3
	.typescript/node_modules/.bin/tsc --noEmit --allowJs --checkJs --target es2022 --module esnext \
		--lib es2022,dom,dom.iterable plugins/web_analytics/api/coverage/static/*.js

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: install
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate --upgrade \
		requirements-dev.txt -o constraints.txt

audit: install
	$(BIN)/uv tool run --quiet pip-audit --strict --disable-pip --no-deps --requirement constraints.txt

bench: install
	$(BIN)/python -m benchmarks $(if $(QUICK),--quick) $(if $(PART),--part $(PART))

# What the figures say of the machine: make bench-curve MACHINE="8 cores of their own"
bench-curve: install
	$(BIN)/python -m benchmarks.curve $(if $(QUICK),--quick) $(if $(MACHINE),--machine "$(MACHINE)")

bench-trigger: install
	$(BIN)/python -m benchmarks.trigger $(if $(METADATA),--metadata $(METADATA))

bench-peers: install
	$(BIN)/python -m benchmarks.peers $(if $(EVENTS),--events $(EVENTS))

clean: stop
	rm -rf .venv .airflow .demo .bench .chaos .engines .listener .peers
