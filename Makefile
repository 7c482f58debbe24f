# Everything a developer does. Each target first sets up what it needs in .venv, and skips that when nothing changed.
.DEFAULT_GOAL := help
.PHONY: help setup setup-dev run test check bench fuzz chaos soak lock vendor clean

PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3.14 python3 python; do \
	if "$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then echo "$$p"; break; fi; done)
PY := .venv/bin/python
UV := .venv/tools/bin/uv
UV_VERSION := 0.13.9
ARGS ?=
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export TRELLIS_DATA ?= $(CURDIR)/data
unexport PYTHONDONTWRITEBYTECODE # where it is set, every process would compile all modules again

help: ## list these targets
	@echo "Trellis. Start it with 'make run'."
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1|/' | column -t -s '|' 2>/dev/null \
		|| grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST)

# A stamp by content: a lock that git touched but did not change installs nothing, so an offline machine keeps working.
define install
	@cmp -s $(1) .venv/$(1) || { \
		test -n "$(PYTHON)" || { echo "Trellis needs Python 3.11 or newer; install it and run make again."; exit 1; }; \
		$(PY) -c '' 2>/dev/null || $(PYTHON) -m venv --clear .venv \
			|| { echo "Python cannot make a virtual environment; on Debian: apt-get install python3-venv"; exit 1; }; \
		echo "Installing the libraries of $(1)…" && \
		$(PY) -m pip install --quiet --require-hashes -r $(1) && cp $(1) .venv/$(1); }
endef

setup: ## install what Trellis needs to run into .venv
	$(call install,requirements.lock)

setup-dev: ## install what the tests and checks need, too
	$(call install,requirements-dev.lock)
	@cp requirements.lock .venv/

run: setup ## start Trellis with demo data on http://127.0.0.1:8000 (PORT, TRELLIS_DATA and TRELLIS_DEMO change that)
	@TRELLIS_DEMO=$${TRELLIS_DEMO-1} $(PY) -m flask --app wsgi serve

test: setup-dev ## run the tests on SQLite and PostgreSQL and in a browser (ARGS="tests/leads -x" narrows them)
	@TRELLIS_REQUIRE_ALL=$${TRELLIS_REQUIRE_ALL-$(if $(CI),1)} $(PY) -m pytest -n 2 $(ARGS)

check: setup-dev ## format, lint, types, vendored files, architecture
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy --strict app config.py wsgi.py
	$(PY) vendor.py --check
	$(PY) -m pytest -q tests/test_architecture.py

bench: setup-dev ## run every benchmark in its short form, one line of JSON each (ARGS=--full for the real sizes)
	@for file in $$(grep -l __main__ bench/*.py); do PYTHONPATH=. $(PY) "$$file" $(ARGS) || exit 1; done

fuzz: setup-dev ## hold the engine against the reference on new random flows (ARGS="5000" for more than 2,000)
	@TRELLIS_FUZZ=$(or $(firstword $(ARGS)),2000) $(PY) -m pytest -q -n 2 --timeout=0 tests/engine/test_reference.py

chaos: setup-dev ## kill engines and senders 200 times while 10,000 leads go through, and stop PostgreSQL (ARGS="--kills 20 --leads 500")
	PYTHONPATH=. $(PY) tests/chaos/killing.py $(ARGS)
	TRELLIS_CHAOS=1 $(PY) -m pytest -q tests/chaos/test_kills.py -k stops_and_starts

soak: setup-dev ## an hour of everything at once on a running copy; nothing lost, late or growing (ARGS="--minutes 5 --on postgresql")
	PYTHONPATH=. $(PY) tests/chaos/soaking.py $(ARGS)

lock: ## write both lock files again after a change of pyproject.toml
	@test -x $(UV) || { $(PYTHON) -m venv .venv/tools && .venv/tools/bin/python -m pip install --quiet uv==$(UV_VERSION); }
	$(UV) $(LOCK) --group test --group check --output-file requirements-dev.lock pyproject.toml
	$(UV) $(LOCK) --constraint requirements-dev.lock --output-file requirements.lock pyproject.toml
LOCK := pip compile --quiet --no-config --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	--no-emit-index-url --no-emit-find-links

vendor: setup ## fetch the pinned browser libraries again (needs npm)
	$(PY) vendor.py

clean: ## remove .venv and every cache, but never data/
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
