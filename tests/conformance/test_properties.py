"""Any profile over any registers: reading by blocks tells exactly what reading each point alone would.

What a point alone would tell is worked out here a second time, with `struct` and nothing of the registry's compiler.
"""

from __future__ import annotations

import asyncio
import math
import random
import struct
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bessai.drivers import Pace, UniversalDriver
from bessai.model import Quality
from bessai.registry import CompiledProfile, Profile, compile_profile
from bessai.registry.checks import cross_check
from support.memory_transport import in_memory
from support.profiles import document

CODES = {"u16": "H", "i16": "h", "u32": "I", "i32": "i", "u64": "Q", "i64": "q", "f32": "f", "f64": "d"}
TABLES = {1: "coil", 2: "discrete", 3: "holding", 4: "input"}
STATIONS: dict[str | None, int] = {None: 1, "vebus": 227, "battery": 225}
PACES = ("fast", "normal", "slow", "once")

Place = tuple[int, str, int]
"""Unit, table and address."""


class Registers:
    """A device with several units: words and bits by place, some of them refused."""

    def __init__(self, limit: int) -> None:
        self.words: dict[Place, int] = {}
        self.refused: set[Place] = set()
        self.requests = 0
        self._limit = limit

    def get(self, place: Place) -> int:
        """What nobody set is some number all the same."""
        word = self.words.get(place, (place[2] * 40503 + place[0]) & 0xFFFF)
        return word & 1 if place[1] in {"coil", "discrete"} else word

    def answer(self, unit: int, pdu: bytes) -> bytes:
        self.requests += 1
        code, address, count = struct.unpack(">BHH", pdu)
        table = TABLES[code]
        assert 1 <= count <= self._limit * (16 if code <= 2 else 1), "more than the device gives at once"
        assert address + count <= 65536
        places = [(unit, table, a) for a in range(address, address + count)]
        if not self.refused.isdisjoint(places):
            return bytes((code | 0x80, 2))
        if code <= 2:
            data = bytearray((count + 7) // 8)
            for i, place in enumerate(places):
                data[i // 8] |= self.get(place) << i % 8
        else:
            data = bytearray(struct.pack(f">{count}H", *map(self.get, places)))
        return bytes((code, len(data))) + data

    def receive(self, data: bytes) -> Iterable[bytes]:
        """Every request in what a Modbus TCP client sent is answered by a frame."""
        while data:
            transaction, _, length, unit = struct.unpack(">HHHB", data[:7])
            pdu = self.answer(unit, data[7 : 6 + length])
            yield struct.pack(">HHHB", transaction, 0, len(pdu) + 1, unit) + pdu
            data = data[6 + length :]


def places_of(point: dict[str, Any]) -> list[Place]:
    size = point.get("count") or struct.calcsize(CODES.get(point["type"], "H")) // 2
    unit, table, address = STATIONS[point.get("station")], point.get("table", "holding"), point["address"]
    return [(unit, table, a) for a in range(address, address + size)]


def data_of(point: dict[str, Any], registers: Registers) -> bytes:
    """The bytes of a point's registers in big-endian order of value."""
    words = [registers.get(place) for place in places_of(point)]
    if point.get("byte_order") == "little":
        words = [word >> 8 | (word & 0xFF) << 8 for word in words]
    if point.get("word_order") == "little":
        words.reverse()
    return struct.pack(f">{len(words)}H", *words)


def alone(profile: dict[str, Any], name: str, registers: Registers) -> tuple[float, Quality]:
    """Value and quality of one numeric point, read on its own."""
    point = profile["points"][name]
    places = places_of(point)
    if not registers.refused.isdisjoint(places):
        return math.nan, Quality.ABSENT
    kind = point["type"]
    if kind == "bool":
        raw: float = registers.get(places[0])
    else:
        (raw,) = struct.unpack(">" + CODES[kind], data_of(point, registers))
    sentinels = point.get("sentinel", profile["sentinels"].get(kind, []))
    if float(raw) in {float(s) for s in ([sentinels] if isinstance(sentinels, int) else sentinels)}:
        quality = Quality.NOT_AVAILABLE
    else:
        quality = Quality.GOOD
    power = 1.0
    if "scale" in point:
        exponent, known = alone(profile, point["scale"], registers)
        if known is not Quality.GOOD:
            return math.nan, known
        power = float(f"1e{exponent:.0f}")
    if quality is Quality.NOT_AVAILABLE:
        return math.nan, quality
    value = float(raw) * (point.get("gain", 1.0) * power) + point.get("offset", 0.0)
    if not math.isfinite(value):
        return math.nan, Quality.INVALID
    low, high = point.get("valid", (-math.inf, math.inf))
    return value, Quality.GOOD if low <= value <= high else Quality.OUT_OF_RANGE


def text_alone(point: dict[str, Any], registers: Registers) -> str:
    return data_of(point, registers).partition(b"\0")[0].decode("utf-8", "replace").strip()


def some_profile(rng: random.Random) -> dict[str, Any]:
    """A profile of random points, with every freedom that the checks allow."""
    limit = rng.choice([125, 125, 64, 30, 8])
    connection = {
        "max_registers": limit,
        "max_gap": rng.choice([0, 1, 16, 124]),
        "outstanding": rng.choice([1, 4]),
        "retries": rng.choice([0, 2]),
        "unit": STATIONS[None],
        "stations": {name: unit for name, unit in STATIONS.items() if name},
    }
    points: dict[str, dict[str, Any]] = {}
    ends: dict[tuple[str | None, str], int] = {}
    for n in range(rng.randint(1, 24)):
        table = rng.choice(["holding", "holding", "holding", "input", "coil", "discrete"])
        station = rng.choice([None, None, *STATIONS])
        twin = rng.choice(list(points.values())) if points and rng.random() < 0.15 else None
        point: dict[str, Any] = {"poll": rng.choice([*PACES, "fast", "never"])}
        if twin is not None and twin["type"] != "text":  # another view of the same registers
            size = len(places_of(twin))
            same = [t for t in CODES if struct.calcsize(CODES[t]) == 2 * size]
            point |= {key: twin[key] for key in ("address", "table", "station") if key in twin}
            point["type"] = "bool" if twin["type"] == "bool" else rng.choice(same)
        else:
            bits = table in {"coil", "discrete"}
            point["type"] = "bool" if bits else rng.choice([*CODES, "text"])
            if point["type"] == "text":
                point["count"] = rng.randint(1, min(limit, 10))
            size = point.get("count") or struct.calcsize(CODES.get(point["type"], "H")) // 2
            start = ends.get((station, table), rng.choice([0, 1, 40000, 65000]))
            start += rng.choice([0, 0, 0, 1, 2, 15, 16, 17, 18, 130])
            if start + size > 65536:
                continue
            ends[station, table] = start + size
            point |= {"address": start, "table": table} | ({"station": station} if station else {})
        _dress(rng, point)
        points[f"p{n}"] = point
    if not points:
        points["p"] = {"address": 65535, "type": "u16", "poll": "fast"}
    _scale(rng, points)
    order = list(points)
    rng.shuffle(order)
    sentinels = {"u16": [0xFFFF], "i32": [0x7FFFFFFF, -0x80000000]} if rng.random() < 0.5 else {}
    return document({name: points[name] for name in order}, connection=connection, sentinels=sentinels)


def _dress(rng: random.Random, point: dict[str, Any]) -> None:
    """Orders, gain, offset, sentinels and limits."""
    kind = point["type"]
    if kind != "bool" and rng.random() < 0.3:
        point["byte_order"] = "little"
    if kind not in {"bool", "text"} and rng.random() < 0.3:
        point["word_order"] = "little"
    if kind == "text":
        return
    if rng.random() < 0.5:
        point["gain"] = rng.choice([0.1, -0.001, 10.0, 0.0009765625, -1.0, 1 / 3])
    if rng.random() < 0.2:
        point["offset"] = rng.choice([-40.0, 273.15, 1e-3])
    if kind not in {"bool", "f32", "f64"} and rng.random() < 0.5:
        point["sentinel"] = rng.choice([[], _extreme(kind), [0, _extreme(kind)], [1, 5, 7]])
    if rng.random() < 0.3:
        point["valid"] = rng.choice([[0.0, 100.0], [-1000.0, 1000.0], [0.1, 6553.4], [-3.2767, 3.2767]])


def _scale(rng: random.Random, points: dict[str, dict[str, Any]]) -> None:
    """Exponents for some points, read at least as often as these."""
    fit = [name for name, p in points.items() if p["type"] in {"i16", "u16"} and p["poll"] != "never"]
    exponents = [name for name in fit if rng.random() < 0.3]
    for name in exponents:
        points[name] = {k: v for k, v in points[name].items() if k not in {"gain", "offset"}}
        points[name]["valid"] = rng.choice([[-10, 10], [-3, 3]])
    for name, point in points.items():
        scaled = point["type"] not in {"text", "bool", "f32", "f64"} and name not in exponents
        quick = [e for e in exponents if _pace(points[e]) <= _pace(point)]
        if scaled and quick and rng.random() < 0.5:
            point["scale"] = rng.choice(quick)


def _pace(point: dict[str, Any]) -> int:
    return PACES.index(point["poll"]) if point["poll"] != "never" else len(PACES)


def _extreme(kind: str) -> int:
    bits = int(kind[1:])
    return int(2**bits - 1 if kind[0] == "u" else 2 ** (bits - 1) - 1)


def fill(rng: random.Random, profile: dict[str, Any], registers: Registers) -> None:
    """Numbers that matter to each point: limits, sentinels, exponents, NaN, and any others."""
    for point in profile["points"].values():
        kind = point["type"]
        if rng.random() < 0.2:
            continue  # leftovers
        if kind == "bool":
            registers.words[places_of(point)[0]] = rng.randint(0, 1)
            continue
        if kind == "text":
            data = rng.choice(["Ab 1", " SN\0x", "ÄöΩ", "", "LUNA2000-200"]).encode()
            data = data[: 2 * point["count"]].ljust(2 * point["count"], rng.choice([b"\0", b" "]))
        elif kind[0] == "f":
            number = rng.choice([0.0, -0.0, 1.5, -1e30, math.nan, math.inf, -math.inf, 99.99, 3.4e38])
            data = struct.pack(">" + CODES[kind], number)
        else:
            top = _extreme(kind)
            small = rng.randint(-12, 12)
            number = rng.choice([small, small, small, 1000, top, top - 1, 0, -top, -top - 1])
            data = struct.pack(">" + CODES[kind.replace("i", "u")], number & (1 << int(kind[1:])) - 1)
        words = list(struct.unpack(f">{len(data) // 2}H", data))
        if point.get("word_order") == "little":
            words.reverse()
        if point.get("byte_order") == "little":
            words = [word >> 8 | (word & 0xFF) << 8 for word in words]
        registers.words.update(zip(places_of(point), words, strict=True))


def refuse(rng: random.Random, profile: dict[str, Any], registers: Registers) -> None:
    """Some addresses do not exist, of points and between them."""
    for point in profile["points"].values():
        if rng.random() < 0.2:
            registers.refused.add(rng.choice(places_of(point)))
        if rng.random() < 0.1:
            unit, table, last = places_of(point)[-1]
            registers.refused.add((unit, table, last + rng.randint(1, 3)))


def compare(driver: UniversalDriver, profile: dict[str, Any], registers: Registers) -> None:
    now = asyncio.get_running_loop().time()
    values, quality, _ = driver.columns(now)
    for i, name in enumerate(driver.profile.layout.names):
        if profile["points"][name]["poll"] == "never":
            assert quality[i] == Quality.MISSING, name
            continue
        value, mark = alone(profile, name, registers)
        assert Quality(int(quality[i])) is mark, (name, profile["points"][name], value, values[i])
        assert values[i] == value or (math.isnan(values[i]) and math.isnan(value)), name
    for name in driver.profile.text_names:
        point = profile["points"][name]
        if point["poll"] == "never":
            assert name not in driver.texts
        elif registers.refused.isdisjoint(places_of(point)):
            assert driver.texts[name] == text_alone(point, registers), name


def compile_document(made: dict[str, Any]) -> CompiledProfile:
    profile = Profile.model_validate(made)
    assert list(cross_check(profile, "test")) == []
    return compile_profile(profile)


async def acts(driver: UniversalDriver, rng: random.Random, made: dict[str, Any], device: Registers) -> None:
    """Whole, then other numbers, then with addresses refused, twice, then whole again."""
    for refused in (False, False, True, True, False):
        fill(rng, made, device)
        if refused and not device.refused:
            refuse(rng, made, device)
        if not refused and device.refused:
            device.refused.clear()
            for poller in driver._pollers.values():
                if poller.absent:
                    await poller.poll_absent(driver.client)
                    assert len(poller._blocks) == len(poller.plan.blocks)  # no split is left behind
        assert await driver.read_all()
        compare(driver, made, device)
    await driver.close()


def run_case(rng: random.Random, loop: asyncio.Runner) -> None:
    made = some_profile(rng)
    profile = compile_document(made)
    device = Registers(made["connection"]["max_registers"])

    async def body() -> None:
        await acts(UniversalDriver(profile, "memory", pace=Pace(slow=1e9)), rng, made, device)

    if profile.plans:
        with in_memory(device.receive):
            loop.run(body())


@settings(max_examples=80, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.randoms(use_true_random=False))
def test_blocks_tell_what_points_alone_tell(rng: random.Random) -> None:
    with asyncio.Runner() as loop:
        run_case(rng, loop)


def test_many_seeded_profiles() -> None:
    """The same with plain random numbers, which reach larger profiles in less time."""
    with asyncio.Runner() as loop:
        for seed in range(250):
            run_case(random.Random(seed), loop)


@pytest.mark.soak
def test_very_many_seeded_profiles() -> None:
    with asyncio.Runner() as loop:
        for seed in range(1_000_000, 1_100_000):
            run_case(random.Random(seed), loop)


@pytest.mark.parametrize("seed", range(8))
def test_over_a_real_socket(seed: int) -> None:
    rng = random.Random(9000 + seed)
    made = some_profile(rng)
    profile = compile_document(made)
    device = Registers(made["connection"]["max_registers"])

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                header = await reader.readexactly(7)
                data = header + await reader.readexactly(int.from_bytes(header[4:6], "big") - 1)
                writer.writelines(device.receive(data))
        except asyncio.IncompleteReadError:
            writer.close()

    async def body() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            driver = UniversalDriver(profile, "127.0.0.1", port, pace=Pace(slow=1e9))
            await acts(driver, rng, made, device)

    asyncio.run(body())
