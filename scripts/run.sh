#!/bin/sh
# What `make run` does: a server with its data in ./data, and a pretend shop that pushes profiles to it.
# ^C stops both. PORT is the server's port (4040), BUILD the build directory (build), DATA that of the data.
# Both run in sessions of their own, so that ^C reaches only this script and it can stop them in order.
set -eu
cd "$(dirname "$0")/.."
port=${PORT:-4040}
bin=${BUILD:-build}/src/everflame
url=http://127.0.0.1:$port
server= demo=

stop() {
    trap '' INT TERM HUP
    for pid in $demo $server; do # the demo first: it pushes once more
        kill "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    server= demo=
}
trap 'stop; exit 130' INT
trap 'stop; exit 143' TERM HUP
trap stop EXIT

setsid "$bin" -server.http-listen-port="$port" -data-dir="${DATA:-data}" -log.level=warn &
server=$!
while :; do
    sleep 0.2
    kill -0 "$server" 2>/dev/null || { wait "$server" || exit $?; exit 1; }
    "$bin" ready --url "$url" >/dev/null 2>&1 && break
done
if [ "$port" = 4040 ]; then
    setsid "$bin" demo &
else
    setsid "$bin" demo --url "$url" &
fi
demo=$!
# Whichever ends first ends the other. `wait` for one of two needs more than sh has.
while kill -0 "$server" 2>/dev/null && kill -0 "$demo" 2>/dev/null; do
    sleep 1 &
    wait $! || true
done
echo "run.sh: the server or the demo has ended; stopping the other" >&2
exit 1
