#!/usr/bin/env bash
# Builds the image with buildah, and runs its root without a container engine. As root, on Debian or Ubuntu.
#
#   infrastructure/docker/check.sh                          # on a stand-in for the base image
#   BASE=docker.io/library/python:… infrastructure/docker/check.sh   # on a real one, where a registry is reached
#
# The stand-in is Debian bookworm by debootstrap with the Python of this machine (PYTHON, 3.11 or newer) in /usr/local,
# as the official image has it. So every instruction of the Dockerfile runs, on other bytes than the pinned ones. What an
# engine does beyond a chroot (its own networks, seccomp, limits, restarts) is not seen here.
#
# Needs: buildah debootstrap iproute2 util-linux. Takes some minutes and 5 GB in WORK; KEEP=1 takes up what WORK has already.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
work=${WORK:-$(mktemp -d /var/tmp/bessai-image.XXXXXX)}
python=${PYTHON:-$(command -v python3.13 || command -v python3)}
uid=10001
image=localhost/bessai-edge-gateway:check
mkdir -p "$work"

fail() { echo "error: $*" >&2; exit 1; }
ok() { echo "ok   $*"; }
[ "$(id -u)" = 0 ] || fail "this mounts and changes roots: run it as root"
for tool in buildah debootstrap ip unshare chroot; do
    command -v "$tool" >/dev/null || fail "$tool is missing: apt-get install buildah debootstrap iproute2 util-linux"
done
build() { buildah --root "$work/storage" --runroot "$work/run" --storage-driver vfs "$@"; }

