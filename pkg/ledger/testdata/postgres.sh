#!/bin/sh
# Starts and stops a Postgres of Debian's package for the tests of ledger and store: loopback only, a free port, a data
# folder of its own, never as root.
#
#   sh postgres.sh start DIR    prints SILVERBEAM_POSTGRES=URL
#   sh postgres.sh kill DIR     kills it, by SIGKILL
#   sh postgres.sh again DIR    starts what was killed again, at the same port
#   sh postgres.sh stop DIR     stops it and removes DIR
set -eu
dir=${2:?name a folder}
bin=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1)

as() { # the server refuses to run as root
	if [ "$(id -u)" = 0 ]; then
		(cd / && setpriv --reuid postgres --regid postgres --clear-groups "$@")
	else
		"$@"
	fi
}

stop() {
	if [ -e "$dir/data/postmaster.pid" ]; then
		as "$bin/pg_ctl" -D "$dir/data" -m immediate -w stop >&2 || true
	fi
	rm -rf "$dir"
}

case ${1:-} in
start)
	stop
	mkdir -p "$dir"
	[ "$(id -u)" != 0 ] || chown postgres: "$dir"
	as "$bin/initdb" -D "$dir/data" -U silverbeam -A trust -E UTF8 --locale=C >"$dir/log" 2>&1 || { cat "$dir/log" >&2; exit 1; }
	for _ in 1 2 3 4 5; do
		port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
		if as "$bin/pg_ctl" -D "$dir/data" -l "$dir/data/log" -w -o "-c listen_addresses=127.0.0.1 -c port=$port -c unix_socket_directories=" start >&2; then
			echo "SILVERBEAM_POSTGRES=postgres://silverbeam@127.0.0.1:$port/postgres"
			exit
		fi
	done
	cat "$dir/data/log" >&2
	stop
	exit 1
	;;
kill) kill -9 "$(head -n 1 "$dir/data/postmaster.pid")" ;;
again)
	for _ in 1 2 3 4 5 6 7 8 9 10; do # until the killed one's children have ended too
		as "$bin/pg_ctl" -D "$dir/data" -l "$dir/data/log" -w restart >&2 && exit
		sleep 1
	done
	exit 1
	;;
stop) stop ;;
*)
	echo "usage: sh $0 start|kill|again|stop DIR" >&2
	exit 2
	;;
esac
