# make demo   a search of real networks on this machine; results in runs/demo/
# make test   every test            make check  format, lint, types, import rules
# make gpu-report   latency and training speed on this machine's NVIDIA GPU, written to docs/results/
# make venv   the environment alone, with every extra that installs here

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := runs/demo
# A folder with real tables of trained architectures; tests that need one skip without it.
TABLES ?=
SOURCES := optuna_pop profiling trainables tests benchmarks examples hub
POP := $(CURDIR)/$(BIN)/optuna-pop
STREETS := --data-set height=64 --data-set width=128 --data-set train_images=128 --recipe streets-demo --set epochs=2
STUDY := --storage sqlite:///study.db --study demo
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
MAKEFLAGS += --no-print-directory

.PHONY: demo venv test check format clean gpu-report

demo: $(VENV)/.all
	@mkdir -p $(DEMO)
	@cd $(DEMO) && $(POP) search --space demo --data digits --table latency.json --trials 16 --artifacts artifacts $(STUDY)
	@cd $(DEMO) && $(POP) search decoder --backbone df1 --data streets $(STREETS) --table decoder.json --trials 5 --artifacts artifacts --storage sqlite:///study.db --study decoder
	@cd $(DEMO) && $(POP) boundary --csv boundary.csv --png boundary.png $(STUDY) > boundary.txt
	@cd $(DEMO) && $(POP) report $(STUDY) --out report.html
	@echo "Next: open $(DEMO)/report.html, or the studies in a browser:" \
		"$(BIN)/optuna-pop dashboard --storage sqlite:///$(DEMO)/study.db"

venv: $(VENV)/.all
	@echo "The environment is ready: activate it with 'source $(BIN)/activate', then 'optuna-pop --help'."

test: $(VENV)/.dev
	@sh tests/system.sh
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 $(if $(TABLES),--tables=$(TABLES))
	@echo "All tests passed. Next: CONTRIBUTING.md says how to add a block, data set, engine or space."

gpu-report: $(VENV)/.dev
	@$(BIN)/python -m pytest -m gpu -rs
	@$(BIN)/python -m benchmarks.gpu_report

check: $(VENV)/.dev
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.dev
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "optuna-pop needs Python 3.11 or newer; name one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.all: $(VENV)/bin/python pyproject.toml setup.cfg constraints.txt
	@echo "Installing pinned versions into $(VENV) (one to two minutes) ..."
	@$(PIP) -e '.[all]'
	@touch $@

$(VENV)/.dev: $(VENV)/.all
	@$(PIP) -e '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
