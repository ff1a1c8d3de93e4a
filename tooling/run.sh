#!/bin/sh
# make run: the checkout as it is, in the foreground, until Ctrl-C.
set -eu
cd "$(dirname "$0")/.."

tooling/sdk.sh &
sdk=$!
tooling/venv.sh requirements.txt || {
	kill "$sdk" 2>/dev/null
	exit 1
}
wait "$sdk" || true

# a development tree is a development tree unless .env says otherwise
grep -qsE '^(export +)?DEBUG=' .env || export DEBUG="${DEBUG:-true}"
exec .venv/bin/python manage.py runall --die-with-parent
