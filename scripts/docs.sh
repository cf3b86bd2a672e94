#!/bin/sh
# Regenerates the pages that come from tables in the source. Tests compare them.
set -eu
cd "$(dirname "$0")/.."
bin=build/src/everflame
"$bin" -help-docs >docs/reference/configuration.md
"$bin" help --markdown >docs/cli.md
"$bin" help --man >man/everflame.1
