# `make demo` and `make test` do everything on a fresh clone: they install what is missing, then run.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := runs/demo

.PHONY: install demo test lint types contract docs suite clean

install: $(VENV)/installed

$(VENV)/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; v >= (3, 11) or sys.exit("Ninefold needs Python 3.11 or newer and found %d.%d; name another: make PYTHON=python3.12" % v)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check -q -c constraints.txt -e '.[dev]'
	@touch $@

demo: install
	rm -rf $(DEMO)
	$(BIN)/ninefold train lenet5 --data digits --epochs 40 --augment shift,rotate --out $(DEMO)
	$(BIN)/ninefold evaluate $(DEMO)
	$(BIN)/ninefold data digits --pictures $(DEMO)/pictures --count 1
	$(BIN)/ninefold predict $(DEMO) $(DEMO)/pictures/*.png
	@echo "report.json, curves.png, confusion.png and predictions.csv are in $(DEMO)"

test: lint types contract docs suite

lint: install
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: install
	$(BIN)/mypy

contract: install
	$(BIN)/lint-imports

docs: install
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

suite: install
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist worksteal

clean:
	rm -rf $(VENV) build dist site .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
