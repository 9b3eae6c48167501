"""A controlled station made with c104 (GPL), in a process of its own. Prints its port and ends with its input.

Common address 47. It refuses set-points of 1000 and more at address 20; address 21 wants a selection first.
"""

import sys
from datetime import UTC, datetime

from support.processes import free_port

try:
    import c104
except ImportError:
    sys.exit(77)

WHEN = datetime(2026, 6, 1, 12, 4, 5, 678000, tzinfo=UTC)


def limited(
    point: c104.Point, previous_info: c104.Information, message: c104.IncomingMessage
) -> c104.ResponseState:
    """Takes what is less than 1000."""
    return c104.ResponseState.SUCCESS if float(point.value) < 1000 else c104.ResponseState.FAILURE  # type: ignore[arg-type]


def taken(
    point: c104.Point, previous_info: c104.Information, message: c104.IncomingMessage
) -> c104.ResponseState:
    """Takes all, and reports the first value at once."""
    assert point.station is not None
    reported = point.station.get_point(100)
    assert reported is not None
    reported.value = -1.25
    reported.transmit(cause=c104.Cot.SPONTANEOUS)
    return c104.ResponseState.SUCCESS


def main() -> None:
    server = c104.Server(ip="127.0.0.1", port=free_port(), tick_rate_ms=50, select_timeout_ms=5000)
    station = server.add_station(common_address=47)
    assert station is not None
    kind, quality = c104.Type, c104.Quality
    points: list[tuple[int, c104.Type, c104.Information]] = [
        (11, kind.M_SP_NA_1, c104.SingleInfo(True, quality.Blocked, WHEN)),
        (12, kind.M_SP_TB_1, c104.SingleInfo(True, quality.Invalid, WHEN)),
        (13, kind.M_DP_TB_1, c104.DoubleInfo(c104.Double.ON, quality.Substituted, WHEN)),
        (14, kind.M_ST_TB_1, c104.StepInfo(c104.Int7(-3), True, quality(), WHEN)),
        (15, kind.M_ME_TD_1, c104.NormalizedInfo(c104.NormalizedFloat(-0.5), quality(), WHEN)),
        (16, kind.M_ME_TE_1, c104.ScaledInfo(c104.Int16(-77), quality.Overflow, WHEN)),
        (17, kind.M_ME_TF_1, c104.ShortInfo(1.5, quality.NonTopical, WHEN)),
        (
            18,
            kind.M_IT_TB_1,
            c104.BinaryCounterInfo(-12, c104.UInt5(7), c104.BinaryCounterQuality.Carry, WHEN),
        ),
        *((100 + n, kind.M_ME_NC_1, c104.ShortInfo(n / 2)) for n in range(100)),
    ]
    for address, type_id, info in points:
        point = station.add_point(io_address=address, type=type_id)
        assert point is not None
        point.info = info
    set_point = station.add_point(io_address=20, type=kind.C_SE_NC_1)
    switch = station.add_point(
        io_address=21, type=kind.C_SC_TA_1, command_mode=c104.CommandMode.SELECT_AND_EXECUTE
    )
    assert set_point is not None
    assert switch is not None
    set_point.on_receive(callable=limited)
    switch.on_receive(callable=taken)
    server.start()
    print(server.port, flush=True)
    sys.stdin.read()
    server.stop()


if __name__ == "__main__":
    main()
