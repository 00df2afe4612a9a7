# shellcheck shell=bash disable=SC2154  # prelude.sh stands before it, SSM sets the variables
given SSM_image
beginning "$output_limit" t0rn-agent update --image="$SSM_image"
