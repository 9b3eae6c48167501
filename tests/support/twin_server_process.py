"""A twin as a process of its own, told what to do by lines of JSON on its standard input.

{"do": "state"}                                  what the device is doing, and every write it took
{"do": "set", "path": "faults.silent", "to": true}
{"do": "force", "point": "soc", "to": 99.0}      … and "release"
{"do": "writes", "to": "answered" | "unanswered" | "ignored"}
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from bessai.registry import load_profile
from bessai.twin import TwinServer

WRITES = {5, 6, 15, 16}


class Told:
    """The twin, and what became of it."""

    def __init__(self, profile: str, speed: float, port: int) -> None:
        self.twin = TwinServer(load_profile(profile), seed=1, speed=speed, port=port)
        self.fell_at: list[float] = []
        self.writes = "answered"
        device, fall_back, respond = self.twin.device, self.twin.device._fall_back, self.twin.respond

        def noted() -> None:
            self.fell_at.append(device.plant.time)
            fall_back()

        async def answered(frame: Any, faults: Any) -> bytes | None:
            if self.writes == "answered" or frame.function not in WRITES:
                return await respond(frame, faults)
            if self.writes == "unanswered":
                await respond(frame, faults)
            return None

        device._fall_back = noted  # type: ignore[method-assign]
        self.twin.respond = answered  # type: ignore[method-assign]

    def answer(self, told: dict[str, Any]) -> dict[str, Any]:
        """Do one thing."""
        device = self.twin.device
        self.twin.notice()  # simulated time goes on
        match told["do"]:
            case "set":
                *path, name = told["path"].split(".")
                target: Any = device
                for part in path:
                    target = getattr(target, part)
                setattr(target, name, told["to"])
            case "force":
                device.force(told["point"], told["to"])
            case "release":
                device.release(told["point"])
            case "writes":
                self.writes = told["to"]
        return {
            "time": device.plant.time,
            "power": device.plant.battery.power,
            "order": device.order.power if device.order is not None else None,
            "active": device.active,
            "fallbacks": device.fallbacks,
            "fell_at": self.fell_at,
            "log": [[one.time, one.point, one.value] for one in device.log],
        }


async def _main(profile: str, speed: float, port: int) -> None:
    told = Told(profile, speed, port)
    await told.twin.start()
    print(json.dumps({"port": told.twin.port}), flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        print(json.dumps(told.answer(json.loads(line))), flush=True)
    await told.twin.stop()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3])))
