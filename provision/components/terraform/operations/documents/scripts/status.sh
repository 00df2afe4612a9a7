# shellcheck shell=bash disable=SC2154  # prelude.sh stands before it, SSM sets the variables
given SSM_format
if [ "$SSM_format" = json ]; then
    beginning "$status_limit" t0rn-agent status --json
else
    beginning "$status_limit" t0rn-agent status
fi
