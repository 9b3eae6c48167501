#!/usr/bin/env bash
# Installs the built wheel into an empty root without a network, and runs the demo there as somebody who is not root.
#
#   infrastructure/docker/check-root.sh                # as root; builds the wheel, fetches its dependencies by the lock
#   WHEEL=dist/….whl WHEELS=wheelhouse infrastructure/docker/check-root.sh      # with what is there already
#
# The root is empty but for the Python of this machine (PYTHON, 3.11 or newer, with its standard library and the shared
# libraries that it loads), a shell and its tools, and time zones. Installing and running see no network but 127.0.0.1.
# Takes a minute and 2 GB in WORK.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
work=${WORK:-$(mktemp -d /var/tmp/bessai-root.XXXXXX)}
python=${PYTHON:-$(command -v python3.13 || command -v python3)}
uid=10001
empty=$work/root
fail() { echo "error: $*" >&2; exit 1; }
ok() { echo "ok   $*"; }
[ "$(id -u)" = 0 ] || fail "this mounts and changes roots: run it as root"
for tool in unshare chroot ip ldd; do command -v "$tool" >/dev/null || fail "$tool is missing: apt-get install util-linux iproute2"; done

wheel=${WHEEL:-}
if [ -z "$wheel" ]; then
    "$python" -m venv "$work/build"
    "$work/build/bin/pip" install -q --require-hashes -r "$root/requirements-build.txt"
    (cd "$root" && "$work/build/bin/python" -m hatchling build -t wheel -d "$work/dist") >/dev/null
    wheel=$(ls "$work"/dist/*.whl)
fi
wheels=${WHEELS:-$work/wheels}
[ -d "$wheels" ] || "$python" -m pip download -q --require-hashes --only-binary :all: -r "$root/requirements.txt" -d "$wheels"
ok "$(basename "$wheel") and $(find "$wheels" -name '*.whl' | wc -l) wheels of the lock"

# The empty root.
rm -rf "$empty"
mkdir -p "$empty"/{bin,dev,etc,lib,proc,tmp,opt,usr/local/bin,usr/local/lib,usr/share,var/lib/bessai,wheels}
chmod 1777 "$empty/tmp"
prefix=$("$python" -c 'import sys; print(sys.base_prefix)')
name=$("$python" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
cp "$prefix/bin/$name" "$empty/usr/local/bin/"
ln -s "$name" "$empty/usr/local/bin/python3"
mkdir "$empty/usr/local/lib/$name"
tar -C "$prefix/lib/$name" --exclude ./site-packages --exclude ./test --exclude __pycache__ -c . | tar -C "$empty/usr/local/lib/$name" -x
mkdir "$empty/usr/local/lib/$name/site-packages"
cp -a "$prefix"/lib/libpython3* "$empty/usr/local/lib/" 2>/dev/null || true
cp -a /usr/share/zoneinfo "$empty/usr/share/"
tools=(/bin/sh /bin/sleep /bin/cat /usr/bin/tail /usr/bin/grep /usr/bin/id)
cp "${tools[@]}" "$empty/bin/"
{
    printf '%s\n' "$prefix/bin/$name" "${tools[@]}"
    find "$prefix/lib/$name/lib-dynload" -name '*.so'
    # What the wheels of compiled packages load from the system, beside the C library.
    /sbin/ldconfig -p | sed -n 's/.* => \(.*\(libstdc++\|libgcc_s\|libpthread\|libdl\|libutil\|libresolv\|librt\|libm\|libz\|libnss_files\)\.so\.[0-9]*\)$/\1/p'
} | while read -r file; do
    case "$file" in *.so.[0-9]*) echo "$file" ;; esac
    ldd "$file" 2>/dev/null | sed -n 's/.*=> \(\/[^ ]*\).*/\1/p; s/^\s*\(\/[^ ]*\) (.*/\1/p'
done | sort -u | while read -r library; do
    mkdir -p "$empty$(dirname "$library")"
    cp -L "$library" "$empty$library"
done
printf 'bessai:x:%s:%s::/var/lib/bessai:/bin/sh\n' $uid $uid >"$empty/etc/passwd"
printf 'bessai:x:%s:\n' $uid >"$empty/etc/group"
printf '127.0.0.1 localhost\n' >"$empty/etc/hosts"
cp "$wheels"/*.whl "$wheel" "$empty/wheels/"
cp "$root/requirements.txt" "$empty/wheels/"
chown $uid:$uid "$empty/var/lib/bessai"

# inside USER COMMAND: in the empty root, without a network.
inside() {
    unshare --mount --pid --net --ipc --uts --fork --kill-child -- bash -euc '
        ip link set lo up
        mount --make-rprivate /
        mount -t proc proc "$1/proc"
        mount -t tmpfs -o mode=755 tmpfs "$1/dev"
        for node in null zero random urandom; do touch "$1/dev/$node"; mount --bind "/dev/$node" "$1/dev/$node"; done
        root=$1 user=$2; shift 2
        exec env -i PATH=/opt/bessai/bin:/usr/local/bin:/bin HOME=/var/lib/bessai DATA_DIR=/var/lib/bessai PYTHONUNBUFFERED=1 \
            /usr/sbin/chroot --userspec="$user:$user" "$root" /bin/sh -euc "$*"
    ' bash "$empty" "$@"
}

inside 0 '
    python3 -c "import socket; socket.create_connection((\"192.0.2.1\", 80), 1)" 2>/dev/null && { echo "there is a network"; exit 1; }
    python3 -m venv /opt/bessai
    /opt/bessai/bin/pip install -q --no-cache-dir --no-index --find-links /wheels --require-hashes -r /wheels/requirements.txt
    /opt/bessai/bin/pip install -q --no-cache-dir --no-index --no-deps /wheels/open_bess_edge-*.whl
    /opt/bessai/bin/pip check'
ok "installed without a network: $(inside $uid bessai --version)"
inside $uid '
    id -u | grep -qx '$uid'
    bessai demo --plain --for 30 --data-dir /var/lib/bessai/demo >/tmp/demo.log 2>&1 & demo=$!
    n=0; until bessai health --strict --data-dir /var/lib/bessai/demo >/tmp/health.log; do
        n=$((n + 1)); [ $n -lt 60 ] || { cat /tmp/demo.log /tmp/health.log; exit 1; }; sleep 0.5; done
    cat /tmp/health.log; wait $demo; grep -c "^cycle" /tmp/demo.log | grep -vx 0 >/dev/null; tail -n 1 /tmp/demo.log' | sed 's/^/     /'
ok "the demo runs as uid $uid, and is healthy"
echo "1 root passed"
