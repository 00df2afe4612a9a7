# shellcheck shell=bash
# What ask and fleet share: the AWS CLI, and parameters of a document.

for program in aws jq; do
    command -v "$program" >/dev/null || { echo "${0##*/}: $program is not installed" >&2; exit 2; }
done

# An address that does not answer is not waited for by the CLI's own minute, five times over.
aws() {
    command aws "$@" --cli-connect-timeout 10
}

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
