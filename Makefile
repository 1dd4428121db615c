# Every target sets itself up: `.venv` is made once, from hash-checked packages, and again when they change.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help demo test check lint types layers sources links docs bench lock clean
help:
	@echo "make demo   the whole story on this machine, on real sockets"
	@echo "make test   every test: fast ones first, then third-party judges, then browsers"
	@echo "make check  lint, types, layers, sources, links; each is a target of its own"
	@echo "make bench  the side-by-side benchmarks (all, or: make bench ARGS='NAME …')"
	@echo "make docs   build the documentation as a site in build/site; any warning fails it"
	@echo "make lock   pin the dependencies of pyproject.toml anew in constraints.txt"

demo: $(READY)
	@$(BIN)/twoway demo $(ARGS)

test: $(READY)
	@$(BIN)/python -m pytest --cov --cov-report=term $(ARGS)

check: lint types layers sources links

lint: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(READY)
	@$(BIN)/mypy

layers: $(READY)
	@$(BIN)/lint-imports

sources: $(READY)
	@$(BIN)/python -m tools.check_sources

bench: $(READY)
	@$(BIN)/python -m bench $(ARGS)

links: $(READY)
	@$(BIN)/python -m tools.check_docs
	@$(BIN)/python -m tools.failures --check

docs: links
	@$(BIN)/python -m tools.docsite build/site

lock:
	@tools/lock

clean:
	rm -rf $(VENV) dist build .coverage .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(READY): constraints.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "twoway needs Python 3.11 or later, and '$(PYTHON)' is not:" >&2; \
		$(PYTHON) --version >&2; echo "name another one: make PYTHON=python3.12 …" >&2; exit 1; }
	@echo "setting up $(VENV), once" >&2
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { \
		echo "'$(PYTHON) -m venv' failed; Debian and Ubuntu have it in the package python3-venv" >&2; exit 1; }
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes -r constraints.txt
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
