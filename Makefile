# The commands of daily work. Each installs what it needs and this machine lacks.

# cargo and the tools that `scripts/install` adds.
export PATH := $(HOME)/.cargo/bin:$(PATH)
SECONDS ?= 60
PART ?= store
# How nextest runs: see .config/nextest.toml.
NEXTEST_PROFILE ?= $(if $(CI),ci,default)

.PHONY: help run build test lint settings-page e2e e2e-quick soak fuzz bench

help: ## this list
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

run: ## build, and start a demo mail server on this machine
	@scripts/install run
	@cargo run --locked -p hikyaku -- demo --data demo-data

build: ## build the program: target/release/hikyaku
	@scripts/install run
	cargo build --locked --release -p hikyaku

test: ## the test suite, with lints and house rules
	@scripts/install test
	scripts/lint
	cargo test --quiet --locked --workspace --doc
	scripts/with-postgres cargo nextest run --locked --workspace --profile $(NEXTEST_PROFILE)

lint: ## formatting and clippy alone
	@scripts/install test
	scripts/lint

settings-page: ## write docs/settings.md from the code
	@scripts/install run
	cargo run --quiet --locked -p hikyaku -- make settings-page > docs/settings.md.new
	mv docs/settings.md.new docs/settings.md

e2e: ## the program against foreign clients and peers
	@scripts/install e2e
	tests/e2e/run

e2e-quick: ## the part of e2e that takes minutes
	@scripts/install quick
	tests/e2e/run --quick

soak: ## tests that run for long: ignored ones with `soak` in their name
	@scripts/install test
	scripts/with-postgres cargo nextest run --locked --workspace --profile soak --run-ignored only -E 'test(soak)'

fuzz: ## every fuzz target for SECONDS each (60)
	@scripts/install fuzz
	scripts/fuzz all $(SECONDS)

bench: ## measure PART (store, inbound, flood, imap, access, directory, search)
	@scripts/install bench
	cargo build --locked --release -p hikyaku -p hikyaku-bench
	cargo run --locked --release -p hikyaku-bench -- $(PART)
