# make run    starts everything at http://127.0.0.1:8000 (PORT=8001, ARGS=--no-demo)
# make test   runs every test, in random order (ARGS="tests/test_x.py -k word"). It prints the order's seed:
#             ARGS=--randomly-seed=123 runs that order again, ARGS="-p no:randomly" the order of the files.

# The first that is new enough.
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && exit; \
	done; echo python3)
PORT ?= 8000
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.DEFAULT_GOAL := help
ROWS ?= 1000000

.PHONY: help run test bench test-clients pictures lint format lock clean

help:
	@echo "make run     start everything at http://127.0.0.1:$(PORT)   (PORT=, ARGS=--no-demo)"
	@echo "make test    run every test                          (ARGS=\"tests/test_x.py -k word\")"
	@echo "make bench   measure beside a peer's table and queries (ROWS=10000000 for the real scale)"
	@echo "make test-clients  run real clients against a running console, and write docs/clients.md"
	@echo "make pictures  take the pictures of guide and README from a running demo  (ARGS=\"chart receipt\")"
	@echo "make lint    check style, types, templates, migrations and deployment settings"
	@echo "make format  put Python and templates into shape"
	@echo "make lock    pin what pyproject.toml asks for                (ARGS=--upgrade for newer)"
	@echo "make clean   remove what can be made again; data under var/ stays"

run: $(VENV)/run.stamp
	@exec $(BIN)/python manage.py up --port $(PORT) $(ARGS)

test: $(VENV)/dev.stamp
	$(BIN)/python -m pytest --numprocesses auto --maxschedchunk 1 $(ARGS)

# The pictures of guide and README, of a console that runs beside it: make run, and when its history is in, make pictures.
pictures: $(VENV)/dev.stamp
	DJANGO_SETTINGS_MODULE=routescope.settings $(BIN)/python -m tests.guide_pictures --url http://127.0.0.1:$(PORT) $(ARGS)

bench: $(VENV)/dev.stamp
	$(BIN)/python -m tests.bench --rows $(ROWS)

# Clients live in environments of their own: their dependencies are not the console's, nor always each other's.
CLIENTS := var/clients
CLIENT_STAMPS := $(patsubst tests/clients/requirements/%.txt,$(CLIENTS)/%/requirements.stamp, \
	$(wildcard tests/clients/requirements/*.txt))

test-clients: $(VENV)/dev.stamp $(CLIENT_STAMPS) $(CLIENTS)/node/package.stamp
	TEST_CLIENTS=1 $(BIN)/python -m pytest tests/clients $(ARGS)
	$(BIN)/python -m tests.clients.table

$(CLIENTS)/%/requirements.stamp: tests/clients/requirements/%.txt
	@test -x $(@D)/bin/pip || $(PYTHON) -m venv $(@D)
	@echo "Installing real clients into $(@D) ..."
	@$(@D)/bin/pip --disable-pip-version-check --quiet install -r $<
	@touch $@

# Without npm, what needs it is left out, and its tests say so.
$(CLIENTS)/node/package.stamp: tests/clients/node/package.json
	@mkdir -p $(@D) && cp $< $(@D)
	@if command -v npm >/dev/null; then echo "Installing real clients into $(@D) ..."; \
		cd $(@D) && npm install --no-audit --no-fund --no-package-lock --loglevel=error; \
		else echo "npm is not installed: clients of Node.js are left out."; fi
	@touch $@

# Deployment checks see the settings that a real installation has: https behind a proxy, its own database.
DEPLOYED := BASE_URL=https://routescope.example ALLOWED_HOSTS=routescope.example TRUSTED_PROXIES=1 \
	DATABASE_URL=postgresql://routescope@db/routescope REDIS_URL=redis://redis/0 \
	EMAIL_BACKEND=django.core.mail.backends.smtp.EmailBackend EMAIL_HOST=mail \
	SECRET_KEY=$$($(BIN)/python -c 'import secrets; print(secrets.token_urlsafe(50))')

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .
	$(BIN)/lint-imports --no-cache --no-logo
	$(BIN)/djlint --lint --quiet templates
	$(BIN)/python manage.py makemigrations --check --dry-run
	$(DEPLOYED) $(BIN)/python manage.py check --deploy --fail-level WARNING

format: $(VENV)/dev.stamp
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

LOCK := $(BIN)/uv pip compile pyproject.toml --universal --generate-hashes --no-emit-index-url --no-header --quiet $(ARGS)

lock: $(VENV)/dev.stamp
	@test -x $(BIN)/uv || $(PIP) install uv
	$(LOCK) -o requirements.lock
	$(LOCK) --extra dev -o requirements-dev.lock

clean:
	rm -rf staticfiles .mypy_cache .ruff_cache .pytest_cache .hypothesis var/test
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

# The developers' lock holds everything of the other: whoever has it may run.
$(VENV)/run.stamp: requirements.lock | $(BIN)/pip
	@if [ -e $(VENV)/dev.stamp ]; then $(MAKE) --silent --no-print-directory $(VENV)/dev.stamp; else \
		echo "Installing requirements.lock into $(VENV) ..."; $(PIP) install --require-hashes -r requirements.lock; fi
	@touch $@

$(VENV)/dev.stamp: requirements-dev.lock | $(BIN)/pip
	@echo "Installing requirements-dev.lock into $(VENV) ..."
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@

# pip is what venv makes last: without it an earlier try was interrupted.
$(BIN)/pip:
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is not installed. Routescope needs Python 3.11 or newer (PYTHON=python3.12 names one)."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Routescope needs Python 3.11 or newer, $(PYTHON) is $$($(PYTHON) -V 2>&1). PYTHON=python3.12 names another."; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) cannot make virtual environments. On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@$(PYTHON) -m venv $(VENV)
