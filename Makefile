# What a person types here; `make` alone lists the targets.

SHELL  := /bin/bash
CACHE  := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/t0rn-agent
OUT    := $(abspath $(or $(CARGO_TARGET_DIR),target))
# The processor that is built for, in Debian's words: amd64 or arm64. For arm64 on amd64: apt-get install gcc-aarch64-linux-gnu
# libc6-dev-arm64-cross, and rustup target add aarch64-unknown-linux-gnu.
HOST   := $(if $(filter aarch64,$(shell uname -m)),arm64,amd64)
ARCH   := $(HOST)
CPU    := $(or $(if $(filter amd64,$(ARCH)),x86_64),$(if $(filter arm64,$(ARCH)),aarch64),$(error ARCH=$(ARCH) is neither amd64 nor arm64))
TRIPLE := $(CPU)-unknown-linux-gnu
STATIC := $(OUT)/$(TRIPLE)/release
# Packed relocations are a twentieth of the file, and of the resident memory; of functions with the same code (generics
# make many) the linker keeps one; tables for unwinding are a tenth of the file.
# Names of files in messages of a panic do not say where it was built, so that every build gives the same bytes.
CARGO_SOURCES := $(or $(CARGO_HOME),$(HOME)/.cargo)/registry/src
STATIC_FLAGS := --remap-path-prefix=$(CARGO_SOURCES)= -C target-feature=+crt-static -C link-arg=-Wl,-z,pack-relative-relocs -C link-arg=-Wl,--icf=all \
	-C link-arg=-Wl,--no-eh-frame-hdr -C link-arg=-Wl,-T,agent/cli/sections.ld
ifeq ($(ARCH),arm64)
# Rust's own linker, which is the default on amd64 alone.
STATIC_FLAGS += -C link-arg=-fuse-ld=lld -C link-arg=-B$(dir $(shell find "$$(rustc --print sysroot)" -path '*/gcc-ld/ld.lld'))
endif
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER := aarch64-linux-gnu-gcc
# Tools that tests/tools/setup keeps outside the tree.
export PATH := $(CACHE)/bin:$(PATH)
# The same program for this machine, where ARCH is another one.
HERE   := $(if $(filter-out $(HOST),$(ARCH)),$(OUT)/debug/t0rn-agent)
# What the tests and the benchmark are about.
export T0RN_AGENT_BIN := $(STATIC)/t0rn-agent
export T0RN_SIM_BIN := $(STATIC)/sim-collator
# What packer/bake wrote.
BAKED  := target/bake/$(or $(NAME),t0rn-collator)
# What cannot run on this machine writes one line here: `SKIPPED: what: why`.
export T0RN_SKIP_FILE := $(OUT)/skipped

.DEFAULT_GOAL := help
.PHONY: help demo pictures test nightly chaos fuzz mutants arm64 reproducible check build here deb oci apt-repository book sbom bench clean fmt clippy unused unit engine machines package image bake-test deny shell \
        docs workflows provision provision-e2e terraform-docs bake bake-boot bake-publish bake-prune

# What needs the processor, one after the other; then what mostly waits, side by side.
CHECKS       := fmt clippy unused deny shell workflows unit docs
SIDE_BY_SIDE := engine machines provision provision-e2e
# All of them choose from the same packages, so that no dependency is built twice.
NEXTEST := cargo nextest run --locked --workspace

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: build ## watch a running collator being taken over, then one being pulled, lost and brought back (DEMO_KEEP=1: then stay up)
	@tests/tools/setup jq
	@tests/tools/with-engine.sh $(if $(DEMO_KEEP),--host-network) tests/demo/run $(STATIC)

pictures: build ## the pictures of README.md, taken from the demo: docs/images
	@tests/tools/setup jq chromium
	@mkdir -p $(OUT)/pictures
	cargo build --locked --quiet --package t0rn-agent-tests --example picture
	install -t $(OUT)/pictures $(STATIC)/t0rn-agent $(STATIC)/sim-collator $(OUT)/debug/examples/picture
	DEMO_PICTURES=$(CURDIR)/docs/images tests/tools/with-engine.sh tests/demo/run $(OUT)/pictures | tee $(OUT)/pictures/demo.txt
	tests/demo/terminal-picture 'The collator freezes' <$(OUT)/pictures/demo.txt >docs/images/terminal.svg

test: ## everything: format, lints, unit tests, a real engine, a booted machine, licences, shell, documents
	@mkdir -p $(OUT) && : > $(T0RN_SKIP_FILE)
	@status=0; $(MAKE) --no-print-directory --keep-going $(CHECKS) || status=$$?; \
	 echo 'Side by side, each shown when it is over: $(SIDE_BY_SIDE)'; \
	 $(MAKE) --no-print-directory --keep-going --jobs --output-sync=target $(SIDE_BY_SIDE) || status=$$?; \
	 echo; sort -u $(T0RN_SKIP_FILE); exit $$status

