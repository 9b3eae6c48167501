"""The control plane assembled: from checked settings to a clean stop."""

from __future__ import annotations

import asyncio
import gc
import logging
import math
import os
import signal
import sys
import time
from typing import Any

import numpy as np

from bessai import __version__
from bessai.core.assembly import control_plane, describe
from bessai.core.black_box import BlackBox
from bessai.core.describing import Description
from bessai.core.figures import device_figures, figures
from bessai.core.fitting import commands_nothing, slow_cycle
from bessai.core.front import Front
from bessai.core.heartbeat import Notifier
from bessai.core.keeping import take_up
from bessai.core.latch import trip_status
from bessai.core.limits import Limits
from bessai.core.live import LiveFeed
from bessai.core.local_socket import LocalSocket
from bessai.core.log_levels import LogLevels
from bessai.core.measuring import measures
from bessai.core.previewing import Previews
from bessai.core.pulse import Pulse
from bessai.core.realtime import current_priority, take_priority
from bessai.core.settings import Settings
from bessai.core.socket_file import socket_path
from bessai.core.state_file import DiskState
from bessai.core.status import control_status, maintenance_status, unit_status
from bessai.core.supervisor import Supervisor
from bessai.grid import GridConfig, GridFunctions
from bessai.grid.change import ChangeDesk
from bessai.journal import Journal
from bessai.journal.writer import QUEUE
from bessai.model import Condition, Event, Quality, Severity, SystemClock
from bessai.registry import NO_DEVICE
from bessai.site import Site

log = logging.getLogger("bessai.gateway")

_CONDITIONS = 50
"""Conditions that the status lists, most severe first."""
_QUEUED_BYTES = 64 << 20
"""Memory that records waiting for the disk may take."""
_BYTES_PER_COLUMN = 17

_WITHOUT_HEARTBEAT = 10
"""Cycles in a row that end unverified, without an alarm that says why, before the gateway calls itself unwell."""

_PAGE = (sys.executable, "-m", "bessai.interfaces.api")
"""The page and the API: a process of its own, which may die without anybody's records waiting for it."""

_LAST_CYCLE = 0.3
"""Seconds that a running cycle gets at the stop."""


