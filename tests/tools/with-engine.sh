#!/bin/sh
# Run a command with a Docker engine: the one that runs already, else one of its own that is gone afterwards.
#
# usage: tests/tools/with-engine.sh [--host-network] CMD [ARG...]
#
# An engine of its own lives in namespaces of its own (network, mounts, processes), together with CMD: nothing of it
# can be left behind, and no other engine's firewall rules are touched. With --host-network it stays in the host's,
# without firewall rules, so that what it publishes on 127.0.0.1 can be looked at from outside.
#
# CMD gets DOCKER_HOST, T0RN_TEST_DOCKER (its socket), T0RN_TEST_BRIDGE (the interface of its default network, where that
# is in the same network namespace) and T0RN_TEST_ENGINE ("running" or "own"); with an engine of its own also
# T0RN_TEST_ENGINE_PID, T0RN_TEST_ENGINE_DIR (removed afterwards) and TMPDIR in there. The exit code is CMD's, or 1 where
# CMD left an engine of its own without its bridge.
set -eu

note() { echo "with-engine: $*" >&2; }

answers() { timeout 10 docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }

# The interface of the default network, where it is in this network namespace.
find_bridge() {
    bridge_name='{{index .Options "com.docker.network.bridge.name"}}'
    T0RN_TEST_BRIDGE=$(docker network inspect --format "$bridge_name" bridge) || return 0
    if ip link show "$T0RN_TEST_BRIDGE" >/dev/null 2>&1; then export T0RN_TEST_BRIDGE; else unset T0RN_TEST_BRIDGE; fi
}

# with_bridge CMD [ARG...]: fails as well when the bridge is gone afterwards.
with_bridge() {
    find_bridge
    code=0
    "$@" || code=$?
    ip link show "$T0RN_TEST_BRIDGE" >/dev/null 2>&1 && return $code
    note "$T0RN_TEST_BRIDGE, the bridge of the engine, is gone: something in this network namespace deleted it, as dockerd does with --bridge=none"
    [ $code -ne 0 ] || code=1
    return $code
}

# start_engine DIR FLAG...: returns when it answers.
start_engine() {
    dir=$1
    shift
    dockerd --data-root "$dir/data" --exec-root "$dir/exec" -p "$dir/dockerd.pid" -H "unix://$DOCKER_SOCKET" \
        --default-address-pool base=10.213.0.0/16,size=24 "$@" >"$dir/dockerd.log" 2>&1 &
    engine_pid=$!
    tries=0
    until answers; do
        tries=$((tries + 1))
        if [ $tries -gt 150 ] || ! kill -0 $engine_pid 2>/dev/null; then
            tail -n 20 "$dir/dockerd.log" >&2
            note "dockerd did not come up"
            return 1
        fi
        sleep 0.2
    done
    export T0RN_TEST_ENGINE=own T0RN_TEST_ENGINE_PID=$engine_pid
}

stop_engine() {
    kill "$engine_pid" 2>/dev/null || return 0
    tries=0
    while kill -0 "$engine_pid" 2>/dev/null && [ $tries -lt 150 ]; do
        tries=$((tries + 1))
        sleep 0.2
    done
    ! kill -KILL "$engine_pid" 2>/dev/null || note "dockerd had to be killed"
}

inside() {
    # The second half, in namespaces of its own: they end with this shell, and everything in them.
    ip link set lo up
    # A default route that leads nowhere, for those who look whether the host has one.
    ip link add uplink type veth peer name nowhere
    ip address add 198.51.100.2/24 dev uplink
    ip link set uplink up
    ip link set nowhere up
    ip route add default via 198.51.100.1
    # No resolver: the host's would not answer from here, and whether the network works could not be known.
    mount --bind /dev/null /etc/resolv.conf 2>/dev/null || true
    # In memory: an engine syncs every step of every container, and reports an end only after that.
    mkdir "$T0RN_TEST_ENGINE_DIR/data" && mount -t tmpfs -o mode=711 tmpfs "$T0RN_TEST_ENGINE_DIR/data" || exit 1
    # Where a containerd runs already, dockerd would use that one instead of starting its own.
    [ ! -d /run/containerd ] || mount -t tmpfs tmpfs /run/containerd || exit 1
    start_engine "$T0RN_TEST_ENGINE_DIR" || exit 1
    code=0
    with_bridge "$@" || code=$?
    stop_engine
    exit $code
}

if [ "${1:-}" = --inside ]; then
    shift
    inside "$@"
fi

own_network=yes
if [ "${1:-}" = --host-network ]; then
    own_network=
    shift
fi
[ $# -gt 0 ] || { sed -n 's/^# \{0,1\}//p' "$0" | sed -n '2,13p' >&2; exit 2; }

"$(dirname "$0")/setup" engine registry xz
PATH="${XDG_CACHE_HOME:-$HOME/.cache}/t0rn-agent/bin:$PATH"

if [ -n "${DOCKER_HOST:-}" ] || [ -S /var/run/docker.sock ]; then
    export DOCKER_HOST="${DOCKER_HOST:-unix:///var/run/docker.sock}"
    if answers; then
        export T0RN_TEST_ENGINE=running T0RN_TEST_DOCKER="${DOCKER_HOST#unix://}"
        find_bridge
        exec "$@"
    fi
    note "no engine answers at $DOCKER_HOST, starting one"
fi

T0RN_TEST_ENGINE_DIR=$(mktemp -d "${TMPDIR:-/tmp}/t0rn-engine.XXXXXX")
mkdir "$T0RN_TEST_ENGINE_DIR/tmp"
DOCKER_SOCKET=$T0RN_TEST_ENGINE_DIR/docker.sock
DOCKER_HOST=unix://$DOCKER_SOCKET
TMPDIR=$T0RN_TEST_ENGINE_DIR/tmp
T0RN_TEST_DOCKER=$DOCKER_SOCKET
export T0RN_TEST_ENGINE_DIR T0RN_TEST_DOCKER DOCKER_SOCKET DOCKER_HOST TMPDIR

isolate="unshare --net --mount --pid --fork --kill-child --mount-proc"
if [ -n "$own_network" ] && $isolate true 2>/dev/null; then
    trap 'rm -rf "$T0RN_TEST_ENGINE_DIR"' EXIT
    reaper=$(command -v tini || true)
    exec 3<&0
    $isolate ${reaper:+"$reaper" -g --} "$0" --inside "$@" <&3 3<&- &
    child=$!
    trap 'kill -KILL $child' HUP INT TERM # ends everything in the namespaces
    code=0
    wait $child || code=$?
    exit $code
fi

bridge=t0rn$$
ip link add "$bridge" type bridge
ip address add "10.212.$(($$ % 256)).1/24" dev "$bridge"
# shellcheck disable=SC2329  # the trap runs it
cleanup() {
    trap - EXIT
    stop_engine
    ip link delete "$bridge"
    rm -rf "$T0RN_TEST_ENGINE_DIR"
}
trap cleanup EXIT
trap : INT TERM
start_engine "$T0RN_TEST_ENGINE_DIR" --bridge "$bridge" --iptables=false --ip-forward=false --ip-masq=false
code=0
with_bridge "$@" || code=$?
exit $code
