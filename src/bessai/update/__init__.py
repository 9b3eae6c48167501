"""Another version of the gateway, tried beside the one that runs, and taken back when it does not prove itself.

    slots = Slots(Path("/opt/bessai"))              # a/  b/  current -> a
    with slots.locked():
        package = staged(source, workshop, key)     # copied, then hashes and signature are checked
        build(slots, slots.idle(), package)         # a virtual environment, without network
        examine(slots.idle(), …)                    # the new version judges the real configuration and data
        Update(slots, service, …).run()             # switch, restart, watch; back when it is not as well

Order is what makes it safe. `pending` is durable before `current` is switched, and goes when the new version has been
watched: whatever ends the updater in between, the unit's next start finds `pending` with nobody holding `update.lock`
and goes back (`infrastructure/install/settle.sh`). The slot that ran is never touched while it is `current`.

What goes back is the program, not the data: an update to a version that writes a format which the old one cannot read
is refused unless it is said to be one-way, and every way back asks the old version first whether it can read the disk.
"""

from __future__ import annotations


class UpdateError(Exception):
    """Why nothing was changed: what, why, mend."""
