# The two commands of the README, and what they rest on.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOCK := envs/dev.lock
MODEL ?= lotss-unet
WITHOUT := $(if $(filter no,$(SLOW)), and not slow)
export TF_CPP_MIN_LOG_LEVEL ?= 2

# training of the class network (lotss-classes): length of a leg, cores, and what it goes on from
MINUTES ?= 100
CORES ?= 1
# over which its rate falls to 0: about what it takes in that time, at 0.3 a second and core
STEPS ?= $(shell expr $(MINUTES) \* $(CORES) \* 18)
COMMIT := $(shell git rev-parse --short=6 HEAD 2>/dev/null)
TRAINED := resources/training/lotss-classes
# a leg has its code while it is unfinished, and goes before one of this commit
LEG_NAME = $(notdir $(patsubst %/,%,$(LEG)))
LEG ?= $(or $(patsubst %/code/.git,%,$(wildcard .leg/*/code/.git)),.leg/$(COMMIT))

.PHONY: env demo plan test chromium cluster lint docs schema lock model train-leg clean

env: $(VENV)/.installed

$(VENV)/.installed: $(LOCK) pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes --no-deps --no-compile -r $(LOCK)
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	-$(BIN)/python -m compileall -q -j 0 $(VENV)/lib scripts  # else PYTHONDONTWRITEBYTECODE has each process compile its imports
	touch $@

demo: env
	$(BIN)/python scripts/demo.py --out demo

# CONFIG=mine.yaml takes another configuration than config/config.yaml
plan: env
	$(if $(CONFIG),$(if $(wildcard $(CONFIG)),,$(error there is no configuration $(CONFIG))))
	$(BIN)/snakemake --cores 1 --quiet progress host $(if $(CONFIG),--configfile $(CONFIG)) -- lists
	$(BIN)/snakemake --cores 1 --quiet all $(if $(CONFIG),--configfile $(CONFIG)) -- plan

# SLOW=no leaves out the longest tests, here and for a cluster
test: env
	$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder -m "not cluster$(WITHOUT)" $(if $(COVERAGE),--cov --cov-report=xml --cov-report=term)

# a throw-away machine only: the browser of the tests marked browser (Debian, root)
chromium:
	command -v chromium && command -v chromedriver || { apt-get -qq update && apt-get -qq install --yes chromium chromium-driver; }

# a throw-away machine only: installs Slurm (Debian, root) and writes /etc/slurm
cluster: env
	$(BIN)/python -m tests.cluster.slurm install
	$(BIN)/python -m pytest -n 4 --dist loadfile -m "cluster$(WITHOUT)" tests/cluster

lint: env
	$(BIN)/ruff check .
	$(BIN)/ruff check --preview --select PLW1514 scripts  # no text in the encoding of the locale
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint
	$(BIN)/lint-imports --no-cache
	$(BIN)/mypy
	MYPYPATH=scripts:benchmarks $(BIN)/mypy --explicit-package-bases --follow-imports=silent --cache-dir=.mypy_cache/benchmarks benchmarks

# every warning is an error
docs: env
	rm -rf docs/reference/_generated  # pages of modules that are gone
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going docs docs/_build/html

schema: env
	$(BIN)/python -m pytest tests/unit/settings/test_config.py --fix-schema

model: env
	for training in $(sort $(wildcard config/models/$(MODEL)-*.yaml)) config/models/$(MODEL).yaml; do \
	  $(BIN)/snakemake --cores all --configfile $$training -- model || exit 1; \
	done
	rm -rf resources/models/.$(MODEL).new
	cp -r results/training/$(MODEL)/model resources/models/.$(MODEL).new
	rm -rf resources/models/$(MODEL) resources/models/.$(MODEL).new/.snakemake_timestamp
	mv resources/models/.$(MODEL).new resources/models/$(MODEL)

# From a worktree of the commit at which it began, so that the code under it stays as it is. Called again, it
# goes on from its checkpoint until its schedule ends; then its weights are copied, and the worktree goes.
train-leg: env
	$(if $(word 2,$(LEG)),$(error several legs are unfinished: $(LEG). Continue one with LEG=FOLDER, or drop one with rm -r FOLDER))
	git worktree prune
	@test -f $(LEG)/code/.git || { test ! -d $(LEG) && test -z "$$(git status --porcelain -- $(TRAINED))"; } || { \
	  echo "a leg has ended: commit its curve in $(TRAINED), with its weights or without, before the next;" >&2; \
	  echo "or, to repeat one of this commit, undo what it changed there and rm -rf $(LEG)" >&2; exit 1; }
	@echo "leg: $(LEG)"
	test -f $(LEG)/code/.git || git worktree add --quiet --detach $(LEG)/code
	test -s $(LEG)/steps || echo $(STEPS) > $(LEG)/steps
	steps=$$(cat $(LEG)/steps) && nice -n 15 $(BIN)/python $(LEG)/code/scripts/train_leg.py \
	  --folder $(LEG)/training --minutes $(MINUTES) --cores $(CORES) \
	  --initial $(LEG)/code/$(TRAINED)/weights.npz \
	  --first-seed $$((1000000 + 0x$(LEG_NAME))) --steps $$steps --decay $$steps
	@step=$$(tail -n 1 $(LEG)/training/curve.csv 2>/dev/null | cut -d , -f 1); steps=$$(cat $(LEG)/steps); \
	if [ "$${step:-0}" -lt $$steps ]; then \
	  echo "step $${step:-0} of $$steps: the schedule has not ended, and no weights were copied."; \
	  echo "'make train-leg' continues this leg, also from a later commit; 'rm -r $(LEG)' drops it."; \
	else \
	  cp $(LEG)/training/weights.npz $(TRAINED)/weights.npz && \
	  cp $(LEG)/training/curve.csv $(TRAINED)/leg-$(LEG_NAME).csv && \
	  git worktree remove --force $(LEG)/code; \
	fi

COMPILE := uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header

# phony on purpose: a checkout's time stamps must never make `make env` resolve anew.
# The yaml files hold the same pins for conda, which brings Python only.
lock: env
	for kind in cpu gpu; do \
	  $(COMPILE) pyproject.toml --extra $$kind --extra workflow -o envs/$$kind.lock || exit 1; \
	  { printf 'name: radiounet-%s\nchannels: [conda-forge]\ndependencies:\n  - python=3.12\n  - pip\n  - pip:\n' $$kind; \
	    grep -E "^[a-z0-9].*==" envs/$$kind.lock | sed -e 's: \\$$::' -e 's:.*:      - "&":'; } > envs/$$kind.yaml; \
	done
	$(COMPILE) pyproject.toml --extra cpu --extra workflow --extra docs --extra dev --constraint envs/cpu.lock \
	  --no-emit-package tensorflow -o $(LOCK)

clean:
	rm -rf demo results .snakemake
