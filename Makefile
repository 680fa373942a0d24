# Gantry. `make` lists the targets.
.DEFAULT_GOAL := help
SHELL := /bin/sh
PREFIX ?= /usr/local
BUN := scripts/bun

.PHONY: help setup native sanitize build demo test check test-unit test-system fuzz soak bench install clean fmt

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# setfattr and getfattr: an outside hand and eye for extended attributes in archives.
test test-unit test-system: export SETUP_EXTRA = setfattr:attr bsdtar:libarchive-tools gpg:gnupg gpgv:gpgv skopeo:skopeo umoci:umoci pebble:pebble docker-registry:docker-registry /usr/lib/postgresql/15/bin/initdb:postgresql-15 sqlite3:sqlite3 python3:python3 pip3:python3-pip tinyproxy:tinyproxy-bin openssl:openssl runc:runc crun:crun dockerd:docker.io podman:podman mmdebstrap:mmdebstrap conmon:conmon newuidmap:uidmap /usr/sbin/sshd:openssh-server ssh-keygen:openssh-client

setup: ## install what building and testing need (npm packages; Debian packages by apt as root)
	@scripts/setup

native: setup ## build gantry-init and sys.node
	@$(MAKE) --no-print-directory -C native

sanitize: native # gantry-init with address and undefined-behaviour sanitizers, for the tests
	@$(MAKE) --no-print-directory -C native sanitize
	@scripts/sanitize-oci

build: native ## build dist/gantry and dist/gantry-oci
	@scripts/build

demo: build ## bootstrap a base image, build examples/web, run it, fetch its page, clean up
	@scripts/demo

check: native ## static checks: types, lint, format, unused code
	@scripts/check

test-unit: native ## unit tests: no root, no network
	@$(BUN) test src

test-system: build sanitize ## tests on the real kernel, with real clients, and with faults (root)
	@scripts/test-system

fuzz: sanitize ## MINUTES=10 of hostile configs and plans, half of the time each, then as long of archives, manifests and names
	@$(BUN) test/fuzz/config-fuzz.ts $(or $(MINUTES),10) $(SEED)
	@$(BUN) test/fuzz/image-fuzz.ts $(or $(MINUTES),10) $(SEED)

test: build sanitize ## everything, then the clean-up check
	@scripts/test

soak: build ## for half an hour: 10,000 cycles of gantry-oci, 20,000 of the engine, 5,000 containers at once (root)
	@$(BUN) test/soak/oci-cycles.ts
	@$(BUN) test/soak/engine-cycles.ts
	@$(BUN) test/soak/engine-crowd.ts

bench: build ## side by side with docker.io, podman and runc; fails when a ratio is missed
	@scripts/bench

install: build ## install into PREFIX
	@scripts/install "$(PREFIX)"

fmt: setup ## format the sources
	@$(BUN) fmt

clean: ## remove what was built
	@rm -rf build dist bench/out
	@$(MAKE) --no-print-directory -C native clean
