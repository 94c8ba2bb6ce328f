# Silverbeam. `make` lists the targets.
SHELL := /bin/bash
GO ?= go
BIN := out/silverbeam
VENV := .cache/venv
PY := $(VENV)/bin/python
export CGO_ENABLED ?= 0
CONCURRENT := ./transforms/internal/batch ./pkg/llm ./pkg/ledger ./pkg/shard ./pkg/metrics ./pkg/table

# part NAME runs a command as one part of the tests, and says how many minutes it took.
define part
	@echo "== $(1)"; start=$$(date +%s); set -o pipefail; { $(2); } || { echo "== $(1): FAILED"; exit 1; }; \
	  awk -v s=$$start -v e=$$(date +%s) 'BEGIN { printf "== %s: %.1f minutes\n", "$(1)", (e-s)/60 }'
endef

.PHONY: help
help: ## list the targets
	@grep -E '^[a-z-]+:.*##' Makefile | awk -F':.*## ' '{ printf "  make %-14s %s\n", $$1, $$2 }'

.PHONY: build
build: ## build out/silverbeam
	@mkdir -p out
	$(GO) build -trimpath -ldflags "-s -w" -o $(BIN) .

.PHONY: demo
demo: build ## 600 generated chest CT studies: labels, data set, two trainings, evaluation and one page
	@$(BIN) phantom --studies 600 --seed 1 --out out/demo/data
	@$(BIN) run demo

.PHONY: check
check: ## format, vet, lint, tidy
	@u=$$(gofmt -l main.go pipelines transforms schemas runners pkg); [ -z "$$u" ] || { echo "not gofmt'd: $$u"; exit 1; }
	$(GO) vet ./...
	$(GO) tool staticcheck ./...
	$(GO) mod tidy -diff

.PHONY: test
test: ## all tests that need no GPU, key or account
	$(call part,check,$(MAKE) --no-print-directory check)
	$(call part,go tests,$(GO) test ./...)
	$(call part,go tests of a stripped binary,$(GO) test -count=1 -ldflags "-s -w" ./transforms/... ./pipelines/... ./runners/...)
	$(call part,race tests,CGO_ENABLED=1 $(GO) test -race -short $(CONCURRENT))
	$(call part,other readers,$(MAKE) --no-print-directory test-readers)
	$(call part,servers,$(MAKE) --no-print-directory test-servers)

.PHONY: test-all
test-all: test test-oracles ## the tests, and those that install something heavy

$(VENV)/done: pkg/shard/testdata/requirements.txt
	@python3 -m venv $(VENV) 2>/dev/null || { apt-get update -q && apt-get install -qy python3-venv && python3 -m venv $(VENV); }
	@$(PY) -m pip install -q --disable-pip-version-check -r pkg/shard/testdata/requirements.txt
	@touch $@

.PHONY: bench
bench: ## speed and memory of our own parts
	$(GO) test -run '^$$' -bench . -benchtime 1s ./pkg/...
