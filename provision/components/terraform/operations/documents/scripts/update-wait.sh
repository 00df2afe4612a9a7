# shellcheck shell=bash disable=SC2154,SC2034  # prelude.sh stands before it, SSM sets the variables
given SSM_image SSM_accept
patience=7000
beginning "$output_limit" t0rn-agent update --image="$SSM_image" --wait || exit
patience=60 code=0
beginning "$status_limit" t0rn-agent status || code=$?
accepted "$code" "$SSM_accept"
