# What a person types here; `make` alone lists the targets.

SHELL  := /bin/bash
CACHE  := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/t0rn-agent
OUT    := $(abspath $(or $(CARGO_TARGET_DIR),target))
TRIPLE := x86_64-unknown-linux-gnu
STATIC := $(OUT)/$(TRIPLE)/release
# Packed relocations are a twentieth of the file, and of the resident memory.
STATIC_FLAGS := -C target-feature=+crt-static -C link-arg=-Wl,-z,pack-relative-relocs
# Tools that tests/tools/setup keeps outside the tree.
export PATH := $(CACHE)/bin:$(PATH)
# What the tests and the benchmark are about.
export T0RN_AGENT_BIN := $(STATIC)/t0rn-agent
export T0RN_SIM_BIN := $(STATIC)/sim-collator
# What packer/bake wrote.
BAKED  := target/bake/$(or $(NAME),t0rn-collator)
# What cannot run on this machine writes one line here: `SKIPPED: what: why`.
export T0RN_SKIP_FILE := $(OUT)/skipped

.DEFAULT_GOAL := help
.PHONY: help demo test check build deb bench clean fmt clippy unit engine package deny shell docs image \
        bake bake-boot bake-publish bake-prune bake-test workflows provision provision-e2e

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: build ## watch a collator being pulled, run, lost and brought back (DEMO_KEEP=1: then stay up)
	@tests/tools/setup jq
	@tests/tools/with-engine.sh $(if $(DEMO_KEEP),--host-network) tests/demo/run $(STATIC)

test: ## everything: format, lints, unit tests, a real engine, a booted machine, licences, shell, documents
	@mkdir -p $(OUT) && : > $(T0RN_SKIP_FILE)
	@status=0; $(MAKE) --no-print-directory --keep-going fmt clippy deny shell workflows unit docs provision engine package image bake-test || status=$$?; \
	 echo; sort -u $(T0RN_SKIP_FILE); exit $$status

check: fmt clippy unit ## the quick loop: format, lints, unit tests

build: ## the static release binary: target/release/t0rn-agent
	RUSTFLAGS='$(STATIC_FLAGS)' cargo build --locked --release --workspace --bins --target $(TRIPLE)
	@install -D -t $(OUT)/release $(STATIC)/t0rn-agent

deb: build ## the Debian package: target/debian/t0rn-agent_VERSION_amd64.deb
	@rm -rf $(OUT)/man && mkdir -p $(OUT)/man $(OUT)/debian
	cargo run --locked --quiet --package t0rn-agent --example man -- $(OUT)/man
	dist/debian/build $(STATIC)/t0rn-agent $(OUT)/man $(OUT)/debian

bench: build deb ## restart time against Docker's own policy, memory, CPU, size, replay, boot of an image (BENCH_MINUTES=60: the full hour)
	@tests/tools/setup zstd
	@tests/tools/with-engine.sh $(STATIC)/bench
	@for tool in rootfs packer aws jq; do tests/tools/setup $$tool || true; done
	@cargo test --locked --quiet -p t0rn-agent-tests --test bake_image boots_twice # prints both boots

bake: ## bake an image of the collator that CONFIG=agent.toml describes: docs/bake.md
	packer/bake $(or $(CONFIG),$(error CONFIG has to be the agent.toml of the collator))

bake-boot: ## start an instance from the baked image and validate it
	packer/boot-test $(BAKED) $(or $(CONFIG),$(error CONFIG has to be the agent.toml of the collator))

bake-publish: ## make the baked image the current one
	packer/publish $(BAKED)

bake-prune: ## remove old images, but the newest KEEP, the current one and those in use
	packer/prune

clean: ## remove what was built here
	cargo clean

fmt:
	cargo fmt --all --check

clippy:
	cargo clippy --locked --workspace --all-targets -- -D warnings
	cargo clippy --locked -p t0rn-agent-tests --test package --test image --test bake_image -- -D warnings

unit:
	cargo test --locked --workspace --exclude t0rn-agent-tests --exclude agent-docker
	cargo test --locked -p agent-docker --lib

engine: build
	@tests/tools/setup prometheus || true # without it, the tests that need it say that they are skipped
	@for tool in chromium jq zstd minisign; do tests/tools/setup $$tool || true; done # the same
	tests/tools/with-engine.sh cargo test --locked -p agent-docker --test docker
	tests/tools/with-engine.sh cargo test --locked -p t0rn-agent-tests --no-fail-fast

package: deb
	@for tool in rootfs lintian; do tests/tools/setup $$tool || true; done # without them, the tests say that they are skipped
	cargo test --locked -p t0rn-agent-tests --no-fail-fast --test package

# Builds, boots and throws away machines; no account is needed.
bake-test: deb
	@for tool in rootfs packer aws jq; do tests/tools/setup $$tool || true; done # without them, the tests say that they are skipped
	cargo test --locked -p t0rn-agent-tests --no-fail-fast --test bake_image

workflows:
	@tests/tools/setup shellcheck && tests/tools/setup actionlint
	actionlint

image: deb
	@tests/tools/setup rootfs || true # without it, the tests say that they are skipped
	cargo test --locked -p t0rn-agent-tests --no-fail-fast --test image

deny:
	@tests/tools/setup deny && mkdir -p $(OUT)
	cargo deny --log-level error check --hide-inclusion-graph licenses bans sources
	@if timeout 120 cargo deny --log-level off fetch db; then cargo deny check --hide-inclusion-graph advisories; \
	 else echo 'SKIPPED: advisories: the RustSec database cannot be fetched from here' | tee -a $(T0RN_SKIP_FILE); fi

shell:
	@tests/tools/setup shellcheck
	shellcheck -x $$(git ls-files -z ':!*.tftpl' | xargs -0 grep -lIE '^#!.*(bash|/sh)$$')

docs: build
	tests/tools/docs $(STATIC)/t0rn-agent

provision: build
	@for tool in provider checkov tflint atmos jq rootfs; do tests/tools/setup $$tool || true; done # without them, what needs them is reported as skipped
	tests/infrastructure/provision
	tests/infrastructure/stacks
	tests/infrastructure/ssm-documents
	tests/infrastructure/pins

# Applied, planned again, destroyed: with PROVIDER, a real terraform-provider-aws, against an emulated AWS. Not part of `test`.
provision-e2e:
	tests/infrastructure/provision-e2e "$(PROVIDER)" $(STACK)
