#!/bin/bash
# Begins the script of every document. A parameter arrives as the environment variable SSM_name and is only ever used
# within quotes: the text of a script is the same whatever is handed in.
set -uo pipefail
export LC_ALL=C.UTF-8

# What comes back of a command: GetCommandInvocation returns 24,000 characters, list calls 2,500.
# shellcheck disable=SC2034  # the scripts use them
readonly output_limit=23900 status_limit=2499
# For how long a command of the agent is waited for, in seconds.
patience=60

# given NAME...: an SSM agent that cannot pass parameters as variables would leave them unset.
given() {
    local name
    for name; do
        if [ -z "${!name+set}" ]; then
            echo "parameter ${name#SSM_} did not arrive: update the SSM agent to 3.3.2746.0 or newer (document AWS-UpdateSSMAgent)" >&2
            exit 64
        fi
    done
}

# beginning LIMIT COMMAND...: at most LIMIT characters of what it says, the oldest; its exit code.
beginning() {
    local limit=$1 output code=0
    shift
    output=$(timeout "$patience" "$@" 2>&1 | { head -c 100000; cat >/dev/null; }) || code=$?
    printf '%s\n' "${output:0:limit}"
    return $code
}

# ending LIMIT COMMAND...: the same, the newest.
ending() {
    local limit=$1 output code=0
    shift
    output=$(timeout "$patience" "$@" 2>&1 | tail -c 100000) || code=$?
    [ ${#output} -le "$limit" ] || output=${output: -limit}
    printf '%s\n' "$output"
    return $code
}

# accepted CODE WORST: the exit code of a status, 0 where its health is no worse than WORST.
accepted() {
    [ "$1 $2" != "1 degraded" ] || return 0
    return "$1"
}

