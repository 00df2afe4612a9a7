# shellcheck shell=bash disable=SC2154  # prelude.sh stands before it, SSM sets the variables
given SSM_duration SSM_reason
beginning "$output_limit" t0rn-agent pause --for="$SSM_duration" --reason="$SSM_reason"
