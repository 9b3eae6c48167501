"""Active power answers the frequency.

    share = law(f - f_nom), at most the authority, less and less where the state of charge leaves no reserve

The response is an offset on top of whatever the plant does by schedule. Nothing is summed up over time, so nothing
winds up. A frequency that is not known asks for nothing new: the response stands for `HOLD` seconds, then goes to 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bessai.grid.config import GridConfig
from bessai.grid.curves import droop_response
from bessai.grid.evidence import RELEASE, Evidence, Steady, clip, share_of
from bessai.grid.settings import FrequencySettings
from bessai.model import Condition, Severity

STEP = 0.001
"""Share of Pn by which the response must change before the device is told."""
_RECOVERY_SPAN = 5.0
"""% of charge beside the middle at which recovery is whole."""
_RECOVERY_TIME = 10.0
"""Seconds in which recovery comes to its whole power."""


def asked_share(settings: FrequencySettings, nominal: float, deviation: float) -> float:
    """The share of Pn that a deviation (Hz) from the nominal frequency (Hz) asks for, whatever may be given."""
    preset = settings.preset
    if preset is None:
        return droop_response(deviation / nominal, settings.dead_band, settings.droop, step=settings.step)
    share = preset.response(deviation, nominal)
    if preset.curve is None:
        return share
    return share * (settings.up if share > 0 else settings.down)


class FrequencyResponse:
    """The response of one plant."""

    def __init__(self, config: GridConfig, settings: FrequencySettings) -> None:
        self.settings = settings
        self.limited_by = ""
        """`authority`, `soc` or nothing."""
        self.deviation: float | None = None
        """Hz, of this cycle."""
        self.offset: float | None = None
        """kW; None while switched off."""
        self._config = config
        self._lagged = 0.0
        self._recovery = 0.0
        self._sound = 0.0
        self._output = Steady(STEP)
        self._fading = 0.0
        self._last: float | None = None
        self._soc: Evidence | None = None
        self._frequency: Evidence | None = None

    def step(self, frequency: Evidence, soc: Evidence | None, now: float) -> float | None:
        """The offset in kW of this cycle; None when the response is off.

        Args:
            frequency: in Hz.
            soc: in %; None where the plant has no such point.
            now: monotonic seconds.
        """
        dt = 0.0 if self._last is None else max(0.0, now - self._last)
        self._last, self._soc, self._frequency = now, soc, frequency
        known = frequency.present
        self.deviation = None if known is None else known - self._config.nominal_frequency
        self.limited_by = ""
        if not self.settings.enabled:
            return self._fade(dt)
        self._fading = 1.0
        if self.deviation is not None:
            share = self._sound = self._share(self.deviation, soc, dt)
        else:  # and the lag starts from here when the frequency is back
            share = self._lagged = self._sound * frequency.weight
            self._recovery = 0.0
        if soc is not None:
            share *= soc.weight
        up, down = self._room(soc)
        share = clip(self._output.follow(share), -down, up)
        self.offset = share * self._config.rated_power + 0.0
        return self.offset

    def _share(self, deviation: float, soc: Evidence | None, dt: float) -> float:
        settings = self.settings
        asked = self._asked(deviation)
        wanted = clip(asked, -settings.down, settings.up)
        up, down = self._room(soc)
        allowed = clip(wanted, -down, up)
        if allowed != wanted:
            self.limited_by = "soc"
        elif wanted != asked:
            self.limited_by = "authority"
        # the lag never holds what may not be given, or it would be given later
        share = self._lagged + (allowed - self._lagged) * share_of(dt, settings.time_constant)
        share = self._lagged = clip(share, -down, up)
        return clip(share + self._recover(asked, soc, dt), -down, up)

    def _asked(self, deviation: float) -> float:
        return asked_share(self.settings, self._config.nominal_frequency, deviation)

    def _room(self, soc: Evidence | None) -> tuple[float, float]:
        """Shares of Pn that may be added and taken away by what the battery has left."""
        settings = self.settings
        if soc is None:
            return settings.up, settings.down
        if soc.value is None:
            return 0.0, 0.0
        left = (soc.value - settings.soc_low) / settings.taper
        space = (settings.soc_high - soc.value) / settings.taper
        return settings.up * clip(left, 0.0, 1.0), settings.down * clip(space, 0.0, 1.0)

    def _recover(self, asked: float, soc: Evidence | None, dt: float) -> float:
        """Share of Pn that brings the charge to its middle, while the frequency asks for nothing."""
        settings = self.settings
        if not settings.recovery or soc is None or soc.present is None or asked:
            self._recovery = 0.0
            return 0.0
        away = soc.present - (settings.soc_low + settings.soc_high) / 2
        wanted = settings.recovery * clip(away / _RECOVERY_SPAN, -1.0, 1.0)
        most = settings.recovery * dt / _RECOVERY_TIME
        self._recovery += clip(wanted - self._recovery, -most, most)
        return self._recovery

    def _fade(self, dt: float) -> float | None:
        """Switched off: what stands goes to 0, without a step."""
        before, self._fading = self._fading, max(0.0, self._fading - dt / RELEASE)
        if self.offset is not None and self._fading > 0:
            self.offset *= self._fading / before
        else:
            self.offset = None
        self._lagged = self._recovery = self._sound = 0.0
        self._output.follow(0.0)
        return self.offset

    @property
    def exhausted(self) -> tuple[str, ...]:
        """Directions that the battery has no reserve for: `up`, `down`."""
        soc = self._soc.present if self._soc is not None else None
        if soc is None:
            return ()
        low, high = soc <= self.settings.soc_low, soc >= self.settings.soc_high
        return ("up",) * low + ("down",) * high

    def conditions(self) -> Sequence[Condition]:
        """What is wrong now."""
        if not self.settings.enabled or self._frequency is None:
            return ()
        found = []
        if self._frequency.lost:
            found.append(
                Condition(
                    code="grid_frequency_lost",
                    severity=Severity.ALARM,
                    message="The grid frequency is not known; the frequency response goes to zero.",
                    point=self._config.points.frequency,
                )
            )
        if self._soc is not None and self._soc.lost:
            found.append(
                Condition(
                    code="grid_soc_lost",
                    severity=Severity.WARNING,
                    message="The state of charge is not known; the frequency response goes to zero.",
                    point=self._config.points.soc,
                )
            )
        for direction in self.exhausted:
            verb = "add" if direction == "up" else "take away"
            found.append(
                Condition(
                    code="frequency_reserve_exhausted",
                    severity=Severity.WARNING,
                    message=f"The battery has no reserve left to {verb} power for the frequency.",
                    point=self._config.points.soc,
                    value=self._soc.value if self._soc is not None else None,
                )
            )
        return found

    def status(self) -> dict[str, Any]:
        """Input, output and limits, for people and tools."""
        return {
            "enabled": self.settings.enabled,
            "deviation": self.deviation,
            "offset": self.offset,
            "limited_by": self.limited_by,
            "exhausted": list(self.exhausted),
        }
