# Two commands from a clone:
#   make demo   sets up and runs the main job on the embedded sample
#   make test   sets up, then lint, types and tests
# The documents, as a site in output/site:
#   make docs
# Speed, which no test depends on:
#   make bench  compares with what a user would pick instead; writes output/bench.json
#   asv run     tracks time and memory over commits (asv.conf.json, benchmarks/tracking)
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test docs bench clean

demo:
	@PYTHON=$(PYTHON) scripts/setup.sh demo
	$(BIN)/napari-mrisr demo

test:
	@PYTHON=$(PYTHON) scripts/setup.sh test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache
# Kernels are compiled beside mypy, so that not each process of the tests compiles its own.
	$(BIN)/napari-mrisr warm --quiet & $(BIN)/mypy; code=$$?; wait $$! && exit $$code
	$(BIN)/pytest -n auto --maxprocesses 4 --dist worksteal

docs:
	@PYTHON=$(PYTHON) scripts/setup.sh docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

bench:
	@PYTHON=$(PYTHON) scripts/setup.sh bench
	$(BIN)/python benchmarks/bench.py --json output/bench.json

clean:
	rm -rf .venv build dist
