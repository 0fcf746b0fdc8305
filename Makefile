# make demo        play GAN and MAD-GAN on a ring of Gaussians and on handwritten digits;
#                  EXTRA=cuda13, cuda12 or tpu installs JAX for an accelerator
# make test        lint, types, default tests
# make test-slow   the long tests
# make docs        the site, into runs/site
PYTHON ?= python3
BIN := .venv/bin
# Only what is imported is worth compiling: half a minute less.
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile

# Without byte code each process compiles what it imports: four seconds of every start.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-slow docs lint types clean
demo: .venv/demo$(EXTRA)
	$(BIN)/ganjax reproduce mad_gan/demo --out runs/demo --overwrite

# mypy takes one core for half a minute: beside the tests, and what it found is said after theirs.
test: lint
	@$(BIN)/mypy > .venv/mypy.txt 2>&1 & types=$$!; $(BIN)/pytest -n 2 --dist worksteal; tests=$$?; \
	wait $$types; typed=$$?; cat .venv/mypy.txt; rm .venv/mypy.txt; exit $$((tests ? tests : typed))

test-slow: .venv/test
	$(BIN)/pytest -m slow

docs: .venv/docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet
	@echo runs/site/index.html

lint: .venv/test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/test
	$(BIN)/mypy

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "ganjax needs Python 3.11 or newer; say make PYTHON=python3.12, for example")'
	$(PYTHON) -m venv .venv

.venv/demo$(EXTRA): pyproject.toml | .venv/bin/python
	$(INSTALL) -e '.$(EXTRA:%=[%])'
	touch $@

.venv/test: pyproject.toml | .venv/bin/python
	$(INSTALL) -e '.[test]'
	touch $@ .venv/demo

.venv/docs: pyproject.toml | .venv/bin/python
	$(INSTALL) -e '.[docs]'
	touch $@ .venv/demo

clean:
	rm -rf .venv runs .mypy_cache .ruff_cache .pytest_cache .hypothesis
