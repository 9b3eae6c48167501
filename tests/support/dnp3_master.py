"""A DNP3 master of another make (opendnp3), in a process of its own: lines of JSON in, lines of JSON out.

    python dnp3_master.py PORT [MASTER OUTSTATION]

Orders: {"do": "scan", "classes": [0, 1, 2, 3]}, {"do": "operate" | "direct", "kind": "analog" | "binary",
"index": n, "value": v}, {"do": "disable"}, {"do": "enable"}, {"do": "end"}. It tells every measurement, every change of
the channel, the internal indications, and the results of commands and scans.
"""

from __future__ import annotations

import json
import sys
import threading
from typing import Any

import opendnp3 as dnp3  # type: ignore[import-not-found, import-untyped, unused-ignore]

_OUT = threading.Lock()


def say(**what: Any) -> None:
    """One line for the test."""
    with _OUT:
        print(json.dumps(what), flush=True)


class Measurements(dnp3.ISOEHandler):  # type: ignore[misc, unused-ignore]
    """Tells what arrives."""

    def BeginFragment(self, info: Any) -> None:
        """See `ISOEHandler`."""

    def EndFragment(self, info: Any) -> None:
        """See `ISOEHandler`."""

    def Process(self, info: Any, values: Any) -> None:
        """See `ISOEHandler`."""
        for item in values:
            value = item.value
            say(
                told=str(info.gv).rpartition(".")[2],
                event=bool(info.isEventVariation),
                index=item.index,
                value=getattr(value, "value", None),
                flags=getattr(getattr(value, "flags", None), "value", None),
                time=getattr(getattr(value, "time", None), "value", None),
            )

    def OnDeviceAttribute(self, *_: Any) -> None:
        """See `ISOEHandler`."""


class Application(dnp3.IMasterApplication):  # type: ignore[misc, unused-ignore]
    """Tells of tasks and indications."""

    def OnReceiveIIN(self, iin: Any) -> None:
        """See `IMasterApplication`."""
        say(iin=[iin.LSB, iin.MSB])

    def OnTaskComplete(self, info: Any) -> None:
        """See `IMasterApplication`."""
        say(task=str(info.type).rpartition(".")[2], result=str(info.result).rpartition(".")[2])

    def OnTaskStart(self, *_: Any) -> None:
        """See `IMasterApplication`."""

    def OnOpen(self) -> None:
        """See `IMasterApplication`."""
        say(link="open")

    def OnClose(self) -> None:
        """See `IMasterApplication`."""
        say(link="closed")

    def AssignClassDuringStartup(self) -> bool:
        """See `IMasterApplication`."""
        return False


class Channel(dnp3.IChannelListener):  # type: ignore[misc, unused-ignore]
    """Tells of the connection."""

    def OnStateChange(self, state: Any) -> None:
        """See `IChannelListener`."""
        say(channel=str(state).rpartition(".")[2])


def _done(result: Any) -> None:
    say(
        command=str(result.summary).rpartition(".")[2],
        points=[str(point.status).rpartition(".")[2] for point in result.to_list()],
    )


def _command(order: dict[str, Any]) -> Any:
    if order["kind"] == "analog":
        return dnp3.AnalogOutputFloat32(float(order["value"]))
    on = dnp3.OperationType.LATCH_ON if order["value"] else dnp3.OperationType.LATCH_OFF
    return dnp3.ControlRelayOutputBlock(on)


def main(port: int, own: int, far: int) -> None:
    """Carry out orders until there are no more."""
    manager = dnp3.DNP3Manager(1)
    seconds = dnp3.TimeDuration.Seconds
    channel = manager.AddTCPClient(
        "test",
        dnp3.LogLevels(0),
        dnp3.ChannelRetry(dnp3.TimeDuration.Milliseconds(100), seconds(1)),
        [dnp3.IPEndpoint("127.0.0.1", port)],
        "0.0.0.0",
        Channel(),
    )
    config = dnp3.MasterStackConfig()
    config.link = dnp3.LinkConfig(True, own, far, seconds(10), seconds(60))
    config.master.responseTimeout = seconds(30)
    measurements, application = Measurements(), Application()
    master = channel.AddMaster("test", measurements, application, config)
    master.Enable()
    say(ready=True)
    for line in sys.stdin:
        order = json.loads(line)
        if order["do"] == "end":
            break
        if order["do"] == "scan":
            wanted = [number in order["classes"] for number in range(4)]
            master.ScanClasses(dnp3.ClassField(*wanted), measurements)
        elif order["do"] == "operate":
            master.SelectAndOperate(_command(order), order["index"], _done)
        elif order["do"] == "direct":
            master.DirectOperate(_command(order), order["index"], _done)
        elif order["do"] == "disable":
            master.Disable()
        elif order["do"] == "enable":
            master.Enable()
    manager.Shutdown()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
