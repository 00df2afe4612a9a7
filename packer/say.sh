# shellcheck shell=bash
# How a step of the pipeline speaks, and ends.

say() {
    echo "${0##*/}: $*"
}

die() {
    echo "${0##*/}: $*" >&2
    exit 1
}
