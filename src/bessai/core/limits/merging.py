"""A limits file laid over its preset: the limits that follow, and what contradicts itself."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

from bessai.core.limits.battery import Limits
from bessai.core.limits.level import Curve, Flag, Limit, TripLevel, WarningLevel
from bessai.core.limits.presets import FLAGS, PRESETS, series_levels
from bessai.core.limits.schema import KNOWN, FlagEntry, LimitEntry, LimitsFile, TripEntry, WarningEntry
from bessai.model import Role

_ROLES = {"operator": Role.OPERATOR, "engineer": Role.ENGINEER}
_WHOLE = (
    "soc_min", "soc_max", "soc_hysteresis", "soc_taper", "charge_power_max", "discharge_power_max",
    "charge_current_max", "discharge_current_max",
)  # fmt: skip


def preset_limits(chemistry: str, cells_in_series: int | None = None) -> Limits:
    """The limits of a preset as they are."""
    preset = PRESETS[chemistry]
    series = () if cells_in_series is None else series_levels(preset, cells_in_series)
    return Limits(
        chemistry=chemistry,
        cells_in_series=cells_in_series,
        levels=(*preset.levels, *series),
        cell_voltage_min=preset.cell_voltage[0],
    )


class Merge:
    """Lays a file over its preset. `problems` gathers what is wrong as (field, mend)."""

    def __init__(self, file: LimitsFile) -> None:
        self.problems: list[tuple[str, str]] = []
        self.preset = preset_limits(file.chemistry, file.cells_in_series)
        given = {name: getattr(file, name) for name in _WHOLE if getattr(file, name) is not None}
        self.limits = replace(
            self.preset,
            **given,
            levels=tuple(self._levels(file)),
            flags=tuple(self._flags(file)),
            named=self._named(file),
        )
        self._check_soc(given)

    def _named(self, file: LimitsFile) -> tuple[str, ...]:
        points = [
            KNOWN[code][0] for code, entry in file.limits.items() if entry is not None and code in KNOWN
        ]
        points += [entry.point for entry in file.flags.values() if entry is not None]
        return tuple(dict.fromkeys(points))

    def _check_soc(self, given: dict[str, float]) -> None:
        limits = self.limits
        field = next((name for name in ("soc_max", "soc_min", "soc_taper") if name in given), "soc_max")
        if limits.soc_min >= limits.soc_max:
            mend = f"soc_min {limits.soc_min:g} % and soc_max {limits.soc_max:g} % leave nothing between them"
            self.problems.append((field, mend))
        elif limits.soc_min + limits.soc_taper > limits.soc_max - limits.soc_taper:
            self.problems.append(
                ("soc_taper", "the tapers before soc_min and soc_max overlap; make it smaller")
            )

    def _levels(self, file: LimitsFile) -> Iterator[Limit]:
        base = {limit.code: limit for limit in self.preset.levels}
        for code, limit in base.items():
            entry = file.limits.get(code)
            if code not in file.limits:
                yield limit
            elif entry is not None:
                yield self._limit(code, entry, limit)
        for code, entry in file.limits.items():
            if code not in KNOWN:
                near = difflib.get_close_matches(code, KNOWN, 1)
                hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(sorted(KNOWN))}"
                self.problems.append((f"limits.{code}", f"no such limit; {hint}"))
            elif code not in base and entry is not None:
                yield self._limit(code, entry, None)

    def _limit(self, code: str, entry: LimitEntry, base: Limit | None) -> Limit:
        point, side, unit, _, _ = KNOWN[code]
        where, given = f"limits.{code}", entry.model_fields_set
        if base is None:
            if entry.hysteresis is None:
                self.problems.append((f"{where}.hysteresis", f"required, the preset has none; in {unit}"))
            optional = point in {"battery_voltage", "insulation_resistance", "soh"}
            base = Limit(code=code, point=point, side=side, unit=unit, hysteresis=0.0, optional=optional)
        self._numbers(where, entry, code)
        limit = replace(
            base,
            charge=_curve(entry.charge) if "charge" in given else base.charge,
            discharge=_curve(entry.discharge) if "discharge" in given else base.discharge,
            hysteresis=base.hysteresis if entry.hysteresis is None else entry.hysteresis,
            warning=self._warning(where, entry.warning, base) if "warning" in given else base.warning,
            trip=self._trip(where, entry.trip, base) if "trip" in given else base.trip,
        )
        self._order(where, limit)
        return limit

    def _warning(self, where: str, entry: WarningEntry | None, base: Limit) -> WarningLevel | None:
        if entry is None:
            return None
        own = base.warning
        at, clear, delay = (
            value if value is not None else getattr(own, name, None)
            for name, value in (("at", entry.at), ("clear", entry.clear), ("delay", entry.delay))
        )
        self._required(f"{where}.warning", {"at": at, "clear": clear, "delay": delay})
        if at is None or clear is None or delay is None:
            return None
        return WarningLevel(at=at, clear=clear, delay=delay)

    def _trip(self, where: str, entry: TripEntry | None, base: Limit) -> TripLevel | None:
        if entry is None:
            return None
        own = base.trip
        at = entry.at if entry.at is not None else getattr(own, "at", None)
        delay = entry.delay if entry.delay is not None else getattr(own, "delay", None)
        self._required(f"{where}.trip", {"at": at, "delay": delay})
        if at is None or delay is None:
            return None
        reset = own.reset if entry.reset is None and own is not None else _ROLES[entry.reset or "engineer"]
        return TripLevel(at=at, delay=delay, reset=reset)

    def _required(self, where: str, values: dict[str, float | None]) -> None:
        for name, value in values.items():
            if value is None:
                self.problems.append((f"{where}.{name}", "required, the preset has none"))

    def _numbers(self, where: str, entry: LimitEntry, code: str) -> None:
        """Every number in the limit's unit, curves in order."""
        for name, points in (("charge", entry.charge), ("discharge", entry.discharge)):
            xs = [x for x, _ in points or ()]
            for i, x in enumerate(xs):
                self._number(f"{where}.{name}.{i}.0", x, code)
            if any(a >= b for a, b in pairwise(xs)):
                self.problems.append((f"{where}.{name}", "values must ascend, each only once"))
        for name, value in (
            ("warning.at", entry.warning.at if entry.warning else None),
            ("warning.clear", entry.warning.clear if entry.warning else None),
            ("trip.at", entry.trip.at if entry.trip else None),
        ):
            if value is not None:
                self._number(f"{where}.{name}", value, code)

    def _number(self, field: str, value: float, code: str) -> None:
        _, _, unit, low, high = KNOWN[code]
        if not low <= value <= high:
            scaled = next((value / f for f in (1000.0, 10.0, 100.0) if low <= value / f <= high), None)
            hint = "" if scaled is None else f"; did you mean {scaled:g}?"
            self.problems.append((field, f"is no value in {unit} ({low:g} … {high:g}){hint}"))

    def _order(self, where: str, limit: Limit) -> None:
        sign = 1.0 if limit.side == "high" else -1.0
        inside = "below" if limit.side == "high" else "above"
        warning, trip = limit.warning, limit.trip
        if warning is not None and sign * warning.clear >= sign * warning.at:
            mend = f"{warning.clear:g} must lie {inside} `at` {warning.at:g}; give both"
            self.problems.append((f"{where}.warning.clear", mend))
        if warning is not None and trip is not None and sign * warning.at > sign * trip.at:
            mend = f"{warning.at:g} lies beyond the trip level {trip.at:g}, so it would never warn"
            self.problems.append((f"{where}.warning.at", mend))

    def _flags(self, file: LimitsFile) -> Iterator[Flag]:
        for flag in FLAGS:
            if flag.code not in file.flags:
                yield flag
        for code, entry in file.flags.items():
            if code in KNOWN:
                self.problems.append((f"flags.{code}", "is the name of a limit; choose another"))
            if entry is not None:
                base = next((flag for flag in FLAGS if flag.code == code), None)
                yield _flag(code, entry, optional=base is not None and base.optional)


def _curve(points: list[tuple[float, float]] | None) -> Curve | None:
    return None if points is None else Curve(tuple(points))


def _flag(code: str, entry: FlagEntry, *, optional: bool) -> Flag:
    return Flag(
        code=code,
        point=entry.point,
        bits=None if entry.bits is None else sum(1 << bit for bit in set(entry.bits)),
        bad=None if entry.bad is None else tuple(entry.bad),
        required=None if entry.required is None else tuple(entry.required),
        action=entry.action,
        stops=entry.stops,
        delay=entry.delay,
        plant_wide=entry.plant_wide,
        reset=_ROLES[entry.reset],
        optional=optional,
        message=entry.message,
    )
