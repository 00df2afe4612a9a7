# shellcheck shell=bash disable=SC2154  # prelude.sh stands before it, SSM sets the variables
given SSM_id
if [ -n "$SSM_id" ]; then
    beginning "$output_limit" t0rn-agent incidents show -- "$SSM_id"
else
    beginning "$output_limit" t0rn-agent incidents list
fi
