# shellcheck shell=bash disable=SC2154  # prelude.sh stands before it, SSM sets the variables
beginning "$output_limit" t0rn-agent check
