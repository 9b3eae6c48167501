#!/bin/sh
# Takes back an update that nobody watched to its end. /opt/bessai/settle; the unit runs it before each start (and, with
# `told`, after it). A shell script, because the Python of the new version may be what is broken.
#
#   pending   an update is on its way; its first line names the slot to go back to
#   current   link to the slot that runs: a or b
#   settled   what was taken back, until the gateway has been told
#
# While an updater lives it holds update.lock and decides by itself. Nothing here is ever written by the service's user.
set -eu
umask 022
cd "$(dirname "$(readlink -f "$0")")"

if [ "${1:-}" = told ]; then
    [ -e settled ] || exit 0
    exec current/bin/bessai update tell-settled --prefix "$PWD"
fi

[ -e pending ] || exit 0
exec 9>>update.lock
flock -n 9 || exit 0
[ -e pending ] || exit 0

slot=
read -r slot <pending || true
case $slot in
a | b) ;;
*)
    echo "settle: $PWD/pending names no slot; current stays $(readlink current)" >&2
    exit 1
    ;;
esac
if [ ! -x "$slot/bin/bessai" ]; then
    echo "settle: $PWD/$slot is not there; current stays $(readlink current)" >&2
    exit 1
fi
if [ "$(readlink current)" = "$slot" ]; then
    rm -f pending # cut off before the switch: nothing to tell
    sync -f .
    exit 0
fi
# Sync after each step: a power cut finds the old state or the new one.
ln -sfn "$slot" .current.settle
mv -Tf .current.settle current
sync -f .
mv -f pending settled
sync -f .
echo "settle: an update was not watched to its end; $slot runs again" >&2
