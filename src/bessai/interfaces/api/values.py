"""Every value of the plant: the status tells the plant's own and the commanded device's, the live feed all others.

A status with the points of a thousand devices would cost the control plane too much; the feed has them once a second.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from bessai.model import Quality

if TYPE_CHECKING:
    from bessai.interfaces.api.live import Live


class Values(Mapping[str, Mapping[str, Any]]):
    """Each point's `value`, `unit`, `quality`, `age`, and of those in the status `meaning`.

    Args:
        status: of the gateway.
        live: its feed; None or unconnected: there is the status alone.
    """

    def __init__(self, status: Mapping[str, Any], live: Live | None) -> None:
        self._status: Mapping[str, Mapping[str, Any]] = status["points"]
        self._live = live if live is not None and live.connected else None
        self._ages = self._live.ages if self._live else np.array([])

    def __getitem__(self, name: str) -> Mapping[str, Any]:
        told = self._status.get(name)
        if told is not None:
            return told
        if self._live is None:
            raise KeyError(name)
        i = self._live.index[name]
        value, age = float(self._live.values[i]), float(self._ages[i])
        known = math.isfinite(age)
        quality = Quality(int(self._live.quality[i]))
        return {
            "value": value if math.isfinite(value) else None,
            "unit": self._live.units[i],
            "quality": (Quality.MISSING if quality == Quality.GOOD and not known else quality).label,
            "age": round(age, 3) if known else None,
        }

    def __iter__(self) -> Iterator[str]:
        yield from self._status
        if self._live is not None:
            yield from (name for name in self._live.names if name not in self._status)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def oldest(self, without: Collection[str] = ()) -> dict[str, float]:
        """Seconds of the oldest good value by device, "" being the plant and the only device of a plain site.

        Args:
            without: points that do not count, as those that are read once and grow old as they should.
        """
        found: dict[str, float] = {}
        if self._live is not None:
            good = np.flatnonzero((self._live.quality == Quality.GOOD) & np.isfinite(self._ages))
            for i, age in zip(good.tolist(), self._ages[good].tolist(), strict=True):
                device = self._live.names[i].rpartition(".")[0]
                if age > found.get(device, -1.0) and self._live.names[i] not in without:
                    found[device] = age
        for name, told in self._status.items():
            if told["quality"] == Quality.GOOD.label and told["age"] is not None and name not in without:
                device = name.rpartition(".")[0]
                found[device] = max(float(told["age"]), found.get(device, 0.0))
        return {device: round(age, 3) for device, age in found.items()}
