# Each target sets up what it needs, and works a second time.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

BIN := .venv/bin
PACKAGES := hitl operator/hitl_operator webapp/hitl_webapp
READY := .venv/.ready
DEMO_READY := .venv/.demo
SETUP := pyproject.toml constraints.txt tools/venv $(wildcard dropin/pyproject.toml)
ARGS ?=
BANDIT := $(BIN)/bandit --quiet --configfile pyproject.toml --severity-level medium --recursive $(PACKAGES) $(wildcard dropin/flyteplugins)

.PHONY: help
help: ## Say what there is
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

$(READY): $(SETUP)
	@tools/venv
	@touch $@ $(DEMO_READY)

# The demo needs a third of the packages, and no tools.
$(DEMO_READY): $(SETUP)
	@tools/venv demo
	@touch $@

.PHONY: setup
setup: $(READY) ## Make .venv ready

.PHONY: demo
demo: $(DEMO_READY) ## Ask a question on this machine, and see a Flyte task go on with the answer
	@$(BIN)/hitl demo $(ARGS)

.PHONY: format
format: $(READY) ## Format and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: docs
docs: $(READY) ## Write the pages that are generated
	$(BIN)/python docs/tools/settings.py
	$(BIN)/python docs/tools/cli.py
	$(BIN)/python docs/tools/python_api.py
	$(BIN)/python docs/tools/spec.py
	$(BIN)/python -m tools.crd
	$(BIN)/python tools/chart.py
	$(BIN)/python docs/tools/rooms.py

.PHONY: rooms
rooms: $(READY) ## Draw the rooms of the code, and what each imports, into docs/architecture.md
	@$(BIN)/python docs/tools/rooms.py
	@sed -n '/^<!-- rooms: made/,/^<!-- rooms: end/p' docs/architecture.md

.PHONY: words
words: $(READY) ## Name each word that docs/glossary.md rules out, and where it stands
	@$(BIN)/python docs/tools/words.py

.PHONY: pictures
pictures: $(READY) ## Take the pictures of a form, an inbox and the statistics, for the docs
	@$(BIN)/python docs/tools/pictures.py
	@$(BIN)/python docs/tools/statistics_picture.py

.PHONY: site
site: $(READY) ## Build the docs as a site in build/site; a broken link fails it
	@$(BIN)/python docs/tools/website.py

# Each part keeps one CPU busy. What a command printed is shown at its end.
.PHONY: check
check: $(READY) ## Everything but the tests: what `make lint` checks, and the docs with their site
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=line lint check-docs

.PHONY: lint
lint: $(READY) ## Format, lint, types, import contracts, insecure code, generated files
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy $(PACKAGES) $(wildcard dropin/flyteplugins) docs/tools tests tools/crd
	$(BIN)/lint-imports --no-logo
	$(BANDIT)
	$(BIN)/python -m tools.crd --check
	$(BIN)/python tools/chart.py --check

.PHONY: check-docs
check-docs: $(READY) ## The docs say all that there is, and their site can be built (ARGS="-k glossary" for some)
	$(BIN)/pytest --quiet tests/docs $(ARGS)

# The report comes after a failed run too: what is not covered is worth knowing then as well.
.PHONY: test
test: $(READY) ## Run all tests but those of the docs, and name what they do not cover (ARGS="-k storage" for some)
	@tools/test-tools
	@rm -rf build/coverage
	@mkdir -p build/coverage
	@failed=0; \
	tools/side-by-side $(ARGS) || failed=$$?; \
	$(BIN)/coverage combine --quiet || true; \
	$(BIN)/coverage report || true; \
	echo "make test took $$SECONDS s"; \
	exit $$failed

.PHONY: bench
bench: $(READY) ## Measure against the budgets; fails when one is missed
	$(BIN)/python -m tests.bench $(ARGS)

.PHONY: soak
soak: $(READY) ## Ask and answer for ten minutes while everything fails at random (ARGS="--seconds 60 --seed 7")
	$(BIN)/python -m tests.soak $(ARGS)

.PHONY: e2e
e2e: $(READY) ## Run the tests in the cluster that KUBECONFIG or the current context names
	$(BIN)/pytest -m cluster tests/e2e $(ARGS)

.PHONY: e2e-kind
e2e-kind: $(READY) ## Run them in a kind cluster of their own
	@tools/e2e-kind

.PHONY: demo-cluster
demo-cluster: $(READY) ## Try it on the current context's cluster, or on kind (ARGS=--remove takes it away)
	@tools/demo-cluster $(ARGS)

.PHONY: constraints
constraints: $(READY) ## Take the newest version of every dependency into constraints.txt
	@tools/constraints

.PHONY: audit
audit: $(READY) ## Look for insecure code, and for known vulnerabilities in what it depends on
	$(BANDIT)
	$(BIN)/pip-audit --requirement constraints.txt --no-deps --disable-pip

.PHONY: dist
dist: $(READY) ## Build what a release publishes, in dist/: wheels, their sources, the chart
	@rm -rf dist
	$(BIN)/python -m build --no-isolation --outdir dist .
	$(BIN)/python -m build --no-isolation --outdir dist dropin
	@$(BIN)/python -c 'import helm_python; print(helm_python.package("charts/hitl", destination="dist"))'

.PHONY: clean
clean: ## Remove what the other targets made here
	rm -rf .venv build dist .coverage* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