nightly: ## what takes hours: simulated lives, schedules of two hosts, chaos, fuzzing, mutants (SIMULATION_SEEDS=1000 CHAOS_MINUTES=120 MINUTES=60)
	SIMULATION_SEEDS=$(or $(SIMULATION_SEEDS),500) cargo test --locked --profile nightly --package agent-simulation -- two_hosts --nocapture
	SIMULATION_SEEDS=$(or $(SIMULATION_SEEDS),1000) cargo test --locked --profile nightly --package agent-simulation -- lives_with --nocapture
	SIMULATION_SEEDS=$(or $(SIMULATION_SEEDS),1000) cargo test --locked --profile nightly --package agent-core --lib -- simulation::lives_with --nocapture
	$(MAKE) --no-print-directory chaos CHAOS_MINUTES=$(or $(CHAOS_MINUTES),120)
	$(MAKE) --no-print-directory fuzz MINUTES=$(or $(MINUTES),60)
	$(MAKE) --no-print-directory mutants SHARD=$$((10#$$(date +%j) % 28))/28

chaos: build ## random faults of everything around the agent (CHAOS_MINUTES=10, T0RN_TEST_SEED=n repeats one)
	CHAOS_MINUTES=$(or $(CHAOS_MINUTES),10) tests/tools/with-engine.sh \
	 cargo test --locked --package t0rn-agent-tests --test chaos -- --nocapture

fuzz: ## bytes that break a parser, searched for MINUTES=10 in all (TARGETS="redaction archive": these alone)
	@tests/tools/setup fuzz
	tests/tools/fuzz $(or $(MINUTES),10) $(TARGETS)

mutants: ## changes of the code that no test notices (SHARD=3/28: a part of them; BASE=main: those of a change)
	@tests/tools/setup mutants nextest && mkdir -p $(OUT)
	@$(if $(BASE),git diff --no-ext-diff $(BASE)... >$(OUT)/change.diff)
	cargo mutants --workspace --cargo-arg=--locked --no-times --output $(OUT) $(if $(BASE),--in-diff $(OUT)/change.diff,--shard $(or $(SHARD),0/1) --sharding round-robin)

arm64: ## the package for arm64, cross-built, its program compared with this machine's and booted, both under emulation
	@tests/tools/setup arm64
	@rm -f $(OUT)/debian/t0rn-agent_*_arm64.deb
	$(MAKE) --no-print-directory build BINS='--package t0rn-agent'
	$(MAKE) --no-print-directory deb ARCH=arm64 BINS='--package t0rn-agent'
	tests/tools/emulated $(OUT)/debian/t0rn-agent_*_arm64.deb $(STATIC)/t0rn-agent

reproducible: ## the static binary, built twice at different places: the same bytes
	tests/tools/reproducible

check: fmt clippy unused unit ## the quick loop: format, lints, unused dependencies, unit tests

build: ## the static release binary: target/release/t0rn-agent
	RUSTFLAGS='$(STATIC_FLAGS)' cargo build --locked --release $(or $(BINS),--workspace --bins) --target $(TRIPLE)
	@$(if $(filter $(HOST),$(ARCH)),install -D -t $(OUT)/release $(STATIC)/t0rn-agent)

here:
	$(if $(HERE),cargo build --locked --quiet --package t0rn-agent)

deb: build here ## the Debian package: target/debian/t0rn-agent_VERSION_amd64.deb (ARCH=arm64: for that processor)
	@rm -rf $(OUT)/man && mkdir -p $(OUT)/man $(OUT)/debian
	cargo run --locked --quiet --package t0rn-agent --example man -- $(OUT)/man
	dist/debian/build $(STATIC)/t0rn-agent $(OUT)/man $(OUT)/debian $(HERE)

oci: build here ## the agent as a container image: target/oci/t0rn-agent_VERSION_amd64.oci.tar (ARCH=arm64: for that processor)
	@mkdir -p $(OUT)/oci
	dist/oci/build $(STATIC)/t0rn-agent $(OUT)/oci $(HERE)

apt-repository: ## a signed apt repository in target/apt, of what `make deb` built or of PACKAGES; dist/apt/build says which key
	@tests/tools/setup apt-utils gpg
	dist/apt/build $(OUT)/apt $(or $(PACKAGES),$(wildcard $(OUT)/debian/*.deb))

book: ## the documents as a book with a search: target/book/html/index.html
	@tests/tools/setup mdbook
	dist/book/build $(OUT)/book

sbom: ## the bill of materials: target/t0rn-agent.cdx.json (CycloneDX)
	@tests/tools/setup cyclonedx
	@mkdir -p $(OUT)
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) cargo cyclonedx --quiet --format json --spec-version 1.5 --target $(TRIPLE) \
	 --override-filename t0rn-agent.cdx
	@# It writes one for each crate of ours; where they lie here is left out.
	sed 's,path+file://$(CURDIR)/,,g' agent/cli/t0rn-agent.cdx.json >$(OUT)/t0rn-agent.cdx.json
	@rm -f */*/t0rn-agent.cdx.json

bench: build deb ## judgement beside other policies, restart time against Docker's own, memory, CPU, size, replay, boot of an image (BENCH_MINUTES=60: the full hour)
	@tests/tools/setup zstd
	@tests/tools/with-engine.sh $(STATIC)/bench
	@for tool in rootfs packer aws jq gpg; do tests/tools/setup $$tool || true; done
	@cargo test --locked --quiet -p t0rn-agent-tests --test bake_image boots_at_its_height # prints both boots

bake: ## bake an image of the collator that CONFIG=agent.toml describes: docs/bake.md
	packer/bake $(or $(CONFIG),$(error CONFIG has to be the agent.toml of the collator: make bake CONFIG=agent.toml))

bake-boot: ## start an instance from the baked image and validate it
	packer/boot-test $(BAKED) $(or $(CONFIG),$(error CONFIG has to be the agent.toml of the collator: make bake-boot CONFIG=agent.toml))

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
	cargo clippy --locked --workspace --test package --test image --test bake_image -- -D warnings

unused:
	@tests/tools/setup shear
	cargo shear

unit:
	@tests/tools/setup nextest
	@tests/tools/setup strace || true # without it, the tests of crash states are reported as skipped
	$(NEXTEST) -E 'not (package(t0rn-agent-tests) or binary(docker)) or binary(field)'

# Where a tool cannot be installed, the tests that need it are reported as skipped.
engine: build
	@tests/tools/setup nextest
	@for tool in prometheus openmetrics jsonnet chromium axe jq zstd minisign aws; do tests/tools/setup $$tool || true; done
	tests/tools/with-engine.sh $(NEXTEST) --profile engine -E '(package(t0rn-agent-tests) - binary(field)) or binary(docker)'

# Builds, boots and throws away machines; no account is needed.
machines: deb
	@tests/tools/setup nextest
	@for tool in rootfs lintian packer aws jq gpg apt-utils provider iam; do tests/tools/setup $$tool || true; done
	$(NEXTEST) --profile machines $(or $(MACHINES),--test package --test image --test bake_image)

package: MACHINES = --test package
image: MACHINES = --test image
bake-test: MACHINES = --test bake_image
package image bake-test: machines

workflows:
	@tests/tools/setup shellcheck && tests/tools/setup actionlint zizmor
	actionlint
	zizmor --offline --no-progress --quiet .github

deny:
	@tests/tools/setup deny && mkdir -p $(OUT)
	cargo deny --log-level error check --hide-inclusion-graph licenses bans sources
	@if timeout 120 cargo deny --log-level off fetch db; then cargo deny check --hide-inclusion-graph advisories; \
	 else echo 'SKIPPED: advisories: the RustSec database cannot be fetched from here' | tee -a $(T0RN_SKIP_FILE); fi

shell:
	@tests/tools/setup shellcheck
	shellcheck -x $$(git ls-files -z ':!*.tftpl' | xargs -0 grep -lIE '^(#!.*(bash|/sh)|# shellcheck shell=.*)$$')
	tests/tools/planted-faults --texts

docs: build
	tests/tools/docs $(STATIC)/t0rn-agent

provision: build
	@for tool in provider checkov tflint atmos iam jq rootfs aws terraform-docs prometheus; do tests/tools/setup $$tool || true; done # without them, what needs them is reported as skipped
	nice tests/infrastructure/provision
	nice tests/infrastructure/stacks
	tests/infrastructure/ssm-documents
	nice tests/infrastructure/fleet
	nice tests/infrastructure/prometheus
	tests/infrastructure/pins
	tests/infrastructure/environments
	tests/infrastructure/commands

terraform-docs: ## write the inputs and outputs of each Terraform component into its README.md
	@tests/tools/setup terraform-docs
	tests/infrastructure/terraform-docs/directories | xargs -n 1 terraform-docs --config provision/.terraform-docs.yml

# The life of each stack with a real terraform-provider-aws (PROVIDER, else the one that is found) and an emulated AWS. Terraform waits for
# most of the time: at the same priority as the others.
provision-e2e: provision-e2e-dev provision-e2e-prod
provision-e2e-%:
	tests/infrastructure/provision-e2e "$(PROVIDER)" t0rn-ec1-$*
