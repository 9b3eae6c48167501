#!/bin/sh
# Installs the BESSAI Edge Gateway on Debian, Ubuntu or Raspberry Pi OS; docs/install-systemd.md explains it.
#
#   sudo ./install.sh                     from an offline bundle: this script lies in it
#   sudo ./install.sh --from WHEEL --requirements FILE     dependencies come from the network, pinned by hash
#   sudo ./install.sh --uninstall [--purge]
#
#   --key FILE      public key (PEM, Ed25519): only a bundle that it signed is installed; updates are held to it as well
#   --serial        serial lines (Modbus RTU): drop-in serial.conf
#   --realtime      real-time priority of the control loop: drop-in realtime.conf
#   --backup        daily copy of the journal: bessai-backup.timer
#   --no-start      enable, but do not start
#   --python FILE   the interpreter, 3.11 or newer; python3 without it
#   --root DIR      install below DIR: no user is made outside of it, and systemd is not touched
#   --purge         with --uninstall: settings and data go as well
#
# Running it again repairs what is missing, renews unit and scripts, and keeps settings, data and the versions in the slots.
set -eu
umask 022

say() { echo "install: $*"; }
die() {
    echo "install: $*" >&2
    exit 2
}

here=$(cd "$(dirname "$0")" && pwd)
from='' requirements='' root='' python=python3 key=''
serial=0 realtime=0 backup=0 start=1 uninstall=0 purge=0
while [ $# -gt 0 ]; do
    case $1 in
    --from | --requirements | --root | --python | --key)
        [ $# -ge 2 ] || die "$1 needs a value"
        case $1 in
        --from) from=$2 ;;
        --requirements) requirements=$2 ;;
        --root) root=$2 ;;
        --python) python=$2 ;;
        --key) key=$2 ;;
        esac
        shift
        ;;
    --serial) serial=1 ;;
    --realtime) realtime=1 ;;
    --backup) backup=1 ;;
    --no-start) start=0 ;;
    --uninstall) uninstall=1 ;;
    --purge) purge=1 ;;
    -h | --help)
        sed -n '2,/^set -eu/{/^set/d;s/^# \{0,1\}//;p}' "$0"
        exit 0
        ;;
    *) die "unknown option $1; see --help" ;;
    esac
    shift
done

[ $purge = 0 ] || [ $uninstall = 1 ] || die "--purge goes with --uninstall"
if [ -n "$root" ]; then
    mkdir -p "$root"
    root=$(cd "$root" && pwd)
elif [ "$(id -u)" != 0 ]; then
    die "run it as root (sudo), or with --root DIR to see what it would install"
fi
owner=$(id -u)
live=0 # systemd runs here and is ours to tell
[ -n "$root" ] || [ ! -d /run/systemd/system ] || live=1

prefix=$root/opt/bessai etc=$root/etc/bessai units=$root/etc/systemd/system
dropins=$units/bessai-gateway.service.d

# ---------------------------------------------------------------------------------------------------- uninstall
if [ $uninstall = 1 ]; then
    if [ $live = 1 ]; then
        systemctl disable --now bessai-gateway.service bessai-backup.timer 2>/dev/null || true
    fi
    rm -f "$units/bessai-gateway.service" "$units/bessai-backup.service" "$units/bessai-backup.timer" \
        "$dropins/serial.conf" "$dropins/realtime.conf" "$root/etc/sysusers.d/bessai.conf" \
        "$root/etc/tmpfiles.d/bessai.conf" "$root/usr/local/bin/bessai"
    rmdir "$dropins" 2>/dev/null || true # drop-ins of your own stay
    rm -rf "$prefix"
    [ $live = 0 ] || systemctl daemon-reload
    if [ $purge = 1 ]; then
        rm -rf "$etc" "$root/var/lib/bessai" "$root/var/lib/bessai-backup"
        if [ -z "$root" ] && getent passwd bessai >/dev/null; then userdel bessai; fi
        say "removed, with settings and data"
    else
        say "removed; settings stay in $etc, data in $root/var/lib/bessai (--purge removes them)"
    fi
    exit 0
