#!/bin/sh
# make run: the checkout as it is, in the foreground, until Ctrl-C.
set -eu
cd "$(dirname "$0")/.."

tooling/venv.sh requirements.txt
tooling/sdk.sh

# a development tree is a development tree unless .env says otherwise
grep -qsE '^(export +)?DEBUG=' .env || export DEBUG="${DEBUG:-true}"
exec .venv/bin/python manage.py runall --die-with-parent
