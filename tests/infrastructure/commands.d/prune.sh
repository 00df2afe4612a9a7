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

# pruned: a clean-up of all images but one, of which the last, an old one, is removed unless something uses it.
pruned() {
    told env KEEP=1 "$root/packer/prune"
}

# by IMAGE: one version of a launch template that starts instances from it.
by() {
    printf '{"LaunchTemplateVersions": [{"LaunchTemplateName": "other", "VersionNumber": 3, "LaunchTemplateData": {"ImageId": "%s"}}]}' "$1"
}

answers describe-images '{"Images": [{"ImageId": "ami-00000000000000001", "State": "available", "CreationDate": "2026-02-01", "Name": "b"}, {"ImageId": "ami-00000000000000002", "State": "available", "CreationDate": "2026-01-01", "Name": "a"}]}'
answers describe-image-attribute '{"LaunchPermissions": []}'
old="ec2 deregister-image --image-id ami-00000000000000002"
pruned
asks "$old"
answers describe-launch-templates lt-0123456789abcdef0
# Its default version, and its latest: each of them is resolved.
ours=resolve:ssm:/t0rn-agent/t0rn-collator/ami
answers describe-launch-template-versions "$(by $ours)" "$(by ami-00000000000000002)"
pruned
asks "--resolve-alias"
asks_not "$old"
says "prune: eu-central-1: ami-00000000000000002 stays, it is named by launch template other, version 3"
answers describe-launch-template-versions "$(by $ours)" "$(by ami-00000000000000001)" "$(by $ours)" "$(by ami-00000000000000001)"
pruned
asks "$old"
# Unknown is not unused: refused, without the parameter, or by an AWS CLI or an API that does not resolve it.
refusals=('!UnauthorizedOperation You are not authorized to perform: ssm:GetParameters' '!InvalidParameterValue No such parameter'
    '!InvalidAMIID.NotFound It is not there' lost "$(by $ours)" '')
for refusal in "${refusals[@]}"; do
    refused=("$refusal")
    [ "$refusal" != lost ] || for _ in {1..7}; do refused+=(lost); done
    # The default version, and the latest one, which is the same.
    answers describe-launch-template-versions "$(by $ours)" "${refused[@]}" "$(by $ours)" "${refused[@]}"
    pruned
    asks_not "$old"
    says "prune: eu-central-1: see that the parameter is there, and allow ssm:GetParameters on it to these credentials: no image is removed"
    says "one /t0rn-agent/t0rn-collator/ami is, of launch template other, version 3"
    says "prune: eu-central-1: ami-00000000000000002 stays, it may be the one of launch template other, version 3"
    holds "$refusal: it is said more than once: $said" [ "$(grep -c 'see that the parameter' <<<"$said")" = 1 ]
    holds "$refusal: a clean-up that keeps something fails: $said" [ "$status" = 0 ]
done
# A parameter of Amazon's names no image of this account, and needs no right.
for public in /aws/service/debian/release/12/latest/amd64 arn:aws:ssm:eu-central-1::parameter/aws/service/debian/release/12/latest/amd64; do
    answers describe-launch-template-versions "$(by "resolve:ssm:$public")"
    pruned
    asks "$old"
    asks_not "--resolve-alias"
done
