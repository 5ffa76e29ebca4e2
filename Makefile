# `make compare` and `make test` do everything on a machine that has only Python (3.11 to 3.13) and make.
# Where python3 is another version: make compare PYTHON=python3.13
# Beside an environment that is there: make test PYTHON=python3.13 VENV=.venv-3.13
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOCK := requirements.lock
PIP := $(BIN)/python -m pip --disable-pip-version-check install --constraint $(LOCK)
PYTEST := $(BIN)/python -m pytest -rs
SAY := @printf '\n== %s\n'

.PHONY: compare test quick fuzz lowest coverage sdks sdk-tests prove pictures lock clean

compare: $(VENV)/installed
	$(SAY) "The reactor and a simulated judge on kimera-everyday, the embedded dataset"
	$(BIN)/python -m benchmarks.llm_compare --simulate --max-pairs 0 --async 8
	$(SAY) "A comparison with a real model, kept whole: docs/real-judge.md"

test: $(VENV)/installed-dev
	$(SAY) "1 of 4: ruff's rules"
	$(BIN)/ruff check .
	$(SAY) "2 of 4: ruff's format"
	$(BIN)/ruff format --check .
	$(SAY) "3 of 4: types, by mypy"
	$(BIN)/mypy
	$(SAY) "4 of 4: the tests, in two processes: some minutes; at the end of a line, how many are done"
	$(PYTEST) -n 2 --dist loadfile

# The tests that need neither a browser nor Ray nor more than a second each: under a minute.
quick: $(VENV)/installed-dev
	$(SAY) "The quick tests, in two processes: under a minute; at the end of a line, how many are done"
	$(PYTEST) -n 2 --dist loadfile -m "not slow and not browser and not ray" $(TESTS)

# New examples for every property, for half an hour or as told: make fuzz MINUTES=5. A finding again: make fuzz SEED=7
fuzz: $(VENV)/installed-dev
	$(BIN)/python tests/fuzz.py --minutes $(or $(MINUTES),30) $(if $(SEED),--seed $(SEED)) $(ARGS)

# A comparison, and the quick tests of what calls other libraries, with the lowest versions that pyproject.toml allows, on
# Python 3.11, in a place of their own.
lowest:
	$(MAKE) compare quick VENV=$(VENV)-lowest LOCK=requirements-lowest.txt \
		TESTS="tests/models tests/detectors tests/cache tests/files tests/judge tests/test_openai_async.py"

# Which lines the tests run, those of processes that they start too.
coverage: $(VENV)/installed-dev
	$(PYTEST) -n 2 --dist loadfile --cov --cov-report term --cov-report html

# The formats of the protocols against the types and clients of the providers' own SDKs, which are installed into a place
# of their own, in the newest version: a published format that has changed shows here.
sdks:
	$(MAKE) sdk-tests VENV=$(VENV)-sdks

sdk-tests: $(VENV)/installed-dev
	$(BIN)/python -m pip --disable-pip-version-check install --upgrade anthropic openai google-genai systemone-client
	$(PYTEST) tests/judge/test_provider_sdks.py

# Measures the judge pipeline and the statistics at full size: three quarters of an hour. ARGS="memory faults" for some, ARGS=--small for a glance.
prove: $(VENV)/installed
	$(BIN)/python -m benchmarks.perf.prove $(ARGS)

# Makes the pictures of the kept report in docs/; needs chromium.
pictures: $(VENV)/installed-dev
	$(BIN)/python -m benchmarks.perf.report_pictures

# setuptools builds the package, and is pinned as well: the build is not isolated, since pip's would take the newest.
$(VENV)/installed: pyproject.toml $(LOCK)
	$(SAY) "Installing into $(VENV), with the versions of $(LOCK): a minute or more"
	$(PYTHON) -m venv $(VENV)
	$(PIP) setuptools
	$(PIP) --no-build-isolation --editable .
	touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(SAY) "Installing what the tests need into $(VENV)"
	$(PIP) --no-build-isolation --editable ".[dev]"
	touch $@

# The newest versions that pyproject.toml and constraints.txt allow, for every Python and system, and the lowest.
# UPGRADE= keeps what is pinned and still fits.
UPGRADE := --upgrade
COMPILE := $(VENV)-lock/bin/uv pip compile --quiet --custom-compile-command "make lock" --no-config --strip-extras \
	--all-extras --annotation-style line --constraint constraints.txt --override $(VENV)-lock/overrides.txt pyproject.toml
lock:
	$(PYTHON) -m venv $(VENV)-lock
	@# The packages of deep-offline ask for an add-on of Orange, which nothing here uses: docs/dependencies.md.
	printf 'aait; python_version < "3"\n' >$(VENV)-lock/overrides.txt
	$(VENV)-lock/bin/pip install --quiet --disable-pip-version-check uv==0.13.9
	$(COMPILE) $(UPGRADE) --universal --python-version 3.11 --output-file requirements.lock
	$(COMPILE) $(UPGRADE) --resolution lowest-direct --only-binary :all: --python-version 3.11 --python-platform linux \
		--output-file requirements-lowest.txt
	for version in 3.11 3.12 3.13; do \
		$(COMPILE) --constraint requirements.lock --only-binary :all: --python-version $$version >/dev/null \
		&& echo "resolves to wheels on Python $$version" || exit 1; done

clean:
	rm -rf .venv .venv-* build dist *.egg-info
