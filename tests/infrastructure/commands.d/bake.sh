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

# leads ROUTE…: the routes of the subnet, each DESTINATION=TARGET or DESTINATION=TARGET=STATE.
leads() {
    answers describe-route-tables "$(jq --null-input --compact-output '[$ARGS.positional[] | split("=") |
        (if .[0] | startswith("pl-") then {DestinationPrefixListId: .[0]} elif .[0] | contains(":") then {DestinationIpv6CidrBlock: .[0]}
         else {DestinationCidrBlock: .[0]} end) +
        (if .[1] | startswith("nat-") then {NatGatewayId: .[1]} elif .[1] | startswith("eigw-") then {EgressOnlyInternetGatewayId: .[1]}
         elif .[1] | startswith("tgw-") then {TransitGatewayId: .[1]} else {GatewayId: .[1]} end) + {State: (.[2] // "active")}] |
        {RouteTables: [{Routes: .}]}' --args 10.9.0.0/24=local "$@")"
}

# routed SETTING…: a bake in a subnet of which `leads` said the routes.
routed() {
    baking FROM=genesis SUBNET=subnet-0123456789abcdef0 "$@"
}

answers describe-subnets 127.0.0.0/28
session="PROFILE=builder" private="PKR_VAR_ssh_interface=private_ip PKR_VAR_security_group_id=sg-0123456789abcdef0" public="PKR_VAR_ssh_interface=public_ip"
# A subnet with no way out, or with one that is gone, or to S3 alone.
for route in 10.0.0.0/8=tgw-1 pl-1=vpce-1 0.0.0.0/0=nat-1=blackhole; do
    leads "$route"
    for setting in "$session" "$private"; do
        # shellcheck disable=SC2086  # one word each
        routed $setting
        says "bake: give subnet-0123456789abcdef0 a default route (0.0.0.0/0 to a NAT gateway), or set SUBNET to a subnet that has one"
        keeps_silent "the chain starts from"
    done
done
says "0.0.0.0/0 leads to nat-1, which is gone"
leads 203.0.113.0/24=igw-1
routed "$public"
says "bake: give subnet-0123456789abcdef0 a default route"
# A base of one's own may know a mirror and a registry in its network.
leads 10.0.0.0/8=tgw-1
answers describe-images "$architecture"
routed "$session" PKR_VAR_source_ami=ami-0123456789abcdef0
says "bake: subnet-0123456789abcdef0 has no default route: the builder comes as far as what source_ami knows there"
says "the chain starts from"
rm "$work/answers/describe-images"
for route in 0.0.0.0/0=nat-1 0.0.0.0/0=tgw-1 0.0.0.0/0=vpce-1 ::/0=eigw-1 128.0.0.0/1=vgw-1 pl-1=tgw-1; do
    leads "$route" pl-2=vpce-2
    for setting in "$session" "$private"; do
        # shellcheck disable=SC2086  # one word each
        routed $setting
        says "the chain starts from"
    done
done
leads 0.0.0.0/0=igw-1
routed "$public"
says "the chain starts from"
routed "$session"
says "is a public subnet, and the builder has no public address there"
leads 0.0.0.0/0=igw-1=blackhole
routed "$public"
says "has no route to an internet gateway"
# A subnet without a table of its own has the main one.
answers describe-route-tables '{"RouteTables": []}' '{"RouteTables": [{"Routes": [{"DestinationCidrBlock": "0.0.0.0/0", "NatGatewayId": "nat-1", "State": "active"}]}]}'
routed "$session"
asks "Name=association.main,Values=true"
says "the chain starts from"

# What the remedy names is there, and is made before it is needed.
answers describe-vpcs ''
baking FROM=genesis
says "bake: set SUBNET to a private subnet, such as one of infra/vpc (provision/README.md, step 3, makes it first), and PROFILE"
says ": eu-central-1 has no default VPC"
step=$(awk '/^[0-9]+[.] [*][*]/ { on = $1 == "3." } on' "$root/provision/README.md")
for words in 'make bake CONFIG=' 'atmos terraform apply infra/vpc -s ' 'private_subnet_ids' 'export SUBNET=subnet-… PROFILE=' 'FROM='; do
    holds "step 3 of provision/README.md, which the message names, has no \"$words\"" has "$step" "$words"
done
holds "infra/vpc puts out no private_subnet_ids" grep -q '^output "private_subnet_ids" {' "$root/provision/components/terraform/infra/vpc/outputs.tf"
