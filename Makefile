# Both `make demo` and `make test` work as the first command on a fresh machine.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
CONSTRAINTS := -c constraints.txt
DEMO_OUT ?= demo

.PHONY: help install dev system demo test lint types contracts unit docs wheel bench validate clean

help:
	@echo "make demo   install, make a phantom study as DICOM, measure it, compare with the truth"
	@echo "make test   install what the tests need, then run all checks"
	@echo "make bench  ratios against peers and limits (docs/validation/performance.md)"
	@echo "make validate  accuracy tables of docs/validation"
	@echo "make docs   build the documentation into docs/_build/html"
	@echo "make lint   ruff, codespell, mypy, import contracts"

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'eprimg needs Python 3.11 or newer')"
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --upgrade $(CONSTRAINTS) pip
	$(PIP) install --quiet $(CONSTRAINTS) -e .
	touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(PIP) install --quiet $(CONSTRAINTS) --group dev
	touch $@

install: $(VENV)/installed

dev: $(VENV)/installed-dev

# The DICOM validator is a system package; CI installs it, elsewhere the test says that it is absent.
system:
	@command -v dciodvfy >/dev/null 2>&1 || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then \
	    apt-get update -qq && apt-get install -y -qq --no-install-recommends dicom3tools >/dev/null; \
	  else echo "dciodvfy (Debian package dicom3tools) is absent: its test will be skipped"; fi; }

demo: install
	$(BIN)/eprimg demo --out $(DEMO_OUT) --overwrite

lint: dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell eprimg plugins phantoms tests docs README.md CHANGELOG.md CONTRIBUTING.md
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: dev system
	$(BIN)/python -m pytest --cov --cov-report=term -p no:cacheprovider

docs: dev
	$(BIN)/python docs/generate.py
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html
	@echo "documentation: docs/_build/html/index.html"

# The wheel must work without the source tree: an empty environment, another folder.
wheel: dev
	rm -rf build/wheel && mkdir -p build/wheel
	$(BIN)/python -m build --quiet --wheel --outdir build/wheel .
	$(PYTHON) -m venv build/wheel/venv
	build/wheel/venv/bin/python -m pip --disable-pip-version-check install --quiet $(CONSTRAINTS) build/wheel/*.whl
	cd build/wheel && venv/bin/eprimg demo --out demo

test: lint unit docs wheel

# The peers of the benchmarks are heavy, so they are installed only here.
$(VENV)/installed-bench: $(VENV)/installed-dev
	$(PIP) install --quiet $(CONSTRAINTS) --group bench
	touch $@

bench: $(VENV)/installed-bench
	$(BIN)/python -m tests.benchmarks.run_all

validate: dev
	$(BIN)/python -m tests.kernels.r2star_reference_object
	$(BIN)/python -m tests.validation.phantom_page

clean:
	rm -rf build docs/_build docs/reference/generated $(VENV)