fi

# ---------------------------------------------------------------------------------------------------- what is needed
systemd=''
for directory in "$here/systemd" "$here/../systemd"; do
    [ ! -f "$directory/bessai-gateway.service" ] || systemd=$directory
done
[ -n "$systemd" ] || die "the units are missing beside $0: take the whole bundle, or the whole repository"
command -v "$python" >/dev/null || die "$python is not there: apt install python3 python3-venv"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    die "$("$python" --version) is too old, 3.11 is needed: Debian 12, Ubuntu 24.04, Raspberry Pi OS of 2023 or newer"
"$python" -c 'import venv, ensurepip' 2>/dev/null || die "Python lacks venv: apt install python3-venv"
command -v flock >/dev/null || die "flock is not there: apt install util-linux"

# ---------------------------------------------------------------------------------------------------- user and places
mkdir -p "$root/etc/sysusers.d" "$root/etc/tmpfiles.d" "$units" "$prefix" "$root/usr/local/bin"
install -m 644 "$systemd/bessai.sysusers" "$root/etc/sysusers.d/bessai.conf"
install -m 644 "$systemd/bessai.tmpfiles" "$root/etc/tmpfiles.d/bessai.conf"
group=''
if [ "$owner" = 0 ]; then
    if command -v systemd-sysusers >/dev/null; then
        systemd-sysusers ${root:+--root="$root"} bessai.conf
    elif [ -z "$root" ] && ! getent passwd bessai >/dev/null; then
        useradd --system --user-group --home-dir /var/lib/bessai --shell /usr/sbin/nologin bessai
    fi
    group=$(awk -F: '$1 == "bessai" { print $3 }' "$root/etc/group")
    user=$(awk -F: '$1 == "bessai" { print $3 }' "$root/etc/passwd")
    if [ -z "$group" ] || [ -z "$user" ]; then die "the user bessai could not be made"; fi
fi
install -d -m 750 "$etc" "$etc/config"
install -d -m 700 "$root/var/lib/bessai"
if [ ! -e "$etc/config/.env" ]; then
    for example in "$here/config/.env.example" "$here/../../config/.env.example"; do
        [ ! -f "$example" ] || [ -e "$etc/config/.env" ] || install -m 640 "$example" "$etc/config/.env"
    done
    fresh=1
else
    fresh=0
fi
[ -z "$key" ] || install -m 644 "$key" "$etc/update.pub"
if [ -n "$group" ]; then
    chown 0:"$group" "$etc" "$etc/config"
    [ ! -e "$etc/config/.env" ] || chown 0:"$group" "$etc/config/.env"
    chown "$user:$group" "$root/var/lib/bessai"
fi

# ---------------------------------------------------------------------------------------------------- program
alone() { env -u PYTHONPATH -u PYTHONHOME "$@"; }

into() { # slot, what pip is told
    slot=$1
    shift
    alone "$prefix/$slot/bin/python" -m pip "$@"
}

install_into() { # slot
    # What pip and the interpreter say when they fail is the best explanation.
    rm -rf "${prefix:?}/$1"
    alone "$python" -m venv "$prefix/$1"
    if [ -d "$bundle/wheels" ]; then
        into "$1" --isolated install -q --no-index --find-links "$bundle/wheels" --only-binary :all: --require-hashes \
            -r "$bundle/requirements.txt"
    elif [ -n "$requirements" ]; then
        into "$1" install -q --no-input --only-binary :all: --require-hashes -r "$requirements"
    else
        die "a wheel alone lacks what it depends on: add --requirements, or take an offline bundle"
    fi
    into "$1" --isolated install -q --no-index --no-deps "$wheel"
    version=$(alone "$prefix/$1/bin/bessai" --version | cut -d' ' -f2)
    sync -f "$prefix"
    printf '{"version": "%s", "sha256": "%s", "built": "%s"}\n' "$version" \
        "$(sha256sum "$wheel" | cut -d' ' -f1)" "$(date -u +%FT%TZ)" >"$prefix/$1/slot.json"
}

