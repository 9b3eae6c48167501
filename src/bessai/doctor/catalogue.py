"""All checks, in the order in which they are told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bessai.doctor.checks import (
    certificates,
    clock,
    configuration,
    destinations,
    devices,
    disk,
    gateway,
    machine,
    network,
    realtime,
    rights,
    unit,
)
from bessai.doctor.result import Check

CHECKS: Final[tuple[Check, ...]] = (
    Check(name="settings", group="configuration", look=configuration.settings),
    Check(name="version", group="configuration", look=configuration.version),
    Check(name="packages", group="configuration", look=configuration.packages),
    Check(name="clock_synchronised", group="clock", look=clock.synchronised, seconds=20),
    Check(name="clock_hardware", group="clock", look=clock.hardware),
    Check(name="clock_journal", group="clock", look=clock.journal),
    Check(name="time_zone", group="clock", look=clock.time_zone),
    Check(name="disk_space", group="disk", look=disk.space),
    Check(name="disk_inodes", group="disk", look=disk.inodes),
    Check(name="disk_file_system", group="disk", look=disk.file_system),
    Check(name="disk_wear", group="disk", look=disk.wear, seconds=15),
    Check(name="disk_sync", group="disk", look=disk.sync, seconds=15),
    Check(name="user", group="rights", look=rights.user),
    Check(name="data_dir", group="rights", look=rights.data_dir),
    Check(name="secret_files", group="rights", look=rights.secrets),
    Check(name="route", group="network", look=network.route),
    Check(name="names", group="network", look=network.names, seconds=25),
    Check(name="devices", group="network", look=devices.devices, seconds=devices.SECONDS),
    Check(name="pubsub", group="network", look=destinations.pubsub, seconds=25),
    Check(name="mqtt", group="network", look=destinations.mqtt, seconds=25),
    Check(name="kafka", group="network", look=destinations.kafka, seconds=40),
    Check(name="nats", group="network", look=destinations.nats, seconds=40),
    Check(name="collector", group="network", look=destinations.collector, seconds=25),
    Check(name="ports", group="network", look=network.ports),
    Check(name="certificates", group="certificates", look=certificates.certificates),
    Check(name="governor", group="machine", look=machine.governor),
    Check(name="throttling", group="machine", look=machine.throttling),
    Check(name="temperature", group="machine", look=machine.temperature),
    Check(name="load", group="machine", look=machine.load),
    Check(name="memory", group="machine", look=machine.memory),
    Check(name="limits", group="machine", look=machine.limits),
    Check(name="scheduling", group="real_time", look=realtime.scheduling),
    Check(name="punctual", group="real_time", look=realtime.punctual),
    Check(name="open_files", group="real_time", look=realtime.open_files),
    Check(name="unit", group="service", look=unit.unit, seconds=15),
    Check(name="running", group="gateway", look=gateway.running),
    Check(name="running_version", group="gateway", look=gateway.version),
    Check(name="destinations", group="gateway", look=gateway.destinations),
    Check(name="journal", group="gateway", look=gateway.journal),
)

GROUPS: Final = tuple(dict.fromkeys(check.group for check in CHECKS))


def chosen(names: Sequence[str]) -> list[Check]:
    """Checks by their names or their groups'; all when there are none.

    Raises:
        ValueError: a name is unknown; it lists those that are not.
    """
    wanted = [part.strip() for name in names for part in name.split(",") if part.strip()]
    known = {*GROUPS, *(check.name for check in CHECKS)}
    strange = [name for name in wanted if name not in known]
    if strange:
        raise ValueError(
            f"--only {', '.join(strange)}: use groups ({', '.join(GROUPS)}) "
            f"or checks ({', '.join(check.name for check in CHECKS)})"
        )
    return [check for check in CHECKS if not wanted or check.name in wanted or check.group in wanted]
