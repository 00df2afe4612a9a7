# shellcheck shell=bash
# Requests to AWS, whose APIs are eventually consistent: for a while after a change, what was made is not found, what was
# released is in use, and a state is the former one. One rule for all of them: ask again with growing pauses, up to a bound, and
# believe the answer only then. For the scripts here and in packer/. Needs aws, and usage.sh.

# Codes of errors that pass by themselves, whatever the request.
passing='RequestLimitExceeded|.*Throttl.*|.*RateExceeded|SlowDown|TooMany.*|PriorRequestNotComplete|.*Concurrent.*LimitExceeded|Internal.*|ServiceUnavailable.*|Unavailable|RequestTimeout.*|5[0-9][0-9]'
# Of these, those that may have been carried out.
uncertain='Internal.*|ServiceUnavailable.*|Unavailable|RequestTimeout.*|5[0-9][0-9]'
unreachable='Could not connect to the endpoint|Connection was closed|[Tt]imeout on endpoint|Connection reset|failed to reach|Failed to connect to proxy'
# Codes that are believed only when they last.
settling='.*NotFound.*|.*InUse.*|Incorrect.*State|.*\.Unavailable|.*NotAvailable.*|DependencyViolation|InvocationDoesNotExist'
# What EC2 says of an instance profile that was just made.
unsettled='InvalidParameterValue.*iamInstanceProfile'

# is_region NAME: whether a region of AWS may be called so.
is_region() {
    [[ $1 =~ ^[a-z]{2,4}(-[a-z]+)+-[0-9]$ ]]
}

# tried ARGUMENT…: runs `aws ARGUMENT…` once, whose output is in `answer` then. When it fails, returns 1 with the error's code and
# text in `code` and `words`.
tried() {
    local errors failed=0
    code='' words=''
    errors=$(mktemp)
    # The CLI's own patience, up to five minutes for an address that does not answer, would be silence here.
    answer=$(AWS_MAX_ATTEMPTS=${AWS_MAX_ATTEMPTS:-2} aws "$@" --cli-connect-timeout 10 2>"$errors") || failed=1
    words=$(tr -s '\n' ' ' <"$errors")
    code=$(sed -nE 's/.*An error occurred \(([^)]+)\).*/\1/p' <<<"$words")
    rm -f "$errors"
    return $failed
}

# attempt SECONDS ARGUMENT…: `tried`, and asked again: what only time can settle for SECONDS, an API that is busy for 5 minutes, and one
# that is out of reach for a minute, or SECONDS where that is longer. Where a try may have been carried out without its answer, `lost` is 1.
attempt() {
    local seconds=$1 waited=0 tries=0 pause=1 bound began
    shift
    # shellcheck disable=SC2034  # packer/boot-test reads it
    lost=
    until began=$SECONDS; tried "$@"; do
        # shellcheck disable=SC2034
        [[ -n $code && ! $code =~ ^($uncertain)$ ]] || lost=1
        waited=$((waited + SECONDS - began))
        tries=$((tries + 1))
        bound=0
        if [[ $code =~ ^($passing)$ ]]; then
            bound=300
        elif [[ $words =~ $unreachable ]]; then
            bound=$((seconds > 60 ? seconds : 60))
        elif [[ $code =~ ^($settling)$ || $words =~ $unsettled ]]; then
            bound=$seconds
        fi
        [ "$waited" -lt "$bound" ] || return 1
        # What passes by itself has mostly passed at the fourth try. To reach no API (no code) takes long each time.
        [[ $tries != 4 || -z $code ]] && [[ $tries != 1 || -n $code ]] || say "aws $1 $2 is tried again, for up to $bound s: $words" >&2
        sleep "$pause"
        waited=$((waited + pause))
        pause=$((pause < 8 ? pause * 2 : 15))
    done
}

# request SECONDS ARGUMENT…: `attempt`; ends the script, with the remedy first, when that fails.
request() {
    attempt "$@" || die "$(remedy "${@:2}"): aws ${*:2:2}: $words"
}

# asked SECONDS ARGUMENT…: prints what `request` gets.
asked() {
    request "$@"
    [ -z "$answer" ] || printf '%s\n' "$answer"
}

