# shellcheck shell=bash disable=SC2154  # prelude.sh stands before it, SSM sets the variables
given SSM_lines
ending "$output_limit" t0rn-agent logs --lines="$SSM_lines"
