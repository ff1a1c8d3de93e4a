#!/bin/sh
# make lock: pin what the *.in files ask for, with (.lock) and without (.txt) hashes. One answer for every Python we
# support, and nothing in the files about where the packages came from.
set -eu
cd "$(dirname "$0")/.."
compile() {
	.venv/bin/uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest --no-header \
		--no-emit-index-url --no-emit-find-links "$@"
}
compile requirements.in -o requirements.txt
compile requirements-dev.in -o requirements-dev.txt
compile --generate-hashes --no-annotate requirements.txt -o requirements.lock
compile --generate-hashes --no-annotate requirements-dev.txt -o requirements-dev.lock
