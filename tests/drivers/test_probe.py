"""Probing: every twin is recognised, gently, within bounds, and without a write."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trustme

from bessai.drivers.modbus import write
from bessai.drivers.probe import (
    Bounds,
    GentleClient,
    Probed,
    Scan,
    draft_document,
    gentle_client,
    parse_spans,
    probe,
    scan,
    sunspec_document,
)
from bessai.model import Endpoint, parse_endpoint
from bessai.registry import CompiledProfile, compile_profile, list_profiles, load_profile
from bessai.twin import TwinDevice, TwinSerial, TwinServer
from bessai.twin.plant import Plant
from bessai.twin.server import server_tls
from support.modbus_device import ScriptedDevice, frame
from support.profiles import BATTERY, compiled
from support.sunspec import demo_profile

_BLIND = {"huawei_smartlogger_meter", "huawei_smartlogger_weather"}
"""Their fingerprints are measurements that the twin does not make up."""


_WEAK = {"huawei_smartlogger", "janitza_umg", "sinexcel_pws2", "soltaro_rack"}
"""Nothing in their fingerprints is what few other devices would answer."""


def _quick(profile: CompiledProfile) -> CompiledProfile:
    """The profile without its pauses, which are only patience."""
    connection = profile.connection.model_copy(update={"pause": 0.0, "settle": 0.0})
    return replace(profile, connection=connection)


CAREFUL = [compile_profile(load_profile(path)) for path in list_profiles()]
REGISTRY = [_quick(profile) for profile in CAREFUL]


async def _probe(
    endpoint: str | Endpoint,
    units: Sequence[int],
    profiles: Sequence[CompiledProfile] = REGISTRY,
    watch: Callable[[GentleClient], None] = lambda _: None,
    **bounds: Any,
) -> Probed:
    where = parse_endpoint(endpoint) if isinstance(endpoint, str) else endpoint
    client = gentle_client(where, profiles, Bounds(**{"pause": 0.0, "timeout": 5.0, **bounds}))
    watch(client)
    await client.connect()
    try:
        return await probe(client, profiles, units)
    finally:
        client.close()


@pytest.mark.parametrize("name", [path.stem for path in list_profiles() if path.stem not in _BLIND])
@pytest.mark.parametrize("dense", [False, True], ids=["strict", "dense"])
def test_every_twin_is_recognised_before_all_others(
    name: str, dense: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes: list[object] = []
    monkeypatch.setattr(TwinDevice, "write", lambda *a, **_: writes.append(a))
    profile = load_profile(name)

    async def run() -> Probed:
        async with TwinServer(profile, dense=dense) as twin:
            return await _probe(twin.endpoint, [profile.connection.unit])

    probed = asyncio.run(run())
    (found,) = probed.units
    best, *others = found.fits
    assert best.profile.id == name
    assert best.complete
    assert len(best.held) == len(profile.fingerprint)
    assert all(other.score < best.score for other in others)
    assert best.sure is (name not in _WEAK)
    assert found.reading is not None
    assert found.reading.good > 0
    assert found.reading.points == sum(point.poll != "never" for point in profile.points.values())
    assert writes == []
    assert probed.requests <= 250
    assert probed.exhausted is None


def test_several_units_on_one_port_are_told_apart() -> None:
    meter, rack = load_profile("eastron_sdm630"), load_profile("soltaro_rack")

    async def run() -> Probed:
        devices = {1: TwinDevice(meter, Plant(seed=1)), 7: TwinDevice(rack, Plant(seed=2))}
        async with TwinServer(devices=devices) as twin:
            return await _probe(twin.endpoint, [1, 2, 7])

    probed = asyncio.run(run())
    assert {found.unit: found.fits[0].profile.id for found in probed.units} == {
        1: "eastron_sdm630",
        7: "soltaro_rack",
    }
    assert list(probed.silent) == [2]
    assert "11" in probed.silent[2]


def test_a_serial_line_is_probed() -> None:
    async def run() -> Probed:
        async with TwinSerial(load_profile("eastron_sdm630"), unit=2) as line:
            # the pty has no parity and any speed
            return await _probe(line.endpoint, [1, 2], timeout=0.5)

    probed = asyncio.run(run())
    (found,) = probed.units
    assert (found.unit, found.fits[0].profile.id) == (2, "eastron_sdm630")
    assert "no reply" in probed.silent[1]


def test_a_device_behind_tls_is_probed(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    for who, name in (("device", "127.0.0.1"), ("gateway", "gateway")):
        issued = authority.issue_cert(name)
        issued.cert_chain_pems[0].write_to_path(tmp_path / f"{who}.pem")
        issued.private_key_pem.write_to_path(tmp_path / f"{who}.key")
    tls = server_tls(cert=tmp_path / "device.pem", key=tmp_path / "device.key", ca=tmp_path / "ca.pem")

    async def run() -> Probed:
        async with TwinServer(load_profile("eastron_sdm630"), transport="tls", tls=tls) as twin:
            files = "?ca=ca.pem&cert=gateway.pem&key=gateway.key"
            return await _probe(parse_endpoint(twin.endpoint + files, folder=tmp_path), [1])

    (found,) = asyncio.run(run()).units
    assert found.fits[0].profile.id == "eastron_sdm630"


def test_silence_costs_one_request_a_unit() -> None:
    async def run() -> tuple[Probed, list[bytes]]:
        async with ScriptedDevice() as device:

            async def silence(_: int, __: int, ___: bytes) -> bytes | None:
                return None

            device.hook = silence
            probed = await _probe(f"127.0.0.1:{device.port}", range(1, 6), timeout=0.05)
            return probed, device.requests

    probed, requests = asyncio.run(run())
    assert probed.units == ()
    assert list(probed.silent) == [1, 2, 3, 4, 5]
    assert len(requests) == probed.requests == 5


def test_a_unit_that_refuses_everything_is_there() -> None:
    async def run() -> tuple[Probed, list[bytes]]:
        async with ScriptedDevice() as device:
            return await _probe(f"127.0.0.1:{device.port}", [1]), device.requests

    probed, requests = asyncio.run(run())
    (found,) = probed.units
    assert not found.known
    assert (found.fits, found.near, found.reading, found.identification) == ((), (), None, {})
    assert len(requests) <= 40
    assert {pdu[0] for pdu in requests} <= {1, 2, 3, 4, 43}


def test_memory_of_zeros_fits_nothing_and_each_register_is_asked_once() -> None:
    asked: list[tuple[int, bytes]] = []

    async def run() -> Probed:
        async with ScriptedDevice() as device:

            async def zeros(transaction: int, unit: int, pdu: bytes) -> bytes | None:
                asked.append((unit, pdu))
                if pdu[0] not in {3, 4}:
                    return b""
                size = 2 * int.from_bytes(pdu[3:5])
                return frame(transaction, unit, bytes((pdu[0], size)) + bytes(size))

            device.hook = zeros
            # SunSpec discovery asks for 40000 itself
            plain = [p for p in REGISTRY if all(point.address != 40000 for point in p.points.values())]
            return await _probe(f"127.0.0.1:{device.port}", [1], plain)

    probed = asyncio.run(run())
    assert probed.units[0].fits == ()
    assert len(asked) == len(set(asked)) == probed.requests
    assert {pdu[0] for _, pdu in asked} == {3, 4, 43}


def test_the_most_careful_profile_still_asked_for_sets_the_pace() -> None:
    breaths: list[float] = []

    async def run() -> None:
        async with ScriptedDevice() as device:

            def watch(client: GentleClient) -> None:
                client.breath = -1.0
                transact = client.ask

                async def ask(unit: int, request: Any) -> Any:
                    breaths.append(client.breath)
                    client.breath = 0.0  # seen; not waited for
                    return await transact(unit, request)

                client.ask = ask  # type: ignore[method-assign]

            careful = [
                replace(p, connection=p.connection.model_copy(update={"settle": 0.0})) for p in CAREFUL
            ]
            await _probe(f"127.0.0.1:{device.port}", [1], careful, watch)

    asyncio.run(run())
    assert breaths[0] == max(profile.connection.pause for profile in CAREFUL)
    assert breaths == sorted(breaths, reverse=True)


def test_a_near_miss_tells_what_did_not_fit() -> None:
    async def run() -> Probed:
        async with TwinServer(load_profile("foxess_h3"), unit=1) as twin:
            twin.device.force("soc", 101.0)
            return await _probe(twin.endpoint, [1])

    (found,) = asyncio.run(run()).units
    assert found.fits == ()
    (near,) = found.near
    assert near.profile.id == "foxess_h3"
    assert any(line.startswith("model_name is") for line in near.held)
    assert near.missed == ("soc is 101 %: out of range",)


def test_profiles_that_fit_equally_are_both_told(tmp_path: Path) -> None:
    one = compiled(tmp_path, BATTERY, fingerprint=[{"point": "soc"}])
    two = replace(one, id="other")

    async def run() -> Probed:
        async with ScriptedDevice(dict.fromkeys(range(100), 500)) as device:
            return await _probe(f"127.0.0.1:{device.port}", [1], [two, one])

    (found,) = asyncio.run(run()).units
    assert [(fit.profile.id, fit.score) for fit in found.fits] == [("other", 1), ("test", 1)]


@pytest.mark.parametrize(("vendor", "fits"), [(b"ACME Corp", True), (b"Other", False)])
def test_the_device_identification_is_evidence(tmp_path: Path, vendor: bytes, fits: bool) -> None:
    checks = [{"object": "vendor", "matches": "^ACME"}, {"point": "soc"}]
    profile = compiled(tmp_path, BATTERY, fingerprint=checks)

    async def run() -> Probed:
        async with ScriptedDevice(dict.fromkeys(range(100), 500)) as device:

            async def told(transaction: int, unit: int, pdu: bytes) -> bytes | None:
                if pdu[0] != 43:
                    return b""
                head = bytes((43, 14, pdu[2], 0x82, 0, 0, 1))
                return frame(transaction, unit, head + bytes((0, len(vendor))) + vendor)

            device.hook = told
            return await _probe(f"127.0.0.1:{device.port}", [1], [profile])

    (found,) = asyncio.run(run()).units
    assert found.identification == {"vendor": vendor.decode()}
    assert bool(found.fits) is fits


def test_a_sunspec_device_tells_its_models() -> None:
    async def run() -> Probed:
        async with TwinServer(demo_profile(), dense=True) as twin:
            return await _probe(twin.endpoint, [1])

    (found,) = asyncio.run(run()).units
    assert found.sunspec is not None
    assert found.known
    models = dict(found.sunspec.models)
    assert list(models) == [1, 701, 702, 703, 704, 713, 714, 715, 802]
    assert models[1] == "Common"
    assert found.fits == ()
    assert found.reading is not None
    assert found.reading.values["soc"].quality == "good"
    (near,) = found.near  # zeros, and the SunSpec marker taken for a date
    assert near.profile.id == "huawei_smartlogger"
    assert "SunSpec" in near.missed[0]
    document = sunspec_document("own", Endpoint(host="10.0.0.1", port=1502), 126, found.sunspec.profile)
    assert (document["connection"]["port"], document["connection"]["unit"]) == (1502, 126)


def test_the_bound_of_requests_holds() -> None:
    async def run() -> tuple[Probed, list[bytes]]:
        async with ScriptedDevice() as device:
            return await _probe(f"127.0.0.1:{device.port}", range(1, 100), requests=30), device.requests

    probed, requests = asyncio.run(run())
    assert len(requests) == 30
    assert "30 requests" in str(probed.exhausted)


def test_a_device_that_hangs_up_at_every_request_is_left() -> None:
    async def run() -> ScriptedDevice:
        async with ScriptedDevice() as device:

            async def hang_up(_: int, __: int, ___: bytes) -> bytes | None:
                device.drop()
                return None

            device.hook = hang_up
            probed = await _probe(f"127.0.0.1:{device.port}", range(1, 100))
            assert probed.units == ()
            assert "lost" in str(probed.exhausted)
            return device

    assert asyncio.run(run()).connections <= 5


def test_a_web_server_is_no_unit_and_ends_the_probe() -> None:
    async def run() -> tuple[Probed, ScriptedDevice]:
        async with ScriptedDevice() as device:

            async def web(*_: object) -> bytes:
                return b"HTTP/1.1 400 Bad Request\r\n\r\n"

            device.hook = web
            return await _probe(f"127.0.0.1:{device.port}", (1, 2)), device

    probed, device = asyncio.run(run())
    assert probed.units == ()
    assert "a web server or a proxy answers; is this the Modbus port?" in str(probed.exhausted)
    assert device.connections == 1


def test_busy_is_asked_again_and_a_write_is_never_sent() -> None:
    async def run() -> list[bytes]:
        async with ScriptedDevice({5: 1}) as device:
            busy = 2

            async def sometimes(transaction: int, unit: int, pdu: bytes) -> bytes | None:
                nonlocal busy
                busy -= 1
                return frame(transaction, unit, bytes((pdu[0] | 0x80, 6))) if busy >= 0 else b""

            device.hook = sometimes
            client = gentle_client(parse_endpoint(f"127.0.0.1:{device.port}"), [], Bounds(pause=0.0))
            await client.connect()
            seen = await scan(client, 1, parse_spans("5", ["holding"]), requests=5)
            assert seen.words == {("holding", 5): 1}
            with pytest.raises(ValueError, match="only reads"):
                await client.transact(1, [write("holding", 5, b"\0\1")])
            client.close()
            return device.requests

    assert {pdu[0] for pdu in asyncio.run(run())} == {3}


async def _scan(registers: dict[int, int], spans: str, requests: int) -> tuple[Scan, int]:
    async with ScriptedDevice(registers, maximum=20) as device:
        client = gentle_client(parse_endpoint(f"127.0.0.1:{device.port}"), [], Bounds(pause=0.0))
        await client.connect()
        seen = await scan(client, 1, parse_spans(spans, ["holding", "input"]), requests=requests)
        client.close()
        return seen, len(device.requests)


def test_a_scan_finds_what_can_be_read_around_gaps() -> None:
    registers = {address: address * 3 for address in (*range(17), *range(18, 41), 63)}
    seen, requests = asyncio.run(_scan(registers, "0-63", 200))
    assert seen.words == {("holding", address): word for address, word in registers.items()}
    assert seen.left == []
    assert seen.widest == 16  # 32 were refused
    assert seen.requests == requests <= 64  # as many as there are registers


def test_a_scan_ends_at_its_bound_and_says_what_is_left() -> None:
    seen, requests = asyncio.run(_scan({}, "0-999", 50))
    assert (seen.words, seen.requests, requests) == ({}, 50, 50)
    assert seen.left
    with pytest.raises(ValueError, match="--registers"):
        draft_document("own", Endpoint(host="h"), 1, seen, date="2026-01-01", pause=0.05, identification={})


def test_a_draft_is_a_valid_profile_that_pretends_nothing(tmp_path: Path) -> None:
    seen = Scan(
        words={("holding", 7): 0x1234, ("input", 3): 9}, widest=16, left=parse_spans("50-59", ["input"])
    )
    told = {"vendor": "ACME", "product": "X1"}
    endpoint = parse_endpoint("10.1.1.1:1502")
    document = draft_document("own", endpoint, 9, seen, date="2026-01-02", pause=0.1, identification=told)
    path = tmp_path / "own.json"
    path.write_text(json.dumps(document))
    profile = load_profile(path)
    assert (profile.manufacturer, profile.model, profile.control) == ("ACME", "X1", None)
    assert (profile.connection.port, profile.connection.unit) == (1502, 9)
    assert {name: (p.table, p.address, p.type, p.poll) for name, p in profile.points.items()} == {
        "holding_7": ("holding", 7, "u16", "slow"),
        "input_3": ("input", 3, "u16", "slow"),
    }
    assert "4660 (0x1234)" in profile.points["holding_7"].description
    assert any("draft" in caveat.text for caveat in profile.caveats)
    assert any("input 50-59" in caveat.text for caveat in profile.caveats)
    nobody = draft_document("own", endpoint, 9, seen, date="2026-01-02", pause=0.1, identification={})
    assert (nobody["manufacturer"], nobody["model"]) == ("unknown", "unknown")


@pytest.mark.parametrize("text", ["", "5-", "9-3", "0-65536", "a", "1-2-3", "-5"])
def test_wrong_spans_are_told(text: str) -> None:
    with pytest.raises(ValueError, match="FIRST-LAST"):
        parse_spans(text, ["holding"])


def test_spans_are_read_as_written() -> None:
    spans = parse_spans("0-200, 30000", ["holding", "input"])
    assert [str(span) for span in spans] == [
        "holding 0-200", "holding 30000-30000", "input 0-200", "input 30000-30000",
    ]  # fmt: skip
