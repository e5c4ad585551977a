# Both `make demo` and `make test` work as the first command on a fresh machine.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
CONSTRAINTS := -c constraints.txt
DEMO_OUT ?= demo

.PHONY: help install dev system demo test lint warm unit windows docs wheel bench bench-gui soak validate clean

help:
	@echo "make demo   install, make a phantom study as DICOM, measure it, compare with the truth"
	@echo "make test   install what the tests need, then run all checks"
	@echo "make windows  only the tests of the reading room, driven by mouse and keyboard"
	@echo "make bench  ratios against peers and limits (docs/validation/performance.md)"
	@echo "make bench-gui  how long the windows take (docs/validation/windows.md)"
	@echo "make soak   the batch engine under kill -9, a full disk and SLURM (docs/validation/batch.md)"
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

# What the tests need beyond Python: a DICOM validator, and a screen in memory with software OpenGL for
# the windows.  Installed where that is possible; elsewhere the tests that need them say so (and fail in CI).
GLIB := $(shell apt-cache show libglib2.0-0t64 >/dev/null 2>&1 && echo libglib2.0-0t64 || echo libglib2.0-0)
SYSTEM_PACKAGES := dicom3tools xvfb xauth libegl1 libdbus-1-3 libfontconfig1 $(GLIB) libxkbcommon0 \
  libxkbcommon-x11-0 libxcb-cursor0 libxcb-icccm4 libxcb-keysyms1 libxcb-shape0
system:
	@dpkg -s $(SYSTEM_PACKAGES) >/dev/null 2>&1 || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
	      apt-get install -y -qq --no-install-recommends $(SYSTEM_PACKAGES) >/dev/null; \
	  else echo "some of these system packages are absent, tests that need them are skipped:"; \
	    echo "$(SYSTEM_PACKAGES)"; fi; }

demo: install
	$(BIN)/eprimg demo --out $(DEMO_OUT) --overwrite

lint: dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell eprimg plugins phantoms tests docs README.md CHANGELOG.md CONTRIBUTING.md
	$(BIN)/mypy
	$(BIN)/lint-imports

# The longest files first, so that no worker is left alone with one at the end.  Three workers for two
# cores: the tests of windows and processes often wait.  Coverage is counted over the other tests alone,
# because counting makes these slow ones slower still; what only they reach counts as not covered.
SLOW := tests/gui/test_reading_from_open_to_report.py tests/soak tests/end_to_end tests/gui tests/plugins
# One thread each for BLAS: three workers with two threads each would only wait for one another.
PYTEST := OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -p no:cacheprovider -n 3 --dist loadfile --no-loadscope-reorder

# Done once before the workers start, because each of them would do it for itself: kernels are compiled,
# and the assertions of the tests are rewritten (kept as bytecode, which some images switch off).
export PYTHONDONTWRITEBYTECODE :=
warm: dev
	OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 $(BIN)/python -m tests.warm_kernels
	@$(BIN)/python -m pytest -p no:cacheprovider --collect-only -qq tests >/dev/null 2>&1 || true

unit: dev system warm
	$(PYTEST) $(SLOW)
	$(PYTEST) -n 4 --cov --cov-report=term $(SLOW:%=--ignore=%) tests

windows: dev system warm
	$(PYTEST) tests/gui tests/plugins

docs: dev
	$(BIN)/python docs/generate.py
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html
	@echo "documentation: docs/_build/html/index.html"

# The wheel must work without the source tree: an empty environment, another folder.
wheel: dev
	rm -rf build/wheel && mkdir -p build/wheel
	$(BIN)/python -m build --quiet --wheel --outdir build/wheel .
	$(PYTHON) -m venv build/wheel/venv
	build/wheel/venv/bin/python -m pip --disable-pip-version-check install --quiet --no-compile $(CONSTRAINTS) build/wheel/*.whl
	cd build/wheel && venv/bin/eprimg demo --out demo

# Lint, documentation and wheel run beside the tests, which often wait for a window or a process; what
# they say is shown when they are done.
test: dev system
	@mkdir -p build
	@( $(MAKE) --no-print-directory lint docs wheel >build/checks.log 2>&1; \
	   echo $$? >build/checks.result; cat build/checks.log ) & \
	$(MAKE) --no-print-directory unit; unit=$$?; wait; \
	checks=$$(cat build/checks.result); \
	[ $$checks = 0 ] || echo "lint, documentation or wheel failed: build/checks.log"; \
	[ $$unit = 0 ] || echo "tests failed"; \
	[ $$unit = 0 ] && [ $$checks = 0 ]

# The peers of the benchmarks are heavy, so they are installed only here.
$(VENV)/installed-bench: $(VENV)/installed-dev
	$(PIP) install --quiet $(CONSTRAINTS) --group bench
	touch $@

bench: $(VENV)/installed-bench
	$(BIN)/python -m tests.benchmarks.run_all

# The windows' times, on a screen in memory with software OpenGL.
bench-gui: dev system
	xvfb-run -a -s "-screen 0 1600x1000x24" $(BIN)/python -m tests.benchmarks.bench_gui

# Sixty studies, ten of them bad, with everything killed that can be killed; and a SLURM of one node.
soak: dev
	$(BIN)/python -m tests.soak

# With the peers, so that the side by side is whole.
validate: $(VENV)/installed-bench
	$(BIN)/python -m tests.kernels.r2star_reference_object
	$(BIN)/python -m tests.validation.r2star_errors_page
	$(BIN)/python -m tests.validation.r2star_peers_page
	$(BIN)/python -m tests.validation.phantom_page
	$(BIN)/python -m tests.validation.fat_water_page
	$(BIN)/python -m tests.validation.field_gradient_page
	$(BIN)/python -m tests.validation.segmentation_page
	$(BIN)/python -m tests.validation.partial_volume_page
	$(BIN)/python -m tests.validation.kinetics_page
	$(BIN)/python -m tests.validation.suv_page
	$(BIN)/python -m tests.validation.click_page
	$(BIN)/python -m tests.validation.contours_page
	$(BIN)/python -m tests.validation.carry_page
	$(BIN)/python -m tests.validation.real_pet_mr_page
	$(BIN)/python -m tests.validation.registration_page
	$(BIN)/python -m tests.validation.registration_bent_page
	$(BIN)/python -m tests.validation.registration_peers_page
	$(BIN)/python -m tests.validation.registration_qc_page
	$(BIN)/python -m tests.validation.voxelwise_dr2star_page
	$(BIN)/python -m tests.validation.accuracy_page

clean:
	rm -rf build docs/_build docs/reference/generated $(VENV)
