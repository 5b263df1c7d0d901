# `make race` and `make test` each need nothing but Python 3.11 to 3.13: they make .venv first.
PYTHON ?= python3
# Without a GPU, torch's small CPU build: make race PIP_FLAGS="--extra-index-url https://download.pytorch.org/whl/cpu"
PIP_FLAGS ?=
READY := .venv/ready
# Two processes, each taking whole files: a rule is compiled once in a process.
PYTEST := .venv/bin/pytest -q -n 2 --dist loadfile

.PHONY: race test test-slow test-without-numba lint bench clean

race: $(READY)
	.venv/bin/thalweg race

test: $(READY)
	$(PYTEST)

test-slow: $(READY)
	.venv/bin/pip install -q $(PIP_FLAGS) -c constraints.txt -e ".[integrations]"
	$(PYTEST) -m slow

# What a user sees on a machine that numba does not fit: the folder holds a numba that cannot be imported. Steps on lists
# of tensors never have it.
test-without-numba: $(READY)
	PYTHONPATH=tests/without_numba $(PYTEST) -W "ignore:numba cannot be used" tests/optim \
		--ignore-glob "*/test_foreach_*" --ignore-glob "*/test_compiled*"

lint: $(READY)
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy

bench: $(READY)
	.venv/bin/pip install -q $(PIP_FLAGS) -c constraints.txt -e ".[bench]"
	.venv/bin/python benchmarks/optimizer_step.py --compiled --out benchmarks/optimizer_step.txt
	.venv/bin/python benchmarks/stacked_step.py --out benchmarks/stacked_step.txt
	.venv/bin/python benchmarks/cohort.py --out benchmarks/cohort.txt
	.venv/bin/python benchmarks/swarm_gradient.py --out benchmarks/swarm_gradient.txt
	.venv/bin/python benchmarks/position_wise.py --out benchmarks/position_wise.txt
	.venv/bin/python benchmarks/search.py --out benchmarks/search.txt
	.venv/bin/python benchmarks/bbob.py --out benchmarks/bbob.txt

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv --clear .venv
	.venv/bin/pip install -q $(PIP_FLAGS) -c constraints.txt -e ".[test,lint]"
	touch $(READY)

clean:
	rm -rf .venv race-store race.html
