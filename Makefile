# `make compare` and `make test` do everything on a machine that has only Python (3.11 to 3.13) and make.
# Where python3 is another version: make compare PYTHON=python3.13
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: compare test prove pictures clean

compare: $(VENV)/installed
	$(BIN)/python -m benchmarks.llm_compare --simulate --max-pairs 0 --async 8

test: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n 2 --dist loadfile

# Measures the judge pipeline and the statistics at full size: half an hour. ARGS="memory faults" for some, ARGS=--small for a glance.
prove: $(VENV)/installed
	$(BIN)/python -m benchmarks.perf.prove $(ARGS)

# Makes the pictures of a report in docs/; needs chromium.
pictures: $(VENV)/installed-dev
	$(BIN)/python -m benchmarks.perf.report_pictures

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info