install -m 755 "$here/settle.sh" "$prefix/settle"
if [ -x "$prefix/current/bin/bessai" ]; then
    say "$prefix/$(readlink "$prefix/current") is current and kept; another version comes by bessai update --from"
else
    bundle=$here wheel=$from
    if [ -n "$from" ] && [ -d "$from" ]; then
        bundle=$(cd "$from" && pwd) wheel=
    fi
    if [ -z "$wheel" ]; then
        [ -f "$bundle/SHA256SUMS" ] || die "say --from WHEEL, or use the script of an offline bundle"
        if [ -n "$key" ]; then
            openssl pkeyutl -verify -rawin -pubin -inkey "$key" -in "$bundle/SHA256SUMS" \
                -sigfile "$bundle/SHA256SUMS.sig" >/dev/null || die "the bundle was not signed by the owner of $key"
        fi
        (cd "$bundle" && sha256sum --check --quiet --strict SHA256SUMS) || die "the bundle is damaged: fetch it again"
        # What SHA256SUMS does not name has not been checked.
        unknown=$(cd "$bundle" && find -L . -name '*.whl' -o -name requirements.txt | sed 's|^\./||' | while read -r file; do
            cut -c67- SHA256SUMS | grep -qxF "$file" || echo "$file"
        done)
        [ -z "$unknown" ] || die "not in SHA256SUMS: $unknown"
        wheel=$(ls "$bundle"/open_bess_edge-*.whl)
    fi
    [ -f "$wheel" ] || die "$wheel is not there"
    [ -z "$key" ] || [ -z "$from" ] || [ -d "$from" ] || die "--key is for a bundle; a wheel alone is not signed"
    say "installing $(basename "$wheel") into $prefix/a"
    install_into a
    ln -sfn a "$prefix/.current.new"
    mv -Tf "$prefix/.current.new" "$prefix/current"
    sync -f "$prefix"
fi

cat >"$root/usr/local/bin/bessai" <<'WRAPPER'
#!/bin/sh
# The gateway's command line, as the service's user, on the service's data; `update` stays with root, who owns the slots.
DATA_DIR=${DATA_DIR:-/var/lib/bessai}
export DATA_DIR
program=/opt/bessai/current/bin/bessai
if [ "$(id -u)" = 0 ] && [ "${1:-}" != update ]; then
    exec setpriv --reuid bessai --regid bessai --init-groups "$program" "$@"
fi
exec "$program" "$@"
WRAPPER
chmod 755 "$root/usr/local/bin/bessai"

# ---------------------------------------------------------------------------------------------------- service
install -m 644 "$systemd/bessai-gateway.service" "$systemd/bessai-backup.service" "$systemd/bessai-backup.timer" "$units"
install -d -m 755 "$dropins"
[ $serial = 0 ] || install -m 644 "$systemd/bessai-gateway.service.d/serial.conf" "$dropins"
[ $realtime = 0 ] || install -m 644 "$systemd/bessai-gateway.service.d/realtime.conf" "$dropins"
if [ $live = 1 ]; then
    systemctl daemon-reload
    systemctl enable -q bessai-gateway.service
    [ $backup = 0 ] || systemctl enable -q --now bessai-backup.timer
    if [ $start = 1 ] && [ $fresh = 0 ]; then
        systemctl start --no-block bessai-gateway.service
    fi
fi
if [ $fresh = 1 ]; then
    say "next: edit $etc/config/.env, then"
    say "  cd /etc/bessai && sudo bessai config check && sudo systemctl start bessai-gateway"
fi
say "done"
