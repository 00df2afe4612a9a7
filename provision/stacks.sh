# shellcheck shell=bash
# What Atmos knows of the stacks, for ask and reviewed: whatever the files look like, it is what Terraform gets.

# described ARGUMENT…: `atmos describe ARGUMENT…` as JSON, in `description`; it asks neither AWS nor Terraform.
described() {
    local errors
    needed atmos jq
    errors=$(mktemp)
    if description=$(cd "${BASH_SOURCE[0]%/*}" && atmos describe "$@" --format json 2>"$errors"); then
        rm -f "$errors"
        return
    fi
    echo "${0##*/}: Atmos does not say what is in provision/stacks: mend what it names, and see that atmos validate stacks passes: $(tr -s ' \n' ' ' <"$errors")" >&2
    rm -f "$errors"
    exit 2
}

# find_region STACK: that of its collator, in `region`. Exit 2 where there is no such stack.
find_region() {
    described stacks --sections vars --components t0rn-collator --skip terraform.output
    jq -e --arg stack "$1" 'has($stack)' <<<"$description" >/dev/null || {
        echo "${0##*/}: no stack of provision/stacks is called $1: there are $(jq -r 'keys | join(", ")' <<<"$description")" >&2
        exit 2
    }
    region=$(jq -r --arg stack "$1" '.[$stack].components.terraform["t0rn-collator"].vars.region // ""' <<<"$description")
    [ -n "$region" ] || { echo "${0##*/}: $1 has no region: it imports one of provision/stacks/mixins/region" >&2; exit 2; }
    is_region "$region" || { echo "${0##*/}: vars.region of $1 is $region, which is no region of AWS, such as eu-central-1" >&2; exit 2; }
}
