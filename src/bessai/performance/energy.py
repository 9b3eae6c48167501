"""Energy of each quarter hour at the point of connection: by the meter's counters when they can be trusted.

A counter tells a quarter's energy when it was read near both ends, never went down, and the difference is possible
at all; then gaps inside do not matter. Otherwise the integrated power counts, for the time that is known of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from bessai.performance.quarters import COUNTERS, QUARTER_NS, Quarter
from bessai.performance.samples import SECOND

NEAR_NS = 60 * SECOND
"""Between the readings before and after the end of a quarter; in between the counter is taken as straight."""
WHOLE = 0.99
"""Share of the quarter from which on integrated power counts as whole."""
_POSSIBLE = 1.5
"""Times the energy at rated power; a larger difference is a fault of the counter."""

Basis = Literal["counter", "power", "power, incomplete", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Energy:
    """One quarter hour. Energies are positive."""

    start_ns: int
    """UTC nanoseconds at which it begins."""
    exported: float | None
    """kWh; None when nothing is known."""
    imported: float | None
    basis_exported: Basis
    basis_imported: Basis
    coverage: float
    """Share of the quarter over which the power was known, 0 … 1."""
    integrated_exported: float
    """kWh by integrating the power, for comparison."""
    integrated_imported: float


def energy(number: int, quarters: Mapping[int, Quarter], rated_power: float) -> Energy:
    """The energy of a quarter; those before and after it are needed for the ends of counters.

    Args:
        number: since 1970 UTC.
        quarters: by number, as far as there are any.
        rated_power: kW, to refuse what is impossible.
    """
    quarter = quarters.get(number) or Quarter()
    coverage = min(1.0, quarter.seconds / (QUARTER_NS / SECOND))
    values: dict[str, tuple[float | None, Basis]] = {}
    for name in COUNTERS:
        counted = _counted(number, name, quarters)
        if counted is not None and 0 <= counted <= _POSSIBLE * rated_power * QUARTER_NS / SECOND / 3600:
            values[name] = counted, "counter"
        elif quarter.seconds > 0:
            integrated: float = getattr(quarter, name)
            values[name] = integrated, "power" if coverage >= WHOLE else "power, incomplete"
        else:
            values[name] = None, "unknown"
    return Energy(
        start_ns=number * QUARTER_NS,
        exported=values["exported"][0],
        imported=values["imported"][0],
        basis_exported=values["exported"][1],
        basis_imported=values["imported"][1],
        coverage=coverage,
        integrated_exported=quarter.exported,
        integrated_imported=quarter.imported,
    )


def _counted(number: int, name: str, quarters: Mapping[int, Quarter]) -> float | None:
    """Difference of a counter over a quarter in kWh; None when it cannot be trusted."""
    quarter = quarters.get(number)
    if quarter is None or quarter.counters[name].falls:
        return None
    begin, end = _at_end(number - 1, name, quarters), _at_end(number, name, quarters)
    return None if begin is None or end is None else end - begin


def _at_end(number: int, name: str, quarters: Mapping[int, Quarter]) -> float | None:
    """What a counter showed when a quarter ended; None when it was not read near that."""
    before, after = quarters.get(number), quarters.get(number + 1)
    if before is None or after is None:
        return None
    one, other = before.counters[name], after.counters[name]
    end_ns = (number + 1) * QUARTER_NS
    if not (one.known and other.known) or other.first < one.last:
        return None
    span = other.first_ns - one.last_ns
    if not 0 < span <= NEAR_NS:
        return None
    return one.last + (other.first - one.last) * ((end_ns - one.last_ns) / span)
