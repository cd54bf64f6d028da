# What people type. `make site` and `make check` need Python 3.11 or later, make and git; nothing else.

PYTHON ?= python3
BIN := .venv/bin
# Tests run in one process more than there are cores: some of them wait.
WORKERS := $(shell $(PYTHON) -c 'import os; print((os.cpu_count() or 1) + 1)')
# Material prints a notice about its successor at every build: whoever maintains the site knows it.
export NO_MKDOCS_2_WARNING := 1

.DEFAULT_GOAL := site
.NOTPARALLEL: # what is timed runs alone
.PHONY: site check check-deep bench miniatures reference reference-methods serve clean

# The environment: exact versions from constraints.txt, made again when they change.
.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

# Measure what is missing on this machine, write docs/, build the HTML into site/.
site: .venv/ready
	$(BIN)/gen build
	$(BIN)/mkdocs build --strict

# Format, lint, types, imports, tests and a strict build of the site.
check: .venv/ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile
	$(BIN)/mkdocs build --strict --site-dir build/checked-site

# What takes longer: pages in a browser, longer fuzzing and kill loops.
check-deep: .venv/ready
	tests/deep/run.sh

# Ratios of time and memory against peers, on an otherwise idle machine: up to an hour, 14 GB of disk.
# One alone is `make bench-latency`; `make -k bench` goes on after a target that was missed.
bench: $(addprefix bench-,start evaluation log_likelihood latency selection streaming methods)

bench-%: .venv/ready
	$(BIN)/python -m bench.$*

# The same pages in a browser.
serve: .venv/ready
	$(BIN)/gen build --open

# Train the bundled miniatures again: about a quarter of an hour on two cores.
miniatures: .venv/ready
	$(BIN)/python -m experiments.recipes.miniatures.grammar
	$(BIN)/python -m experiments.recipes.miniatures.train

# Fetch and train the reference models, measure and record them: two hours and a half on two cores. GLUE_DIR or a network.
reference: .venv/ready
	$(BIN)/python -m experiments.recipes.reference.make
	$(BIN)/gen build --study studies/reference.toml --docs build/reference-docs
	$(BIN)/gen record --study studies/reference.toml

# Compare pruning methods on SmolLM2's own weights and publish that: some hours on two cores, needing nothing else made.
reference-methods: .venv/ready
	$(BIN)/python -m experiments.recipes.reference.make build/reference SmolLM2-135M-Instruct.Q4_1.gguf
	$(BIN)/gen build --study studies/methods-smollm2.toml --docs build/methods-docs
	$(BIN)/gen record --study studies/methods-smollm2.toml

clean:
	rm -rf site build results
