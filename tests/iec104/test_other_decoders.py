"""Our frames as two other decoders read them, value by value: tshark and iec60870-parser."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bessai.iec104 import Asdu, InfoObject, TimeMark, TypeId, encode
from bessai.iec104.layouts import LAYOUTS
from support.iec104 import (
    BITS,
    COUNTER,
    DOUBLE,
    FLOAT,
    NORMALIZED,
    SCALED,
    SET_POINT,
    SINGLE,
    STEP,
    STEP_COMMAND,
    SWITCH,
    apdu,
    every_type,
)
from support.pcap import write_pcap

PREFIX = "iec60870_asdu."
WORD = {"iv": 0x80, "nt": 0x40, "sb": 0x20, "bl": 0x10, "ov": 0x01}
BYTES = {TypeId.C_IC_NA_1: "qoi", TypeId.C_CI_NA_1: "qcc", TypeId.C_RP_NA_1: "qrp", TypeId.M_EI_NA_1: "coi"}


def corpus() -> list[Asdu]:
    return list(every_type(random.Random(104)))


def leaves(pairs: list[tuple[str, Any]]) -> list[tuple[str, str]]:
    """All fields of a packet, in order: names may come again and again."""
    found = []
    for name, value in pairs:
        if isinstance(value, list):
            found += leaves(value)
        else:
            found.append((name.removeprefix(PREFIX), value))
    return found


def tshark(path: Path) -> list[list[tuple[str, str]]]:
    """The fields of every packet."""
    command = ["tshark", "-r", str(path), "-T", "json", "-J", "iec60870_104 iec60870_asdu"]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    packets = json.loads(result.stdout, object_pairs_hook=list)
    return [leaves(packet) for packet in packets]


def number(fields: dict[str, str], name: str) -> int:
    return int(fields[name], 0)


def value_in(type_id: TypeId, seen: dict[str, str]) -> Any:
    """The value that the fields of one object tell."""
    monitored = type_id < 45
    if type_id in SINGLE:
        return bool(number(seen, "siq.spi" if monitored else "sco.on"))
    if type_id in DOUBLE:
        return number(seen, "diq.dpi" if monitored else "dco.on")
    if type_id in STEP_COMMAND:
        return number(seen, "rco.up")
    if type_id in STEP:
        return number(seen, "vti.v")
    if type_id in NORMALIZED | FLOAT:
        return pytest.approx(float(seen["normval" if type_id in NORMALIZED else "float"]), rel=1e-5, abs=1e-5)
    if type_id in SCALED:
        return number(seen, "scalval")
    if type_id in COUNTER:
        return number(seen, "bcr.count")
    if type_id in BITS:  # shown with the first byte first
        return int.from_bytes(number(seen, "bitstring").to_bytes(4, "big"), "little")
    return number(seen, BYTES[type_id]) if type_id in BYTES else None


def check_object(type_id: TypeId, item: InfoObject, seen: dict[str, str]) -> None:
    assert number(seen, "ioa") == item.address
    if type_id is TypeId.C_TS_TA_1:  # this one is not taken apart
        assert bytes.fromhex(seen["rawdata"].replace(":", ""))[:2] == item.value.to_bytes(2, "little")  # type: ignore[union-attr]
        return
    assert item.value == value_in(type_id, seen)
    kind = "siq" if type_id in SINGLE else "diq" if type_id in DOUBLE else "qds"
    if type_id in COUNTER:
        bits = {"bcr.iv": 0x80, "bcr.ca": 0x40, "bcr.cy": 0x20}
        assert number(seen, "bcr.sq") == item.qualifier
    elif type_id < 45:
        bits = {f"{kind}.{name}": bit for name, bit in WORD.items() if kind == "qds" or name != "ov"}
    else:
        bits = {}
    assert sum(bit for name, bit in bits.items() if number(seen, name)) == item.quality
    if type_id in STEP:
        assert number(seen, "vti.t") == item.qualifier
    if type_id in SET_POINT | SWITCH:
        kind = next(name for name in ("qos", "sco", "dco", "rco") if name in seen)
        assert number(seen, f"{kind}.se") == item.select
        assert number(seen, "qos.ql" if kind == "qos" else f"{kind}.qu") == item.qualifier
    if LAYOUTS[type_id].timed:
        check_time(item, {name: number(seen, f"cp56time.{name}") for name in TIME_FIELDS})
    else:
        assert "cp56time" not in seen


TIME_FIELDS = ("ms", "min", "gen", "iv", "hour", "su", "day", "dow", "month", "year")


def check_time(item: InfoObject, seen: dict[str, int]) -> None:
    assert item.time is not None
    shown = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=item.time // 1000)
    if item.time_marks & TimeMark.SUMMER:
        shown += timedelta(hours=1)
    assert seen == {
        "ms": shown.second * 1000 + shown.microsecond // 1000,
        "min": shown.minute,
        "hour": shown.hour,
        "day": shown.day,
        "dow": shown.isoweekday(),
        "month": shown.month,
        "year": shown.year - 2000,
        "iv": bool(item.time_marks & TimeMark.INVALID),
        "gen": bool(item.time_marks & TimeMark.SUBSTITUTED),
        "su": bool(item.time_marks & TimeMark.SUMMER),
    }


@pytest.mark.skipif(shutil.which("tshark") is None, reason="needs tshark")
def test_tshark_reads_what_we_mean(tmp_path: Path) -> None:
    asdus = corpus()
    path = tmp_path / "all.pcap"
    write_pcap(path, [apdu(encode(asdu), number, 2 * number) for number, asdu in enumerate(asdus)])
    packets = tshark(path)
    assert len(packets) == len(asdus)
    for place, (asdu, fields) in enumerate(zip(asdus, packets, strict=True)):
        starts = [index for index, (name, _) in enumerate(fields) if name == "ioa"]
        head = dict(fields[: starts[0]])
        assert (number(head, "iec60870_104.tx"), number(head, "iec60870_104.rx")) == (place, 2 * place)
        assert {
            name: number(head, name)
            for name in ("typeid", "sq", "numix", "causetx", "nega", "test", "oa", "addr")
        } == {
            "typeid": asdu.type,
            "sq": asdu.sequence,
            "numix": len(asdu.objects),
            "causetx": asdu.cause,
            "nega": asdu.negative,
            "test": asdu.test,
            "oa": asdu.originator,
            "addr": asdu.address,
        }
        ends = [*starts[1:], len(fields)]
        assert len(starts) == len(asdu.objects)
        for item, start, end in zip(asdu.objects, starts, ends, strict=True):
            check_object(asdu.type, item, dict(fields[start:end]))


def test_iec60870_parser_reads_what_we_mean() -> None:
    """It takes apart single points only; of the other types it reads the header and the first address."""
    parser = pytest.importorskip("iec60870", reason="needs iec60870-parser")
    stream = parser.FrameStream(protocol="t104", parse_asdu_data=False)
    values = 0
    for place, asdu in enumerate(corpus()):
        data = encode(asdu)
        (frame,) = stream.feed(apdu(data, 32767 - place, place))
        assert frame.status is parser.FrameStatus.VALID
        assert frame.fields == {"send_sequence": 32767 - place, "receive_sequence": place}
        full = asdu.type in (TypeId.M_SP_NA_1, TypeId.M_SP_TB_1)
        if not full and len(asdu.objects) > 1:
            continue
        seen = parser.parse_asdu(data)
        assert (seen["type_id"], seen["count"], seen["sequence"], seen["common_address"]) == (
            asdu.type,
            len(asdu.objects),
            asdu.sequence,
            asdu.address,
        )
        assert seen["cot"] == asdu.cause | asdu.negative << 6 | asdu.test << 7 | asdu.originator << 8
        objects = seen["information_objects"]
        assert [item["ioa"] for item in objects] == [item.address for item in asdu.objects]
        if not full:
            continue
        assert seen["unparsed"] == b""
        for item, one in zip(asdu.objects, objects, strict=True):
            values += 1
            assert one["value"] == item.quality | bool(item.value)
            if asdu.type is TypeId.M_SP_TB_1:
                assert item.time is not None
                summer = bool(item.time_marks & TimeMark.SUMMER)
                shown = datetime.fromtimestamp(item.time // 10**9 + 3600 * summer, UTC)
                assert one["timestamp"] == {
                    "millisecond": item.time // 10**6 % 1000,
                    "second": shown.second,
                    "minute": shown.minute,
                    "hour": shown.hour,
                    "day": shown.day,
                    "month": shown.month,
                    "year": shown.year,
                }
    assert values > 4
