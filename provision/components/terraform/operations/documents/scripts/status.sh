# shellcheck shell=bash disable=SC2154  # prelude.sh stands before it, SSM sets the variables
given SSM_format SSM_accept
code=0
if [ "$SSM_format" = json ]; then
    beginning "$status_limit" t0rn-agent status --json || code=$?
else
    beginning "$status_limit" t0rn-agent status || code=$?
fi
accepted "$code" "$SSM_accept"
