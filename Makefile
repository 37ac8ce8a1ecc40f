# Two commands from a clone:
#   make demo   sets up and runs the main job on the embedded sample
#   make test   sets up, then lint, types and tests
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test clean

demo:
	@PYTHON=$(PYTHON) scripts/setup.sh demo
	$(BIN)/napari-mrisr demo

test:
	@PYTHON=$(PYTHON) scripts/setup.sh test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -n auto --maxprocesses 4 --dist loadfile

clean:
	rm -rf .venv build dist
