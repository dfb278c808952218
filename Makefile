# make demo: set up and run the main job.  make reproduce: train the catalogue.  make test: check everything.
PYTHON ?= python3
BIN := .venv/bin
STORAGE ?= lawsweep-data
SEED ?= 1
GPU_PYTHON ?= python3
# one more than processors, up to eight: tests on Ray wait for other processes most of their time
TEST_PROCESSES ?= $(shell n=$$(getconf _NPROCESSORS_ONLN); echo $$((n < 7 ? n + 1 : 8)))

.PHONY: demo reproduce test bench bench-gpu chaos chaos-release setup setup-dev clean

demo: setup
	$(BIN)/lawsweep launch quickstart --storage $(STORAGE)
	$(BIN)/lawsweep launch square-width --storage $(STORAGE)
	$(BIN)/lawsweep report quickstart --storage $(STORAGE)
	$(BIN)/lawsweep report square-width --storage $(STORAGE)

# all sweeps of CPU scale, in 77 minutes on two cores; the same command goes on after an interruption
reproduce: setup
	$(BIN)/lawsweep reproduce --storage $(STORAGE) --out RESULTS.md

test: setup-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/pytest -n $(TEST_PROCESSES) --dist loadgroup --durations=25

bench: setup-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.benchmarks.bench_trainers $(if $(JSON),--json $(JSON))
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.benchmarks.bench_fit
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.benchmarks.bench_laws
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.benchmarks.bench_publish
	$(BIN)/python -m tests.benchmarks.bench_plan
	$(BIN)/python -m tests.benchmarks.bench_cluster
	$(BIN)/python -m tests.benchmarks.bench_launch --many 10000

# on the GPU's machine, with the Python that holds its torch: make bench-gpu GPU_PYTHON=python3
bench-gpu:
	$(GPU_PYTHON) -m tests.benchmarks.bench_gpu $(if $(JSON),--json $(JSON))

# one sweep on a real cluster of three nodes, killed again and again, and then checked
chaos: setup-dev
	$(BIN)/python -m tests.chaos.campaign --kills 100 --trials 64 --seed $(SEED)

chaos-release: setup-dev
	$(BIN)/python -m tests.chaos.campaign --kills 1000 --trials 640 --seed $(SEED)

setup: .venv/ready

setup-dev: .venv/ready-dev

.venv/ready: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .
	touch $@

.venv/ready-dev: .venv/ready
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv build *.egg-info .pytest_cache .ruff_cache .hypothesis .import_linter_cache