# await SECONDS PAUSE COMMAND…: runs COMMAND until it succeeds, with PAUSE seconds between two tries; returns 1 when it has not after
# SECONDS, its own time included. COMMAND runs without errexit: what is to end the script there is said with `|| exit`, or by `request`.
await() {
    local bound=$1 pause=$2 waited=0 began
    until began=$SECONDS; "${@:3}"; do
        waited=$((waited + SECONDS - began))
        [ "$waited" -lt "$bound" ] || return 1
        sleep "$pause"
        waited=$((waited + pause))
    done
}

# remedy ARGUMENT…: what to do about the `code` that `aws ARGUMENT…` ended with.
remedy() {
    local region='' operation
    [[ " $* " != *" --region "* ]] || region=$(sed -E 's/.* --region ([^ ]+).*/ in \1/' <<<" $*")
    operation=$(sed -nE 's/.*when calling the ([A-Za-z]+) operation.*/\1/p' <<<"$words")
    case $code in
    '') remedy_without_code "$1" "$region" ;;
    AccessDenied* | Unauthorized* | *NotAuthorized* | Client.Unauthorized*)
        echo "allow $1:${operation:-$2}$region to these credentials"
        ;;
    AuthFailure | Expired* | RequestExpired | SignatureDoesNotMatch | InvalidSignature*)
        case $words in
        *'not yet current'* | *'ignature expired'* | *'Request has expired'*) echo "set this machine's clock, or sign in again: AWS takes the request for one of another time$region" ;;
        *'Not authorized for images'*) echo "name an image of this account, or have it shared with this account" ;;
        *) echo "sign in again, or enable the region$region: these credentials are not valid there" ;;
        esac
        ;;
    InvalidClientTokenId | UnrecognizedClient* | InvalidToken)
        echo "sign in again, or enable the region$region: these credentials are not valid there"
        ;;
    InvalidInstanceId | TargetNotConnected) echo "see that the instance is registered with Systems Manager$region: its way out, its role, its SSM agent" ;;
    InvalidDocument*) echo "see that the document is there$region: the components operations and fleet make them" ;;
    OptInRequired) echo "enable the region$region in the account" ;;
    *Kms* | *KMS*) echo "name a KMS key that is enabled$region, and that these credentials may use" ;;
    InsufficientInstanceCapacity | Unsupported) echo "choose another type of instance (TYPE), or a subnet of another zone (SUBNET)$region" ;;
    VPCIdNotSpecified | DefaultVpcDoesNotExist) echo "set SUBNET, such as a private subnet of infra/vpc: there is no default VPC$region" ;;
    InsufficientFreeAddressesInSubnet) echo "set SUBNET to one with a free address$region" ;;
    PendingVerification) echo "wait until AWS has verified the account for the region$region, up to four hours" ;;
    InvalidParameters) echo "write the parameters as the document describes them" ;;
    IdempotentParameterMismatch) echo "set the variables as they were, or remove what the former run began$region" ;;
    *LimitExceeded) echo "raise the quota$region, or remove what is not needed there (packer/prune)" ;;
    *)
        if [[ $code =~ ^($passing)$ ]]; then
            echo "run it again when the API$region answers"
        elif [[ $code =~ ^($settling)$ || $words =~ $unsettled ]]; then
            echo "see whether it exists and is free$region, then run it again"
        else
            echo "the request is refused$region"
        fi
        ;;
    esac
}

# remedy_without_code SERVICE REGION: what to do where the AWS CLI got no answer from an API, or asked none.
remedy_without_code() {
    case $words in
    *SSO* | *'Token has expired'*) echo "sign in again: aws sso login" ;;
    *credentials*) echo "set up credentials for AWS (aws configure, or AWS_PROFILE): aws sts get-caller-identity has to work" ;;
    *'config profile'*) echo "set AWS_PROFILE to a profile that exists: aws configure list-profiles" ;;
    *)
        if [[ $words =~ $unreachable ]]; then
            echo "see that the region is spelt right and that this machine reaches AWS (a route, a proxy, or in a closed network an endpoint for $1)," \
                "then run it again: the API$2 does not answer"
        else
            echo "mend what the AWS CLI says"
        fi
        ;;
    esac
}