stand_in() {
    local base=$work/base prefix name
    [ -e "$base/usr/bin/env" ] || debootstrap --variant=minbase \
        --include=ca-certificates,netbase,tzdata,libssl3,libsqlite3-0,libffi8,libbz2-1.0,liblzma5,libreadline8,libuuid1,libexpat1 \
        bookworm "$base" >"$work/debootstrap.log"
    prefix=$("$python" -c 'import sys; print(sys.base_prefix)')
    name=$("$python" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
    mkdir -p "$base/usr/local/lib/$name"
    cp -a "$prefix/bin/$name" "$base/usr/local/bin/"
    ln -sf "$name" "$base/usr/local/bin/python3"
    ln -sf "$name" "$base/usr/local/bin/python"
    tar -C "$prefix/lib/$name" --exclude ./site-packages --exclude ./test --exclude '__pycache__' -c . |
        tar -C "$base/usr/local/lib/$name" -x
    cp -a "$prefix"/lib/libpython3* "$base/usr/local/lib/" 2>/dev/null || true
    chroot "$base" ldconfig
    mkdir -p "$base/usr/local/lib/$name/site-packages"
    chroot "$base" python -m ensurepip >/dev/null
    # Registries are reached the way this machine reaches them.
    cp /etc/ssl/certs/ca-certificates.crt "$base/etc/ssl/certs/ca-certificates.crt"
    printf '[global]\ncert = /etc/ssl/certs/ca-certificates.crt\n' >"$base/etc/pip.conf"
    build rm --all >/dev/null
    local container
    container=$(build from scratch)
    build add "$container" "$base" / >/dev/null
    build config --env NPM_CONFIG_CAFILE=/etc/ssl/certs/ca-certificates.crt --env PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin --cmd python3 "$container"
    build commit --quiet --rm "$container" localhost/bessai-stand-in:check >/dev/null
}

# bessai_in ROOT COMMAND…: as the image's user (or AS), in a root that cannot be written, with only /var/lib/bessai and /tmp writable,
# no way to any network, and no other process in sight.
bessai_in() {
    local image_root=$1
    shift
    unshare --mount --pid --net --ipc --uts --fork --kill-child -- bash -euc '
        mount --make-rprivate /
        mount --bind "$1" "$1"
        mount -o remount,bind,ro "$1"
        mount -t tmpfs -o mode=1777,size=64m,noexec,nosuid,nodev tmpfs "$1/tmp"
        mount --bind "$2" "$1/var/lib/bessai"
        mount -t proc proc "$1/proc"
        mount -t tmpfs -o mode=755 tmpfs "$1/dev"
        for node in null zero random urandom; do touch "$1/dev/$node"; mount --bind "/dev/$node" "$1/dev/$node"; done
        ip link set lo up
        inside=$1 user=$3; shift 3
        exec env -i PATH=/opt/bessai/bin:/usr/local/bin:/usr/bin:/bin PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
            DATA_DIR=/var/lib/bessai HOME=/var/lib/bessai \
            /usr/sbin/chroot --userspec="$user:$user" "$inside" sh -euc "cd /etc/bessai; $*"
    ' bash "$image_root" "$work/data" "${AS:-$uid}" "$@"
}

base=${BASE:-}
if [ -z "$base" ]; then
    base=localhost/bessai-stand-in:check
    [ -n "${KEEP:-}" ] && build inspect "$base" >/dev/null 2>&1 || stand_in
fi
ok "base: $base"

[ -n "${KEEP:-}" ] && build inspect --type image "$image" >/dev/null 2>&1 ||
build bud --quiet --isolation chroot --format docker --build-arg PYTHON_IMAGE="$base" --build-arg VERSION=check \
    --platform "linux/$(dpkg --print-architecture)" -f "$here/Dockerfile" -t "$image" "$root" >"$work/build.log" 2>&1 ||
    { tail -n 40 "$work/build.log" >&2; fail "the image was not built; see $work/build.log"; }
ok "built: $(build images --format '{{.Size}}' "$image")"

inspected=$(build inspect --type image "$image")
"$python" - "$inspected" <<'PYTHON'
import json, sys

config = json.loads(sys.argv[1])["Docker"]["config"]
assert config["User"] == "10001:10001", config["User"]
assert config["Entrypoint"] == ["bessai"] and config["Cmd"] == ["run"], config
assert config["Healthcheck"]["Test"] == ["CMD", "bessai", "health"], config["Healthcheck"]
assert config["StopSignal"] == "SIGTERM"
assert set(config["Volumes"]) == {"/var/lib/bessai"}
assert config["Labels"]["org.opencontainers.image.licenses"] == "Apache-2.0"
PYTHON
ok "user, entry point, healthcheck, stop signal, volume, labels"

container=$(build from "$image")
mounted=$(build mount "$container")
trap 'build umount "$container" >/dev/null; build rm "$container" >/dev/null' EXIT
rm -rf "$work/data" && install -d -m 0700 -o $uid -g $uid "$work/data"

found=$(find "$mounted" -xdev \( -type f -o -type l \) \( -name 'gcc*' -o -name 'cc' -o -name 'c++' -o -name 'g++*' -o -name 'clang*' \
    -o -name 'ld' -o -name 'ld.bfd' -o -name 'make' -o -name 'as' -o -name 'pip' -o -name 'pip3*' -o -name 'uv' -o -name 'node' -o -name 'npm' \) -perm /111)
[ -z "$found" ] || fail "the image has what builds or installs: $found"
found=$(find "$mounted" -xdev -type d \( -name pip -o -name ensurepip -o -name setuptools -o -name node_modules \))
[ -z "$found" ] || fail "the image has what builds or installs: $found"
ok "no compiler, linker, make, pip, uv, node"
found=$(find "$mounted" -xdev -type f -perm /6000)
echo "     set-user-id files of the base (no-new-privileges takes their effect): $(echo $found | wc -w)"
found=$(find "$mounted/opt/bessai" "$mounted/etc/bessai" \( -user $uid -o -perm /022 ! -type l \))
[ -z "$found" ] || fail "the gateway's user could change its own program: $(head -n 3 <<<"$found")"
ok "the user owns none of the program"

version=$(bessai_in "$mounted" bessai --version)
[ "$version" = "bessai $(sed -n 's/^__version__ = "\(.*\)"/\1/p' "$root/src/bessai/__init__.py")" ] || fail "version: $version"
ok "$version, as uid $(bessai_in "$mounted" id -u)"
bessai_in "$mounted" 'python -c "import pip" 2>/dev/null' && fail "pip can be imported"
# Root would be let by the permissions: only the read-only root stops it.
AS=0 bessai_in "$mounted" 'for at in /etc/bessai /opt/bessai /usr/local /; do touch $at/x 2>/dev/null && exit 0; done; exit 1' &&
    fail "the root can be written"
bessai_in "$mounted" 'python -c "import zoneinfo; zoneinfo.ZoneInfo(\"America/Santiago\")"' || fail "no time zones"
ok "the root is read-only; time zones are there"
bessai_in "$mounted" 'bessai health' && fail "healthy without a gateway"
ok "the healthcheck fails without a gateway"

bessai_in "$mounted" '
    bessai demo --plain --for 40 --data-dir /var/lib/bessai/demo >/tmp/demo.log 2>&1 & demo=$!
    n=0; until bessai health --data-dir /var/lib/bessai/demo >/tmp/health.log; do
        n=$((n + 1)); [ $n -lt 60 ] || { cat /tmp/demo.log /tmp/health.log; exit 1; }; sleep 0.5; done
    cat /tmp/health.log; wait $demo; tail -n 1 /tmp/demo.log' | sed 's/^/     /'
ok "the demo runs, and its healthcheck passes"

bessai_in "$mounted" '
    bessai simulate --port 5020 >/tmp/plant.log 2>&1 & plant=$!
    export SITE_ID=check INVERTER_IP=127.0.0.1 INVERTER_PORT=5020 HTTP_HOST=0.0.0.0 HTTP_SETUP_HOST=0.0.0.0 HTTP_TLS=off
    bessai run 2>/tmp/gateway.log & gateway=$!
    n=0; until bessai health --strict >/tmp/health.log; do
        n=$((n + 1)); [ $n -lt 60 ] || { cat /tmp/gateway.log /tmp/health.log; exit 1; }; sleep 0.5; done
    n=0; until grep -q "open http://127.0.0.1:8080/#/setup" /tmp/gateway.log; do
        n=$((n + 1)); [ $n -lt 60 ] || { cat /tmp/gateway.log; exit 1; }; sleep 0.5; done
    python -c "
import urllib.request
page = urllib.request.urlopen(\"http://127.0.0.1:8080/\").read().decode()
assert \"<title>\" in page and urllib.request.urlopen(\"http://127.0.0.1:8080/healthz\").status == 200"
    kill -TERM $gateway; wait $gateway; echo "stopped by SIGTERM with code $?"; kill $plant' | sed 's/^/     /'
ok "the image's command runs on a simulated plant, serves the page, and ends with SIGTERM"
echo "1 image passed. Not seen here: a container engine, the pinned base image, the other architecture."
