#!/bin/sh
# Starts and stops two OpenAI-compatible servers that others wrote, for the tests of this package:
# npm's @copilotkit/aimock and PyPI's llmock. Loopback only, free ports.
#
#   SILVERBEAM_SERVERS=DIR sh servers.sh start    installs into DIR once, starts both, prints two lines NAME=URL
#   SILVERBEAM_SERVERS=DIR sh servers.sh stop     stops what start started, by pid
set -eu
dir=${SILVERBEAM_SERVERS:?name a cache folder}
here=$(cd "$(dirname "$0")" && pwd)

install() {
	mkdir -p "$dir/npm"
	if [ ! -e "$dir/npm/node_modules/@copilotkit/aimock/package.json" ]; then
		(cd "$dir/npm" && npm install --no-audit --no-fund --no-save @copilotkit/aimock@1.43.0 >install.log 2>&1)
	fi
	if [ ! -x "$dir/venv/bin/llmock" ]; then
		python3 -m venv "$dir/venv" && "$dir/venv/bin/pip" -q install llmock==0.2.2
	fi
}

# url LOG: the address that a server's log names, once it does
url() {
	for _ in $(seq 300); do
		found=$(sed -n 's#.*\(listening\|running\) on \(http://127.0.0.1:[1-9][0-9]*\).*#\2#p' "$1" | head -n 1)
		if [ -n "$found" ]; then
			echo "$found"
			return
		fi
		sleep 0.1
	done
	cat "$1" >&2
	return 1
}

stop() {
	for name in aimock llmock; do
		if [ -e "$dir/$name.pid" ]; then
			kill "$(cat "$dir/$name.pid")" 2>/dev/null || true
			rm -f "$dir/$name.pid"
		fi
	done
}

case ${1:-} in
start)
	install
	stop
	node "$dir/npm/node_modules/@copilotkit/aimock/dist/cli.js" -h 127.0.0.1 -p 0 -f "$here/aimock" --journal-max 0 --validate-on-load >"$dir/aimock.log" 2>&1 </dev/null &
	echo $! >"$dir/aimock.pid"
	"$dir/venv/bin/llmock" serve -h 127.0.0.1 -p 0 --error-rate 429=0.08 --error-rate 500=0.05 >"$dir/llmock.log" 2>&1 </dev/null &
	echo $! >"$dir/llmock.pid"
	aimock=$(url "$dir/aimock.log") && llmock=$(url "$dir/llmock.log") || { stop; exit 1; }
	echo "SILVERBEAM_AIMOCK=$aimock"
	echo "SILVERBEAM_LLMOCK=$llmock"
	;;
stop) stop ;;
*)
	echo "usage: SILVERBEAM_SERVERS=DIR sh $0 start|stop" >&2
	exit 2
	;;
esac
