# shellcheck shell=bash
# What a clean-up removes, keeps and names. Sourced by tests/infrastructure/commands, after answers.sh.
# shellcheck disable=SC2154

# ago TIME: then, as EC2 writes it.
ago() {
    date --utc --date "$1 ago" +%FT%T+00:00
}

answers get-parameter ami-00000000000000001
answers describe-auto-scaling-groups '{"AutoScalingGroups": []}'
answers describe-launch-configurations '{"LaunchConfigurations": []}'
answers describe-images '{"Images": []}'
# What a boot test left costs, and another one may be at work: both are a person's to judge.
answers describe-instances "{\"Reservations\": [{\"Instances\": [{\"InstanceId\": \"i-0000000000000000a\", \"LaunchTime\": \"$(ago '2 hours')\"}, {\"InstanceId\": \"i-0000000000000000b\", \"LaunchTime\": \"$(ago '5 minutes')\"}]}]}"
told "$root/packer/prune"
asks "Name=tag:t0rn-agent:name,Values=t0rn-collator Name=tag:Name,Values=t0rn-collator-boot-test Name=instance-state-name,Values=pending,running,stopping,stopped"
says "prune: eu-central-1: end i-0000000000000000a, unless a boot test is at work: aws ec2 terminate-instances --region eu-central-1 --instance-ids i-0000000000000000a"
keeps_silent i-0000000000000000b
asks_not "ec2 terminate-instances"
holds "a clean-up that only names something fails: $said" [ "$status" = 0 ]
rm "$work/answers/describe-instances"
