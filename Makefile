# Two commands matter: `make demo` and `make test`. Each sets up what it needs, in .venv.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
SERVING := $(VENV)/.serving
READY := $(VENV)/.ready
DEV := $(VENV)/.dev
BUNDLE := fashion_xai/assets/model
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo test fuzz lint bench bench-audit bench-demo bench-ray bench-scale attack soak \
	audit-deps dist docs notebooks eda train evaluate audit space clean

help: ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14
	@echo 'Options: ARGS="…" goes to the program; DATA=… names the catalogue; OUT=… the run.'

setup: $(READY) ## create .venv with what demo and training need

$(SERVING): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name it: make PYTHON=python3.11")'
	@echo 'Setting up $(VENV): ONNX Runtime, Gradio and the rest; once, a minute or two …'
	@$(PYTHON) -m venv $(VENV)
	@$(PY) -m pip install --quiet --disable-pip-version-check -e '.[demo]'
	@touch $@

$(READY): $(SERVING) requirements.txt
	@echo 'Adding TensorFlow and what else training needs; once, some minutes …'
	@$(PY) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(DEV): $(READY)
	@echo 'Adding the tools for tests …'
	@$(PY) -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

demo: $(SERVING) ## serve the demo; ARGS="--help" lists --port, --share, --data, --audit …
	@exec $(PY) demo/app.py $(ARGS)

test: $(DEV) ## run all tests; ARGS="-k catalogue" picks some
	@exec $(PY) -m pytest $(ARGS)

fuzz: $(DEV) ## random tables, broken zips and photos, odd forms, some minutes; FUZZ_EXAMPLES=300
	@exec $(PY) -m pytest tests/fuzz -o python_files='fuzz_*.py' -o python_functions='fuzz_*' $(ARGS)

lint: $(DEV) ## ruff and mypy
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

bench: $(DEV) ## what six maps cost beside the forward pass and tf-keras-vis
	@exec $(PY) -m tests.bench $(ARGS)

bench-audit: data $(DEV) ## what an audit costs beside the forward pass, and its memory: DATA=…
	@exec $(PY) -m tests.bench_audit --data "$(DATA)" $(ARGS)

bench-ray: data $(DEV) ## the same audit by the local engine and by Ray: DATA=…
	@exec $(PY) -m tests.bench_ray --data "$(DATA)" $(ARGS)

bench-scale: $(DEV) ## the report of an audit of millions of products: ROWS=10000000
	@exec $(PY) -m tests.bench_scale --rows "$(or $(ROWS),1000000)" $(ARGS)

bench-demo: $(DEV) ## a crowd before the demo: throughput, latency, memory
	@exec $(PY) -m tests.load.bench_demo $(ARGS)

attack: $(DEV) ## attack a demo of this machine, bounded: ARGS="http://127.0.0.1:7860", or its own
	@exec $(PY) -m tests.attack $(ARGS)

soak: $(DEV) ## eight visitors for ten minutes: memory, descriptors, files; ARGS="--seconds 60"
	@exec $(PY) -m tests.load.soak $(ARGS)

audit-deps: $(DEV) ## what is installed (sbom.json), and its known weaknesses (asks PyPI)
	@$(PY) -m pip install --quiet --disable-pip-version-check 'pip-audit>=2.10,<3' 'cyclonedx-bom>=7,<8'
	@$(PY) -m cyclonedx_py environment $(VENV) --of JSON -o sbom.json
	@exec $(PY) -m pip_audit --skip-editable $(ARGS)

docs: $(DEV) ## the docs site into site/, every link checked; ARGS=--serve shows it
	@NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs $(if $(findstring --serve,$(ARGS)),serve,build) -f .ci/mkdocs.yml

notebooks: $(DEV) ## run examples/*.ipynb and keep what they show
	@PATH="$(abspath $(VENV))/bin:$$PATH" $(VENV)/bin/jupyter-execute --inplace --timeout=400 examples/*.ipynb

dist: $(DEV) ## build wheel and sdist, and try each in an empty environment of every Python here
	@$(PY) -m pip install --quiet --disable-pip-version-check 'build>=1.2,<2' 'twine>=6,<7'
	@rm -rf dist
	@$(PY) -m build --outdir dist . > /dev/null
	@$(PY) -m twine check --strict dist/*
	@exec $(PY) .ci/try_dist.py dist/*

eda: data $(READY) ## explore a catalogue: DATA=folder-or-zip; writes runs/eda/eda.html
	@exec $(PY) -m training.eda --data "$(DATA)" $(ARGS)

train: data $(READY) ## train: DATA=folder-or-zip OUT=runs/mine ARGS="--weights FILE"
	@exec $(PY) -m training.train --data "$(DATA)" --out "$(or $(OUT),runs/mine)" $(ARGS)

evaluate: data $(READY) ## measure a bundle: DATA=folder-or-zip BUNDLE=… ARGS="--split test"
	@exec $(PY) -m training.evaluate --bundle "$(BUNDLE)" --data "$(DATA)" $(ARGS)

audit: data $(SERVING) ## audit a catalogue: DATA=folder-or-zip OUT=runs/audit ARGS="--split test"
	@exec $(PY) -m fashion_xai audit --data "$(DATA)" --out "$(or $(OUT),runs/audit)" $(ARGS)

space: $(SERVING) ## assemble a Hugging Face Space and list what to check: OUT=folder
	@exec $(PY) -m demo.space "$(or $(OUT),runs/space)"

.PHONY: data
data:
	@test -n "$(DATA)" || { echo 'Name the catalogue: make … DATA=folder-or-zip (see README, "The dataset")' >&2; exit 2; }

clean: ## remove .venv and caches; runs/ stays
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