class Gateway:
    """One site.

    Args:
        settings: checked settings.
        site: the devices.
        limits: of every battery.
        grid: what the grid functions know of the plant; None: there are none.
        service_plane: False to run without one and without the page, for tests of the control plane alone.

    Raises:
        JournalError: the data directory cannot hold the journal, or another gateway uses it.
    """

    def __init__(
        self,
        settings: Settings,
        site: Site,
        limits: Limits,
        grid: GridConfig | None = None,
        *,
        service_plane: bool = True,
    ) -> None:
        self.settings = settings
        self.site = site
        self.clock = SystemClock()
        self.stop = asyncio.Event()
        self.pulse = Pulse(Notifier(), settings.cycle_time)  # before the supervisor copies the environment
        self.state = DiskState(settings.data_dir)
        keeper = take_up(self.state, self.clock)  # before the journal: what is missing beside one was lost
        device = site.controlled
        profile = device.compiled if device else NO_DEVICE
        self.profile = profile
        self.journal = Journal.open(
            settings.data_dir,
            layout=site.layout,
            device={"profile": profile.id, "manufacturer": profile.manufacturer, "model": profile.model},
            window=settings.journal_window,
            max_bytes=settings.journal_max_mb << 20,
            queue=max(4, min(QUEUE, _QUEUED_BYTES // (_BYTES_PER_COLUMN * max(1, len(site.layout))))),
        )
        keeper.tick()
        self.box = BlackBox(
            settings.data_dir / "blackbox",
            describe(settings, site, limits),
            before=settings.black_box_before,
            after=settings.black_box_after,
            max_bytes=settings.black_box_max_mb << 20,
        )
        self._grid_config = grid
        self.grid_state = DiskState(settings.data_dir, "grid.json", traces=())
        self.grid = (
            None
            if grid is None
            else ChangeDesk(GridFunctions(grid, cycle=settings.cycle_time), self.grid_state, self.clock)
        )
        control = control_plane(
            settings,
            site,
            self.clock,
            self.journal,
            limits=limits,
            keeper=keeper,
            box=self.box,
            pulse=self.pulse,
            proposer=self.grid,
        )
        self.plant, self.book, self.guard, self.cycle = (
            control.plant,
            control.book,
            control.guard,
            control.cycle,
        )
        path = socket_path(settings.data_dir)
        front = Front(self.cycle.guard, keeper.alarms, self.box, self.cycle.note, self.clock, self.cycle.keep)
        self.live = LiveFeed(site.layout, site.part[0], settings.cycle_time)
        self.cycle.heard = self.live.tell
        previews = Previews(self.guard, self.book, self.clock, lambda: self.cycle.stats.cycles)
        description = Description(
            settings, site, limits, grid, self.plant.device_status, self.plant.registers
        )
        handlers = {**front.handlers, **previews.handlers, **description.handlers}
        handlers |= self.grid.handlers if self.grid else {}
        handlers["summary"] = lambda _: {"status": self.status(points=False)}
        handlers["measures"] = lambda _: {
            "measures": measures(self.cycle.stats, self.journal, settings.cycle_time)
        }
        self.log_levels = LogLevels(settings.log_level, self.cycle.note, self.clock)
        handlers["log_level"] = self.log_levels.handle
        handlers["figures"] = lambda _: {"figures": figures(self)}
        handlers["device_figures"] = lambda message: device_figures(self, message)
        self.socket = LocalSocket(
            path, self.book, self.status, self.clock, self.plant.device_status, handlers, self.live
        )
        self.socket.log_levels = lambda: self.log_levels.changed
        self.cycle.watch = self._service_conditions
        environment = settings.environment() | {
            "BESSAI_SOCKET": str(path),
            "BESSAI_PUBLISH": _published(site),
            "BESSAI_REPORT": site.report.model_dump_json(exclude_defaults=True) if site.report else "",
        }
        self.supervisor = Supervisor(environment, self._service_died) if service_plane else None
        served = service_plane and settings.http_port
        self.page = Supervisor(environment, self._page_died, _PAGE, "the page") if served else None
        self._started = time.monotonic()

    async def run(self) -> None:
        """Run until `stop` is set or the process is told to end (SIGINT, SIGTERM, SIGHUP)."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self.stop.set)
        await self.socket.start()
        for event in self.journal.events_on_open:
            self.cycle.note(event)
        mode = self.settings.control_mode
        if (late := slow_cycle(self.settings, self._grid_config)) is not None:
            log.warning("%s", late)
        watches = commands_nothing(self.settings, self.site)
        if watches is not None:
            log.warning("%s", watches)
        self._note(
            "gateway_started",
            f"gateway {__version__} started, control mode {mode}" + (f"; {watches}" if watches else ""),
        )
        if (refused := take_priority(self.settings.realtime_priority)) is not None:
            log.warning("%s", refused)
            self._note("realtime_refused", refused, Severity.WARNING)
        for unit in self.guard.untested:
            self._note(
                "dead_man_untested",
                f"{unit or 'the device'}: nobody has seen its dead-man work here; run `bessai commission deadman`",
            )
        if (problem := self.pulse.problem) is not None:
            log.error(problem)
        supervision = [
            asyncio.create_task(child.run(self.stop)) for child in (self.supervisor, self.page) if child
        ]
        self.plant.start()
        cycling = asyncio.create_task(self.cycle.run(self.stop))
        gc.collect()
        gc.freeze()
        try:
            await self.stop.wait()
            self.pulse.stopping()
            await asyncio.wait({cycling}, timeout=_LAST_CYCLE)
            cycling.cancel()
            released = await self.cycle.release()
            await self.plant.close()
            stopped = self._event("gateway_stopped", Severity.INFO, f"gateway stopped; {released}")
            log.info("%s: %s", stopped.code, stopped.message)
            self.journal.append_event(stopped)
        finally:
            self.stop.set()
            kept = await asyncio.to_thread(self.state.close, 0.5)
            if self.grid is not None:
                self.grid.keep()
                kept = await asyncio.to_thread(self.grid_state.close, 0.5) and kept
            await asyncio.to_thread(self.box.close, 0.5)
            for event in self.cycle.last_events():
                self.journal.append_event(event)
            durable = await asyncio.to_thread(self.journal.close, 0.8) and kept
            if not durable:
                log.error("stopped before the last records were on disk")
            await asyncio.gather(*supervision)
            await self.socket.stop()

    def status(self, *, points: bool = True) -> dict[str, Any]:
        """What the gateway is doing, as plain JSON-safe data. Cheap enough for every second.

        Args:
            points: False leaves them out, which is cheap on the largest plants too.
        """
        last = self.cycle.last
        drivers = self.plant.units
        problems = [
            f"{name}: {driver.problem}" if name else driver.problem
            for name, driver in drivers.items()
            if driver.problem is not None
        ]
        problems += [c.message for c in self.cycle.active if c.severity >= Severity.ALARM]
        problems += filter(None, (self.cycle.failed, self.pulse.problem))
        if last is None:
            problems.append("no cycle has run yet")
        elif self.clock.monotonic() - last.image.monotonic > 3 * self.settings.cycle_time:
            problems.append("the control cycle does not run")
        if not problems and self.pulse.row > _WITHOUT_HEARTBEAT:
            problems.append(self.pulse.why)
        journal = self.journal.stats()
        if journal.last_error is not None:
            problems.append(f"journal: {journal.last_error}")
        devices = self.plant.status()
        if not drivers and not devices["well"]:
            problems.append("no device delivers")
        return {
            "site": self.settings.site_id,
            "version": __version__,
            "pid": os.getpid(),
            "uptime": round(time.monotonic() - self._started, 1),
            "realtime_priority": current_priority(),
            "healthy": not problems,
            "problems": problems,
            "device": self.plant.device_status(self.site.controlled.name) if self.site.controlled else None,
            "devices": devices,
            "control": control_status(self.cycle.last),
            "units": {
                name: unit_status(self.guard, unit, self.plant.units.get(name), self.clock.monotonic())
                for name, unit in self.guard.units.items()
            },
            "maintenance": maintenance_status(self.guard),
            "trips": [trip_status(trip) for trip in self.guard.latch.standing],
            "cycle": self.cycle.stats.as_dict()
            | {
                "period": self.settings.cycle_time,
                "age": None if last is None else round(self.clock.monotonic() - last.image.monotonic, 3),
            },
            "heartbeat": self.pulse.status(),
            "conditions": [
                {"code": c.code, "severity": c.severity.label, "point": c.point, "message": c.message}
                for c in self.cycle.active[:_CONDITIONS]
            ],
            "points": self._points() if points else {},
            "log": self.log_levels.status(),
            "grid": self.grid.status() if self.grid else None,
            "black_box": self.box.status(),
            "journal": {name: getattr(journal, name) for name in journal.__dataclass_fields__},
            "service_plane": {
                **(self.supervisor.status() if self.supervisor else {"running": False}),
                **self.socket.service_status,
            },
            "page": self.page.status() if self.page else {"running": False, "pid": None, "restarts": 0},
        }

    def _points(self) -> dict[str, Any]:
        image = self.cycle.view
        if image is None:
            return {}
        ages = image.ages()
        points: dict[str, Any] = {}
        for i, (name, unit) in enumerate(zip(image.layout.names, image.layout.units, strict=True)):
            value = float(image.values[i])
            point: dict[str, Any] = {
                "value": value if math.isfinite(value) else None,
                "unit": unit,
                "quality": Quality(int(image.quality[i])).label,
                "age": None if np.isnan(ages[i]) else round(float(ages[i]), 3),
            }
            if math.isfinite(value) and (meaning := image.layout.meaning(name, value)) is not None:
                point["meaning"] = meaning
            points[name] = point
        return points

    def _service_conditions(self) -> list[Condition]:
        """What the journal and the service plane say is wrong."""
        self.log_levels.look()
        error = self.journal.stats().last_error
        if error is not None:
            message = f"the journal in {self.settings.data_dir} cannot write: {error}"
            return [
                Condition(code="journal_failing", severity=Severity.ALARM, message=message),
                *self._sink_conditions(),
            ]
        return self._sink_conditions()

    def _sink_conditions(self) -> list[Condition]:
        sinks = self.socket.service_status.get("sinks")
        found = [s for s in sinks if isinstance(s, dict)] if isinstance(sinks, list) else []
        bad = [sink for sink in found if sink.get("last_error")]
        conditions = [
            Condition(code="schedule_invalid", severity=Severity.WARNING, message=str(sink["last_error"]))
            for sink in bad
            if sink.get("name") == "schedule"
        ]
        conditions += [
            Condition(
                code="notifications_failing", severity=Severity.WARNING, message=str(sink["last_error"])
            )
            for sink in bad
            if sink.get("name") == "notify"
        ]
        conditions += [
            Condition(
                code="scada_degraded",
                severity=Severity.WARNING,
                message=f"{sink['name']}: {sink['last_error']}",
                point=str(sink["name"]),
            )
            for sink in bad
            if sink.get("name") in {"iec104", "dnp3"}
        ]
        return conditions

    def _service_died(self, code: int) -> None:
        self._note("service_plane_died", f"service plane ended with code {code}", Severity.WARNING)

    def _page_died(self, code: int) -> None:
        self._note("page_died", f"the page's process ended with code {code}", Severity.WARNING)

    def _note(self, code: str, message: str, severity: Severity = Severity.INFO) -> None:
        self.cycle.note(self._event(code, severity, message))

    def _event(self, code: str, severity: Severity, message: str) -> Event:
        return Event(code=code, severity=severity, message=message, wall_ns=self.clock.wall_ns())


def _published(site: Site) -> str:
    """What the service plane is told to publish: `all`, or the devices whose points go with the plant's."""
    return "all" if site.publish == "all" else " ".join(["plant", *(device.name for device in site.units)])
