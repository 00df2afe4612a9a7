# shellcheck shell=bash
# An AWS that answers as planned. Sourced by tests/infrastructure/commands; it has set `work`, and has `stand_in` and `holds`.
# shellcheck disable=SC2154

mkdir "$work/answers"
stand_in aws <<'SH'
#!/usr/bin/env bash
work=${0%/bin/aws}
echo "$*" >>"$work/asked"
plan=$work/answers/$2
[ -s "$plan" ] || exit 0
next=$(head -n 1 "$plan")
# The last one stays.
[ "$(wc -l <"$plan")" = 1 ] || sed -i 1d "$plan"
case $next in
interrupted) kill -TERM 0 && exit 1 ;;
lost) echo "Connection was closed before we received a valid response from endpoint" >&2 && exit 255 ;;
!*) echo "An error occurred ($(cut -d ' ' -f 1 <<<"${next#!}")) when calling the $(sed -E 's/(^|-)(.)/\U\2/g' <<<"$2") operation: ${next#* }" >&2 && exit 254 ;;
*) echo "$next" ;;
esac
SH

# answers OPERATION ANSWER…: what is said to that operation, one after the other, and the last from then on: an output, `!CODE WORDS` for
# a refusal, `lost`, or `interrupted` where the whole session of the script is sent a signal. An operation without a plan has an empty answer.
answers() {
    printf '%s\n' "${@:2}" >"$work/answers/$1"
}

# told COMMAND…: its output, both ways, in `said`, and its status in `status`; what it asked AWS is in $work/asked.
told() {
    : >"$work/asked"
    status=0
    said=$("$@" 2>&1) || status=$?
}

# says WORDS, keeps_silent WORDS, asks WORDS, asks_not WORDS: about what was `told` last.
says() {
    holds "expected \"$1\", and got $status: $said" has "$said" "$1"
}

keeps_silent() {
    holds "did not expect \"$1\" in: $said" has_not "$said" "$1"
}

asks() {
    holds "\"$1\" is not asked, but: $(cat "$work/asked")" has "$(cat "$work/asked")" "$1"
}

asks_not() {
    holds "\"$1\" is asked: $(cat "$work/asked")" has_not "$(cat "$work/asked")" "$1"
}

has() {
    [[ $1 = *"$2"* ]]
}

has_not() {
    [[ $1 != *"$2"* ]]
}
