# shellcheck shell=bash
# The instance of a boot test ends with it, also where nobody learnt that it began. Sourced by tests/infrastructure/commands, after
# answers.sh.
# shellcheck disable=SC2154

# testing: a boot test, in a session of its own.
testing() {
    told env PROFILE=builder setsid --wait "$root/packer/boot-test" "$work/good" "$work/agent.toml"
}

answers describe-images "$architecture"
# In EC2 it is seen a while after it was started.
for failure in lost interrupted '!InternalError an internal error'; do
    answers run-instances "$failure"
    answers describe-instances '' '' i-0123456789abcdef0
    testing
    token=$(sed -nE 's/^ec2 run-instances .*--client-token ([^ ]+).*/\1/p' "$work/asked" | sort -u)
    holds "$failure: no token, or more than one: $token" [ "$(wc -w <<<"$token")" = 1 ]
    asks "ec2 describe-instances --filters Name=client-token,Values=$token "
    asks "ec2 terminate-instances --instance-ids i-0123456789abcdef0"
    says "boot-test: i-0123456789abcdef0 was started by a request whose answer was lost, and is terminated"
done
# One whose answer was lost at first, and which is refused then.
answers run-instances lost '!UnauthorizedOperation no'
answers describe-instances i-0123456789abcdef0
testing
asks "ec2 terminate-instances --instance-ids i-0123456789abcdef0"
# What EC2 does not show, and what may not be looked at, is told.
answers run-instances lost
answers describe-instances ''
testing
says "boot-test: see whether an instance runs, which costs: none was seen for two minutes by: aws ec2 describe-instances --filters Name=client-token,Values="
says " --region eu-central-1"
asks_not "ec2 terminate-instances"
holds "it is looked for $(grep -c describe-instances "$work/asked") times" [ "$(grep -c describe-instances "$work/asked")" -gt 20 ]
answers describe-instances '!UnauthorizedOperation no'
testing
says "boot-test: allow ec2:DescribeInstances to these credentials, and see whether an instance runs"
# A request that was refused started nothing.
answers run-instances '!UnauthorizedOperation no'
testing
says "boot-test: allow ec2:RunInstances to these credentials"
asks_not "ec2 describe-instances"
rm "$work/answers/"{describe-images,describe-instances,run-instances}
