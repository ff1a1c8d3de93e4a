.DEFAULT_GOAL := help
.PHONY: help run test lint pictures bench fmt lock venv venv-dev sdk

help: ## what there is
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1	\2/p' Makefile

run: ## start everything: http://localhost:8000 (PORT, SANDBOX_PORT choose others)
	@tooling/run.sh

test: venv-dev sdk ## lint, types, contracts and every test (REQUIRE_ALL=1: nothing may be skipped)
	@.venv/bin/python tooling/test.py

lint: venv-dev ## what needs no test run: format, lint, types, import contract, missing migrations
	@.venv/bin/python tooling/test.py --static

pictures: venv-dev sdk ## make the README's pictures anew, by the browser tests
	@PICTURES=var/pictures .venv/bin/python -m pytest -q -p no:randomly tests/browser/test_meeting_end_to_end.py
	@for picture in docs/pictures/*.png; do cp "var/pictures/$${picture##*/}" "$$picture"; done

bench: venv-dev ## how fast staff's pages and bulk moves are with 20,000 rooms, on PostgreSQL (minutes)
	@.venv/bin/python tests/bench/scale.py

fmt: venv-dev ## put the code into shape
	@.venv/bin/ruff check --fix --quiet . ; .venv/bin/ruff format .

lock: venv-dev ## pin requirements*.in anew
	@tooling/lock.sh

venv:
	@tooling/venv.sh requirements.txt

venv-dev:
	@tooling/venv.sh requirements-dev.txt

sdk: venv-dev
	@tooling/sdk.sh
