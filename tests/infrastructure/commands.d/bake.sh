# shellcheck shell=bash
# What a bake asks AWS before it begins. Sourced by tests/infrastructure/commands, after answers.sh.
# shellcheck disable=SC2154

mkdir "$work/downloads"
printf '%s x\n' amazon-ssm-agent amazon-cloudwatch-agent >"$work/downloads/verified"
stand_in session-manager-plugin <<<'#!/bin/sh'
answers describe-instance-types "$architecture"
answers describe-vpcs vpc-0123456789abcdef0
answers get-parameter '!ParameterNotFound none'

# baking SETTING…: with these, up to where the image is made.
baking() {
    told env PKR_VAR_downloads="$work/downloads" "$@" "$root/packer/bake" "$work/agent.toml"
}

# Days of a sync are nobody's default.
baking FROM=
says "bake: choose where the chain starts: FROM=snap-… "
says "FROM=genesis"
says "no image is current as NAME=t0rn-collator in eu-central-1, and no seed is set"
keeps_silent "the chain starts from"
baking FROM=current
says "bake: choose where the chain starts"
for start in "FROM=genesis" "FROM= PKR_VAR_seed_url=https://example.org/chain.tar PKR_VAR_seed_sha256=1234"; do
    # shellcheck disable=SC2086  # one word each
    baking $start
    says "bake: the chain starts from "
done
