"""Commands of a DNP3 master: CROB and analog outputs, carried out by the same code as those of IEC 60870-5-104."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Final

from dnp3.core.enums import CommandStatus, ControlCode
from dnp3.outstation import CommandResult, DefaultCommandHandler

from bessai.interfaces.scada.commands import Refused, check
from bessai.site.scada import CommandPoint

_log = logging.getLogger(__name__)

_SAID: Final = 3
"""Refusals of one request that are logged."""

Execute = Callable[[CommandPoint, float], None]
"""Carries a command out and returns when the gateway has answered; raises Refused or TimeoutError."""

_ON: Final = (ControlCode.LATCH_ON, ControlCode.CLOSE_PULSE_ON)
_OFF: Final = (ControlCode.LATCH_OFF, ControlCode.TRIP_PULSE_ON)


class Controls(DefaultCommandHandler):
    """What `dnp3py` asks when a master selects or operates. Called in a thread that may wait.

    Args:
        commands: the list.
        execute: carries a command out.
        allowed: False: this master may not command at all.
    """

    def __init__(self, commands: Sequence[CommandPoint], execute: Execute, *, allowed: bool) -> None:
        self._switches = {point.index: point for point in commands if not point.is_setpoint}
        self._setpoints = {point.index: point for point in commands if point.is_setpoint}
        self._execute = execute
        self._allowed = allowed
        self.refused = 0
        """Objects of the request that were refused."""

    def begin(self) -> None:
        """A request begins."""
        self.refused = 0

    def select_binary_output(
        self, index: int, code: ControlCode, count: int, on_time: int, off_time: int
    ) -> CommandResult:
        """See `CommandHandler`."""
        return self._select(self._switches.get(index), _switched(code, count))

    def operate_binary_output(
        self, index: int, code: ControlCode, count: int, on_time: int, off_time: int, select_sequence: int
    ) -> CommandResult:
        """See `CommandHandler`."""
        return self._operate(self._switches.get(index), _switched(code, count))

    def direct_operate_binary_output(
        self, index: int, code: ControlCode, count: int, on_time: int, off_time: int
    ) -> CommandResult:
        """See `CommandHandler`."""
        return self._direct(self._switches.get(index), _switched(code, count))

    def select_analog_output(self, index: int, value: float) -> CommandResult:
        """See `CommandHandler`."""
        return self._select(self._setpoints.get(index), value)

    def operate_analog_output(self, index: int, value: float, select_sequence: int) -> CommandResult:
        """See `CommandHandler`."""
        return self._operate(self._setpoints.get(index), value)

    def direct_operate_analog_output(self, index: int, value: float) -> CommandResult:
        """See `CommandHandler`."""
        return self._direct(self._setpoints.get(index), value)

    def _select(self, point: CommandPoint | None, value: float | None) -> CommandResult:
        if (objection := self._objection(point, value)) is not None:
            return objection
        return CommandResult.success()

    def _direct(self, point: CommandPoint | None, value: float | None) -> CommandResult:
        if point is not None and point.sbo and self._allowed:
            self._refuse(f"{point.target} must be selected before it is operated")
            return CommandResult(CommandStatus.NO_SELECT)
        return self._operate(point, value)

    def _operate(self, point: CommandPoint | None, value: float | None) -> CommandResult:
        objection = self._objection(point, value)
        if objection is not None or point is None or value is None:
            return objection or CommandResult.not_supported()
        try:
            self._execute(point, value)
        except Refused as error:
            self.refused += 1
            return CommandResult(CommandStatus.AUTOMATION_INHIBIT, str(error))
        except TimeoutError:
            return CommandResult(CommandStatus.TIMEOUT, "the gateway did not answer in time")
        return CommandResult.success()

    def _refuse(self, text: str) -> None:
        self.refused += 1
        if self.refused <= _SAID:
            _log.warning("dnp3: %s", text)

    def _objection(self, point: CommandPoint | None, value: float | None) -> CommandResult | None:
        if not self._allowed:
            self._refuse("a command was refused: scada.dnp3.commands is false")
            return CommandResult(CommandStatus.NOT_AUTHORIZED)
        if point is None or value is None:
            return CommandResult.not_supported()
        try:
            check(point, value)
        except Refused as error:
            self._refuse(f"command {point.target} refused: {error}")
            return CommandResult.out_of_range(str(error))
        return None


def _switched(code: ControlCode, count: int) -> float | None:
    """1 for on, 0 for off; None for what is not carried out, as trains of pulses."""
    if count != 1:
        return None
    return 1.0 if code in _ON else 0.0 if code in _OFF else None
