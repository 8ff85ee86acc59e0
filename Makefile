# The developers' front door: `make` lists the targets. From a fresh clone, each one fetches and
# builds what it needs: Go 1.26, a C compiler, Python 3 with pip, Node 20 with npm, and GNU make are the prerequisites.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:

EXAMPLE  ?= partner-certificates
# How long `make fuzz` stays at each target. What it has found stands in testdata, and is part of the unit tests.
FUZZTIME ?= 30s
# How often `make soak` rotates.
ROTATIONS ?= 100
BENCH    ?= .
CHROMIUM ?= chromium

VERSION  := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
TOOLS    := .tools/bin
GOTEST   := go test -timeout 20m

# The integration suite finds the binary here; an absolute path, for tests run in their own folders.
export SALLYPORT_BIN := $(CURDIR)/bin/sallyport

# Packages whose tests start the built binary. A function, so that `make help` does not wait for `go list`.
integration_packages = ./integration/...
unit_packages = $$(go list ./... | grep -v '/integration\(/\|$$\)')

.PHONY: help
help: ## List the targets
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  %-18s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

## Building and running

.PHONY: build
build: ## Build bin/sallyport
	go build -trimpath -ldflags '-X main.version=$(VERSION)' -o bin/sallyport ./cmd/sallyport

# Without a terminal nobody can press Ctrl-C: the cases run once and their outcome is the status.
# `exec`, so that the signal and the status are the program's own.
.PHONY: run
run: build envoy ## Run an example (EXAMPLE=partner-certificates) on this machine, Envoys included
	@if test -t 0; then exec bin/sallyport dev 'examples/$(EXAMPLE)'; \
	else exec bin/sallyport dev --once 'examples/$(EXAMPLE)'; fi

.PHONY: walkthrough
walkthrough: build envoy object-store ## Walk through a partner's certificate from the first day to the last
	examples/partner-certificates-s3/walkthrough.sh

## Testing

.PHONY: test
test: vet test-unit test-integration ## Run everything: vet, unit, golden, CLI, integration with real Envoys

.PHONY: vet
vet:
	go vet ./...

.PHONY: test-unit
test-unit: envoy object-store cloud-mock ## Run the unit, golden and CLI tests
	$(GOTEST) $(unit_packages)

.PHONY: test-integration
test-integration: build envoy object-store cloud-mock idp ## Run the built binary against real Envoys
	$(GOTEST) -count=1 $(integration_packages)

.PHONY: test-race
test-race: build envoy object-store cloud-mock idp ## Run all tests under the race detector
	$(GOTEST) -race -p 1 ./...

.PHONY: soak
soak: build envoy object-store cloud-mock idp ## Rotate certificates and truststores a hundred times under load (ROTATIONS=100)
	SALLYPORT_ROTATIONS=$(ROTATIONS) $(GOTEST) -count=1 -run 'Rotations?UnderLoad|RotationWhileTokens' ./integration

# What a browser shows where a test fails is kept below bin/_artifacts.
.PHONY: test-browser
test-browser: chromium build envoy browser-driver ## Sign in to an example's page with a real browser (CHROMIUM=chromium)
	SALLYPORT_BROWSER="$$(command -v '$(CHROMIUM)')" $(GOTEST) -count=1 -v -run '^TestTheAppInARealBrowser$$' \
		-artifacts -outputdir '$(CURDIR)/bin' ./integration

.PHONY: fuzz
fuzz: ## Fuzz each target in turn (FUZZTIME=30s)
	tools/fuzz $(FUZZTIME)

.PHONY: bench
bench: build envoy object-store idp ## Run the benchmarks (BENCH=regexp)
	go test -run '^$$' -bench '$(BENCH)' -benchmem -p 1 -timeout 60m ./...

## Generating and checking

.PHONY: lint
lint: $(TOOLS)/golangci-lint $(TOOLS)/buf ## Run golangci-lint and buf lint
	$(TOOLS)/golangci-lint run ./...
	$(TOOLS)/buf lint

.PHONY: generate
generate: $(TOOLS)/buf $(TOOLS)/protoc-gen-go $(TOOLS)/protoc-gen-go-grpc ## Generate Go from .proto, and docs/reference
	PATH='$(CURDIR)/$(TOOLS)':"$$PATH" $(TOOLS)/buf generate
	$(MAKE) --no-print-directory build
	bin/sallyport reference docs/reference

.PHONY: check-generated
check-generated: ## Fail when `make generate` would change anything
	tools/check-generated

## Tools

.PHONY: tools
tools: envoy $(TOOLS)/buf $(TOOLS)/protoc-gen-go $(TOOLS)/protoc-gen-go-grpc ## Fetch the pinned Envoy and build the generators

.PHONY: envoy
envoy:
	@tools/install-envoy

.PHONY: object-store
object-store: $(TOOLS)/versitygw ## Build the S3 server that tests start (two minutes, once)

# It has a go.mod of its own, because it and the generators would quarrel over what both need.
$(TOOLS)/versitygw: tools/versitygw/go.mod tools/versitygw/go.sum
	go build -modfile=tools/versitygw/go.mod -o $@ github.com/versity/versitygw/cmd/versitygw
	@touch $@

.PHONY: cloud-mock
cloud-mock: ## Install the server that stands for Secrets Manager and KMS in tests
	@tools/install-moto

.PHONY: idp
idp: ## Install the identity provider that integration tests start
	@tools/install-npm idp oidc-provider

# It is the system's own, and nothing of the system's is installed here.
.PHONY: chromium
chromium:
	@command -v '$(CHROMIUM)' >/dev/null || { echo 'there is no $(CHROMIUM): install it (Debian: apt-get install chromium)' \
		'or name another, as in `make test-browser CHROMIUM=/path/to/chrome`' >&2; exit 1; }

.PHONY: browser-driver
browser-driver:
	@tools/install-npm browser playwright-core

$(TOOLS)/buf:                package := github.com/bufbuild/buf/cmd/buf
$(TOOLS)/protoc-gen-go:      package := google.golang.org/protobuf/cmd/protoc-gen-go
$(TOOLS)/protoc-gen-go-grpc: package := google.golang.org/grpc/cmd/protoc-gen-go-grpc
$(TOOLS)/golangci-lint:      package := github.com/golangci/golangci-lint/v2/cmd/golangci-lint

# The pins are tools/go.mod and its sums; touch, because go leaves an unchanged binary's time alone.
$(TOOLS)/buf $(TOOLS)/protoc-gen-go $(TOOLS)/protoc-gen-go-grpc $(TOOLS)/golangci-lint: tools/go.mod tools/go.sum
	go build -modfile=tools/go.mod -o $@ $(package)
	@touch $@

.PHONY: clean
clean: ## Remove what make has built and fetched
	rm -rf bin .tools
