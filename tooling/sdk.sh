#!/bin/sh
# Fetch the two call SDKs from npm into static folders that git ignores. Without npm, or when it fails, the room page
# loads the same bytes from a CDN, so this never stops anything.
set -u
cd "$(dirname "$0")/.."

# file in the package | where the room page looks | sha384, which the adapters name too
files="
@daily-co/daily-js/dist/daily.js|platforms/daily/static/vendor/daily-js/daily.js|qkOcWks7O6ZM0W8bDQRvE2Zigs/pWm7ioqYeangGqWoaqMEFUNeAKYLp8J+qWiUS
@whereby.com/browser-sdk/dist/cdn/v3-embed.js|platforms/whereby/static/vendor/whereby/v3-embed.js|WLJmlhDUPp2Gh+nqaAhiw92dUCZHNR3MKSNldqi2YD/aWvYYOszLVXZB3uKkVWVZ
"

right() { # file sha384
	[ -f "$1" ] && [ "$(.venv/bin/python -c 'import base64, hashlib, sys
print(base64.b64encode(hashlib.sha384(open(sys.argv[1], "rb").read()).digest()).decode())' "$1")" = "$2" ]
}

missing=0
for row in $files; do
	IFS='|' read -r _ target sha <<-ROW
		$row
	ROW
	right "$target" "$sha" || missing=1
done
[ "$missing" = 0 ] && exit 0

without() {
	echo "Call SDKs: $1; the room page will load them from a CDN."
	exit 0
}
command -v npm >/dev/null 2>&1 || without "npm is not installed (sudo apt-get install npm)"

work=$(mktemp -d) || without "no temporary folder"
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
cp package.json package-lock.json .npmrc "$work/"
(cd "$work" && npm ci --ignore-scripts --loglevel=error >npm.log 2>&1 </dev/null) ||
	without "npm could not fetch them ($(grep -m 1 -i 'error' "$work/npm.log" | cut -c 1-120))"
for row in $files; do
	IFS='|' read -r source target sha <<-ROW
		$row
	ROW
	right "$work/node_modules/$source" "$sha" || without "npm sent a $source that is not the one we know"
	mkdir -p "$(dirname "$target")"
	cp "$work/node_modules/$source" "$target.new" && mv "$target.new" "$target"
done
echo "Call SDKs: fetched from npm."
