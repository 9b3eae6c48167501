"""A master made of c104 (lib60870), run as a process: `python c104_master.py PORT '{"1001": ["M_ME_NC_1", ""]}'`.

Takes a JSON object a line, answers each with one, and tells what it receives as lines with `event`:

    {"do": "interrogate"} {"do": "counters"} {"do": "clock"} {"do": "test"} {"do": "read", "ioa": 1001}
    {"do": "command", "ioa": 6001, "value": 1.5} {"do": "disconnect"} {"do": "connect"} {"do": "end"}
"""

import json
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import c104

VALUES: dict[str, Callable[[Any], Any]] = {
    "C_SC_NA_1": lambda value: c104.SingleCmd(bool(value)),
    "C_SE_NB_1": lambda value: c104.ScaledCmd(c104.Int16(int(value))),
    "C_SE_NC_1": c104.ShortCmd,
    "C_SE_TC_1": c104.ShortCmd,
}
_lock = threading.Lock()


def say(**what: Any) -> None:
    with _lock:
        print(json.dumps(what, default=str), flush=True)


def on_receive(
    point: c104.Point, previous_info: c104.Information, message: c104.IncomingMessage
) -> c104.ResponseState:
    recorded = point.recorded_at
    value = point.value
    say(
        event="point",
        ioa=point.io_address,
        value=value if isinstance(value, bool | int | float) else str(value),
        quality=str(point.quality),
        cause=message.cot.name,
        type=message.type.name,
        recorded_ms=None if recorded is None else round(recorded.timestamp() * 1000),
    )
    return c104.ResponseState.SUCCESS


def on_receive_raw(connection: c104.Connection, data: bytes) -> None:
    say(event="apdu", **c104.explain_bytes_dict(apdu=data))


def on_state_change(connection: c104.Connection, state: c104.ConnectionState) -> None:
    say(event="state", state=state.name)


def on_station_initialized(client: c104.Client, station: c104.Station, cause: c104.Coi) -> None:
    say(event="initialized")


def keep_open(connection: c104.Connection) -> None:
    """Ask for data transfer once more where the library forgot to: now and then it does, after connecting."""
    while True:
        time.sleep(0.5)
        if connection.is_connected and connection.is_muted:
            connection.unmute()


def main() -> None:
    port, points = int(sys.argv[1]), json.loads(sys.argv[2])
    client = c104.Client(tick_rate_ms=50, command_timeout_ms=10_000)
    connection = client.add_connection(ip="127.0.0.1", port=port, init=c104.Init.NONE)
    assert connection is not None
    connection.on_receive_raw(callable=on_receive_raw)
    connection.on_state_change(callable=on_state_change)
    client.on_station_initialized(callable=on_station_initialized)
    station = connection.add_station(common_address=1)
    assert station is not None
    for ioa, (kind, mode) in points.items():
        more = {"command_mode": getattr(c104.CommandMode, mode)} if mode else {}
        point = station.add_point(io_address=int(ioa), type=getattr(c104.Type, kind), **more)
        assert point is not None
        if not mode:
            point.on_receive(callable=on_receive)
    client.start()
    threading.Thread(target=keep_open, args=(connection,), daemon=True).start()
    for line in sys.stdin:
        message = json.loads(line)
        match message["do"]:
            case "interrogate":
                done = connection.interrogation(common_address=1)
            case "counters":
                done = connection.counter_interrogation(common_address=1)
            case "clock":
                done = connection.clock_sync(common_address=1)
            case "test":
                done = connection.test(common_address=1)
            case "read":
                point = station.get_point(io_address=message["ioa"])
                done = point is not None and point.read()
            case "command":
                point = station.get_point(io_address=message["ioa"])
                assert point is not None
                point.info = VALUES[point.type.name](message["value"])
                done = point.transmit(cause=c104.Cot.ACTIVATION)
            case "connect":
                connection.connect()
                done = True
            case "disconnect":
                connection.disconnect()
                done = True
            case _:
                break
        say(done=done, ask=message)
    client.stop()
    time.sleep(0.1)


if __name__ == "__main__":
    main()
