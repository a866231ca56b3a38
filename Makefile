# Every target sets up .venv first where it is missing, half-made or outdated.
# PYTHON=/path/to/python3.11 picks the interpreter for that.
PY := .venv/bin/python
PYTEST_ARGS ?=
# A process a core and a thread each: tiny tensors gain nothing from more.
PYTEST := OMP_NUM_THREADS=1 $(PY) -m pytest -n auto
export PYTHON

.PHONY: help env demo test test-slow lint docs clean
.NOTPARALLEL:

help:
	@echo 'make demo       train and compare a detector by local learning and by BP'
	@echo 'make test       run the tests except the slow ones (PYTEST_ARGS=...)'
	@echo 'make test-slow  run the slow tests'
	@echo 'make lint       check style, spelling and the Dockerfile'
	@echo 'make docs       build the pages of docs/ into site/'
	@echo 'make env        only set up .venv'
	@echo 'make clean      remove caches and build leftovers, but not .venv'

env:
	@bash tools/setup_env.sh

demo: env
	$(PY) tools/demo.py

test: env
	$(PYTEST) -m 'not slow' tests $(PYTEST_ARGS)

test-slow: env
	$(PYTEST) -m slow tests $(PYTEST_ARGS)

lint: env
	@$(PY) -m pip install -q -r requirements/dev.txt -c requirements/lock.txt
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m codespell_lib
	.venv/bin/hadolint Dockerfile

docs: env
	@$(PY) -m pip install -q -r requirements/docs.txt -c requirements/lock.txt
	NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --strict

clean:
	rm -rf build dist site .hypothesis .pytest_cache .ruff_cache
	find . -name .venv -prune -o -name __pycache__ -exec rm -rf {} +
