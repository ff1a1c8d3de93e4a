#!/bin/sh
# tooling/venv.sh FILE: .venv with what FILE pins; installs again only when FILE has changed.
set -eu
cd "$(dirname "$0")/.."
file=$1
stamp=.venv/installed-$(basename "$file")

if ! .venv/bin/python -c 'import sys; assert sys.version_info >= (3, 11)' 2>/dev/null; then
	new_enough=
	python=
	for name in ${PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11 /usr/bin/python3; do
		"$name" -c 'import sys; assert sys.version_info >= (3, 11)' 2>/dev/null || continue
		new_enough=$name
		"$name" -c 'import ensurepip, venv' 2>/dev/null || continue
		python=$name
		break
	done
	if [ -z "$new_enough" ]; then
		echo "Python 3.11 or newer is needed: sudo apt-get install python3 python3-venv" >&2
		exit 1
	fi
	if [ -z "$python" ]; then
		echo "Python's venv module is missing: sudo apt-get install python3-venv" >&2
		exit 1
	fi
	echo "Making .venv with $("$python" --version)"
	rm -rf .venv
	"$python" -m venv .venv
fi

cmp -s "$file" "$stamp" && exit 0
echo "Installing $(grep -c == "$file") packages from $file into .venv; once, about a minute"
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input -r "$file"
# the larger list holds the smaller one
[ "$file" = requirements-dev.txt ] && cp requirements.txt .venv/installed-requirements.txt
cp "$file" "$stamp"
