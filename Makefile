# `make` alone lists the targets. Needed: Python 3.11 or newer with pip, and make; all else comes with `make install`.

PYTHON ?= python3
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed
PEERS := $(VENV)/peers
REPORT := batchlab-report.html

.DEFAULT_GOAL := help
.PHONY: help install study test check format-check lint types dependencies format bench evidence

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  Another Python: make install PYTHON=python3.12. Options for the tool: make test ARGS='-k store'."

install: $(STAMP) ## make .venv with batchlab and its tools, at the versions of constraints.txt

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "batchlab needs Python 3.11 or newer, and $(PYTHON) is $$($(PYTHON) --version 2>/dev/null || echo missing);" \
	    "name another one: make $(or $(MAKECMDGOALS),install) PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $(STAMP)

study: $(STAMP) ## run a study of handwritten digits and write batchlab-report.html
	$(BIN)/batchlab study digits-mlp --batch-sizes 8:512 --seeds 20 --report $(REPORT) $(ARGS)

test: $(STAMP) ## run the tests
	$(BIN)/python -m pytest -n 2 $(ARGS)

check: format-check lint types dependencies test ## what review runs: format, lint, types, dependencies, tests

format-check: $(STAMP)
	$(BIN)/ruff format --check .

lint: $(STAMP)
	$(BIN)/ruff check .

types: $(STAMP)
	$(BIN)/mypy

dependencies: $(STAMP)
	$(BIN)/deptry src

format: $(STAMP) ## format the code and mend what lint can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(STAMP) ## run every benchmark in short, to look at: a few minutes
	$(BIN)/python benchmarks/tuning_noise.py --repetitions 100
	$(BIN)/python benchmarks/controls.py --studies 3
	$(BIN)/python benchmarks/kill_resume.py --kills 2
	$(BIN)/python benchmarks/noise_scale_coverage.py --repetitions 200
	$(BIN)/python benchmarks/tradeoff_coverage.py --repetitions 50
	$(BIN)/python benchmarks/search_simulated.py --worlds 10 --controls 10
	$(BIN)/python benchmarks/noise_overhead.py --steps 200
	$(BIN)/python benchmarks/gradient_norm_law.py --draws 200
	$(BIN)/python benchmarks/loop_overhead.py --pairs 1 --steps 200
	$(BIN)/python benchmarks/engine.py --short
	$(BIN)/python benchmarks/roofline.py --short
	$(BIN)/python benchmarks/scaling.py --short
	$(BIN)/python benchmarks/regret.py --short
	$(BIN)/python benchmarks/answer_cost.py --short

evidence: $(PEERS) ## run every benchmark in full and write what it found under evidence/: some two hours
	$(BIN)/python benchmarks/tuning_noise.py --write
	$(BIN)/python benchmarks/controls.py --write
	$(BIN)/python benchmarks/kill_resume.py --write
	$(BIN)/python benchmarks/faults.py --write
	$(BIN)/python benchmarks/noise_scale_coverage.py --write
	$(BIN)/python benchmarks/tradeoff_coverage.py --write
	$(BIN)/python benchmarks/search_simulated.py --write
	$(BIN)/python benchmarks/quadratic_end_to_end.py --write
	$(BIN)/python benchmarks/noise_overhead.py --write
	$(BIN)/python benchmarks/gradient_norm_law.py --write
	$(BIN)/python benchmarks/find_max.py --write
	$(BIN)/python benchmarks/loop_overhead.py --write
	$(BIN)/python benchmarks/engine.py --write
	$(BIN)/python benchmarks/roofline.py --write
	$(BIN)/python benchmarks/scaling.py --write
	$(BIN)/python benchmarks/regret.py --write
	$(BIN)/python benchmarks/answer_cost.py --write
	$(BIN)/python benchmarks/performance_page.py
	$(BIN)/python benchmarks/quality_page.py

$(PEERS): $(STAMP)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,bench]'
	@touch $(PEERS)
