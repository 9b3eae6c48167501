"""CPU of the IEC 60870-5-104 codec and link, without sockets.

    python -m benchmarks.iec104 [--quick] [--json]

10,000 measured values of short float, as an interrogation sends them (without time, consecutive addresses) and as
events (with time); a thousand events one by one, each through the link of a station and that of a master and
acknowledged. `scada` measures the station with its sockets.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from benchmarks.harness import Row, machine, median, parser, report
from bessai.iec104 import Cause, InfoObject, Link, LinkSettings, TypeId, decode, pack

_POINTS = 10_000
_EVENTS = 1_000
_WHEN = 1_767_225_600_000_000_000


def _items() -> list[InfoObject]:
    return [InfoObject(address=1 + n, value=n * 0.1, time=_WHEN + n * 7_000_000) for n in range(_POINTS)]


def _exchange(sender: Link, receiver: Link) -> int:
    """Everything that waits to be sent, both ways; how many events came of it."""
    count = 0
    while True:
        there, back = sender.outgoing(), receiver.outgoing()
        if not there and not back:
            return count
        count += len(receiver.receive(there, 0)) + len(sender.receive(back, 0))


def _links() -> tuple[Link, Link]:
    """A station and a master that has started it."""
    links = Link(LinkSettings(), now=0), Link(LinkSettings(), now=0, controlling=True)
    links[1].start(0)
    _exchange(*links)
    return links


def _one_by_one(items: list[InfoObject]) -> None:
    station, master = _links()
    for item in items[:_EVENTS]:
        for data, _ in pack(TypeId.M_ME_TF_1, Cause.SPONTANEOUS, 1, (item,)):
            if not station.send(data, item.address, 0):
                raise RuntimeError("the link took no more")
        _exchange(station, master)


def main() -> None:
    """Measure and report."""
    given = parser(__doc__ or "").parse_args()
    items = _items()
    interrogated = pack(TypeId.M_ME_NC_1, Cause.INTERROGATED, 1, items)
    events = pack(TypeId.M_ME_TF_1, Cause.SPONTANEOUS, 1, items)
    works: dict[str, tuple[int, Callable[[], object]]] = {
        "make an object": (_POINTS, _items),
        "pack an interrogated value": (
            _POINTS,
            lambda: pack(TypeId.M_ME_NC_1, Cause.INTERROGATED, 1, items),
        ),
        "pack an event": (_POINTS, lambda: pack(TypeId.M_ME_TF_1, Cause.SPONTANEOUS, 1, items)),
        "decode an interrogated value": (_POINTS, lambda: [decode(data) for data, _ in interrogated]),
        "decode an event": (_POINTS, lambda: [decode(data) for data, _ in events]),
        "an event alone: pack, send, receive, acknowledge": (_EVENTS, lambda: _one_by_one(items)),
    }
    taken: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(5 if given.quick else 50):
        for name, (count, work) in works.items():
            start = time.process_time()
            work()
            taken[name].append(1e6 * (time.process_time() - start) / count)
    rows: list[Row] = [(name, median(times), "µs") for name, times in taken.items()]
    rows += [
        ("10,000 values interrogated", len(interrogated), "ASDUs"),
        ("10,000 events", len(events), "ASDUs"),
    ]
    report({"machine": machine(), "points": _POINTS, "rows": rows}, rows, as_json=given.json)


if __name__ == "__main__":
    main()
