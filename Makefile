# What a checkout can do with nothing but git, make and Python 3.11 or later (with venv).
#
#   make scan                           the embedded demo
#   make scan IMAGE=app:1.4 INDEX=https://libraries.example/python/simple [UPSTREAM=URL] [ARGS="--min-coverage 90"]
#   make serve [LISTEN=127.0.0.1:8087]  the service, with the demo's image in it; Ctrl-C ends it
#   make test [ARGS="-k config"]        the tests
#   make test-real                      those that build dozens of real projects from PyPI; a quarter of an hour at first
#   make truth SEED=7                   cgscan's word against a corpus of real projects whose truth is known
#   make kills                          the service, killed 50 times under 200 pushes, on SQLite and on PostgreSQL; minutes
#   make loads                          webhooks in bursts and in floods: latencies and memory, which it prints
#   make lint                           ruff and mypy
#   make dev                            a .venv to work in, with the cgscan command
#   make bench [ARGS="--only second"]   cgscan beside its peers and the floor of the hardware; writes docs/performance.md
#   make bench-small                    the same with small images: does the bench work
#   make profile                        where the time of one cold scan goes, as a flame graph
#   make fixtures                       build the demo's image and indexes
#   make docs                           write the parts of docs/ that the code says: helps, tables; man pages to build/man
#   make lock                           resolve requirements/*.txt anew
#   make clean

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
DEMO ?= build/demo
INDEX ?=
UPSTREAM ?=
ARGS ?=
LISTEN ?= 127.0.0.1:8087
SEED ?= 1

BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes
CGSCAN := $(BIN)/python -m scanner
DEMO_SCAN := oci-dir:$(DEMO)/image --index $(DEMO)/chainguard --upstream $(DEMO)/pypi
OWN_SCAN := '$(IMAGE)' $(if $(INDEX),--index '$(INDEX)') $(if $(UPSTREAM),--upstream '$(UPSTREAM)')
COMPILE := uv pip compile pyproject.toml --no-config --default-index https://pypi.org/simple --quiet --upgrade \
	--universal --python-version 3.11 --generate-hashes --custom-compile-command 'make lock'

.PHONY: dev lint test test-real kills loads truth bench bench-small profile fixtures docs scan serve lock clean

scan: $(VENV)/.run $(if $(IMAGE),,fixtures)
	$(CGSCAN) scan $(if $(IMAGE),$(OWN_SCAN),$(DEMO_SCAN)) $(ARGS)

serve: $(VENV)/.serve
	$(BIN)/python -m fixtures.demo_service --listen '$(LISTEN)' $(ARGS) $(DEMO)

bench: $(VENV)/.dev
	$(BIN)/python -m fixtures.bench $(ARGS)

bench-small: $(VENV)/.dev
	$(BIN)/python -m fixtures.bench --small $(ARGS)

profile: $(VENV)/.dev
	$(BIN)/python -m fixtures.bench.flame $(ARGS)

fixtures: $(VENV)/.run
	$(BIN)/python -m fixtures.demo $(DEMO)

docs: $(VENV)/.run
	$(BIN)/python -m fixtures.reference --man build/man

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n auto $(ARGS)

test-real: $(VENV)/.dev
	$(BIN)/python -m pytest -n auto -m real $(ARGS)

kills: $(VENV)/.dev
	$(BIN)/python -m pytest -s -m 'real and large' tests/service/test_kills.py $(ARGS)

loads: $(VENV)/.dev
	$(BIN)/python -m pytest -s -m 'real and large' tests/service/test_loads.py $(ARGS)

truth: $(VENV)/.dev
	$(BIN)/python -m fixtures.truth --seed $(SEED) --out build/truth $(ARGS)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

dev: $(VENV)/.dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .

lock: $(VENV)/.dev
	$(BIN)/$(COMPILE) --output-file requirements/run.txt
	$(BIN)/$(COMPILE) --extra attest --extra attested --output-file requirements/image.txt
	$(BIN)/$(COMPILE) --extra attest --extra attested --extra serve --output-file requirements/service.txt
	$(BIN)/$(COMPILE) --group dev --extra serve --output-file requirements/dev.txt

clean:
	rm -rf build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find scanner tests fixtures -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "no python3 found: set PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or later is needed: set PYTHON=")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: requirements/run.txt | $(BIN)/python
	$(INSTALL) -r requirements/run.txt
	@touch $@

# The larger locks hold the smaller ones' packages at the same versions: all come from one "make lock".
$(VENV)/.serve: requirements/service.txt | $(BIN)/python
	$(INSTALL) -r requirements/service.txt
	@touch $@ $(VENV)/.run

$(VENV)/.dev: requirements/dev.txt | $(BIN)/python
	$(INSTALL) -r requirements/dev.txt
	@touch $@ $(VENV)/.run $(VENV)/.serve
