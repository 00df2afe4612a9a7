# shellcheck shell=bash
# What ask and fleet share: requests to AWS, and parameters of a document.
# shellcheck source=provision/aws.sh
. "${BASH_SOURCE[0]%/*}/aws.sh"

needed aws jq

# checked_parameters NAME PARAMETER=VALUE…: exit 2 where one is none.
checked_parameters() {
    local name=$1 pair
    shift
    for pair; do
        [[ $pair = ?*=* ]] || { echo "$name: $pair is no parameter: write it as PARAMETER=VALUE, such as lines=500" >&2; exit 2; }
    done
}

# parameters PARAMETER=VALUE…: the same as JSON, whatever is in a value.
parameters() {
    local pair
    for pair; do
        jq -n --arg pair "$pair" '$pair | index("=") as $i | {(.[:$i]): [.[$i + 1:]]}'
    done | jq -cs 'add // {}'
}
