#!/bin/sh
# Installs what is missing of scripts/packages.txt. Usage: install-packages.sh build|test
# As root it installs; otherwise it prints the one line to run and exits 1.
set -eu
cd "$(dirname "$0")/.."
case "${1:-}" in
build) sections='build' ;;
test) sections='build|test' ;;
*)
    echo "usage: $0 build|test" >&2
    exit 2
    ;;
esac

missing=
for package in $(grep -E "^($sections) " scripts/packages.txt | cut -d' ' -f2); do
    state=$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true)
    [ "$state" = "install ok installed" ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ]; then
    echo "Packages are missing. Run this, then try again:" >&2
    echo "    sudo apt-get update && sudo apt-get install -y --no-install-recommends$missing" >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
# shellcheck disable=SC2086
apt-get install -y -q --no-install-recommends $missing
