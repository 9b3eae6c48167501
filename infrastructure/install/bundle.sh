#!/bin/sh
# Packs the gateway and everything it needs into one file for machines without network; docs/offline.md explains it.
#
#   ./bundle.sh --wheel dist/open_bess_edge-X-py3-none-any.whl [--requirements requirements.txt] [--out DIR]
#       --platform TAG   of the machine that will install it, again for each tag it takes; without it: this machine's.
#                        Raspberry Pi OS (64 bit): manylinux2014_aarch64, manylinux_2_28_aarch64
#       --python FILE    an interpreter of the same minor version as that machine's; python3 without it
#       --find-links DIR take wheels from a directory, and nothing from the network
#       --sign KEY       Ed25519 private key (PEM): signs SHA256SUMS
set -eu
umask 022

die() {
    echo "bundle: $*" >&2
    exit 2
}

here=$(cd "$(dirname "$0")" && pwd)
wheel='' requirements=$here/../../requirements.txt out=. python=python3 links='' key='' platforms=''
while [ $# -gt 0 ]; do
    case $1 in
    -h | --help)
        sed -n '2,/^set -eu/{/^set/d;s/^# \{0,1\}//;p}' "$0"
        exit 0
        ;;
    esac
    [ $# -ge 2 ] || die "$1 needs a value"
    case $1 in
    --wheel) wheel=$2 ;;
    --requirements) requirements=$2 ;;
    --out) out=$2 ;;
    --platform) platforms="$platforms $2" ;;
    --python) python=$2 ;;
    --find-links) links=$2 ;;
    --sign) key=$2 ;;
    *) die "unknown option $1; see --help" ;;
    esac
    shift 2
done
[ -f "$wheel" ] || die "say --wheel FILE; python -m build --wheel makes it"
[ -f "$requirements" ] || die "$requirements is not there: say --requirements"

minor=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
version=$(basename "$wheel" | cut -d- -f2)
machine=${platforms##*_}
[ "${machine:-x}" != 64 ] || machine=x86_64
name=bessai-$version-linux-${machine:-$(uname -m)}-py$minor

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
top=$work/$name
mkdir -p "$top/wheels" "$top/config"
cp "$wheel" "$top/"
cp "$requirements" "$top/requirements.txt"
cp "$here/install.sh" "$here/settle.sh" "$top/"
cp -R "$here/../systemd" "$top/systemd"
cp "$here/../../config/.env.example" "$top/config/"
cp "$here/../../LICENSE" "$top/"

# pip judges markers by the interpreter that it runs in: hence the same minor version, on Linux.
set -- download -q --no-deps --require-hashes --only-binary :all: -r "$top/requirements.txt" -d "$top/wheels"
[ -z "$links" ] || set -- "$@" --no-index --find-links "$links"
[ -z "$platforms" ] || set -- "$@" --python-version "$minor" --implementation cp
for tag in $platforms; do set -- "$@" --platform "$tag"; done
"$python" -m pip --disable-pip-version-check "$@"

(cd "$top" && find . -type f ! -name 'SHA256SUMS*' | sed 's|^\./||' | LC_ALL=C sort | xargs -d '\n' sha256sum) \
    >"$work/SHA256SUMS"
mv "$work/SHA256SUMS" "$top/SHA256SUMS"
if [ -n "$key" ]; then
    openssl pkeyutl -sign -rawin -inkey "$key" -in "$top/SHA256SUMS" -out "$top/SHA256SUMS.sig"
fi
mkdir -p "$out"
# The same input gives the same file.
tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@${SOURCE_DATE_EPOCH:-0}" \
    -C "$work" -cf "$out/.$name.part" "$name"
mv "$out/.$name.part" "$out/$name.tar"
(cd "$out" && sha256sum "$name.tar")
