"""ASDUs to bytes and back."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bessai.iec104 import (
    MAX_SIZE,
    Asdu,
    AsduError,
    Cause,
    InfoObject,
    Reason,
    Sizes,
    TypeId,
    decode,
    encode,
    mirrored,
    pack,
)
from bessai.iec104.layouts import LAYOUTS
from support.iec104 import asdu_of, every_type, item_of, sizes

WHEN = 1_780_315_445_678_000_000
"""2026-06-01 12:04:05.678 UTC, a Monday."""
TAG = "2e 16 04 0c 21 06 1a"
SEEDS = st.integers(0, 2**32)

# written by hand from the tables of the standard
VECTORS = [
    (
        Asdu(
            type=TypeId.M_SP_NA_1,
            cause=20,
            address=1,
            objects=(InfoObject(address=1, value=True, quality=0x80),),
        ),
        "01 01 14 00 01 00 01 00 00 81",
    ),
    (
        Asdu(
            type=TypeId.M_SP_NA_1,
            cause=20,
            address=1,
            sequence=True,
            objects=(InfoObject(address=256, value=True), InfoObject(address=257, value=False, quality=0x40)),
        ),
        "01 82 14 00 01 00 00 01 00 01 40",
    ),
    (
        Asdu(
            type=TypeId.M_DP_TB_1, cause=3, address=258, objects=(InfoObject(address=7, value=2, time=WHEN),)
        ),
        f"1f 01 03 00 02 01 07 00 00 02 {TAG}",
    ),
    (
        Asdu(
            type=TypeId.M_ST_NA_1, cause=1, address=1, objects=(InfoObject(address=9, value=-2, qualifier=1),)
        ),
        "05 01 01 00 01 00 09 00 00 fe 00",
    ),
    (
        Asdu(
            type=TypeId.M_ME_NA_1, cause=2, address=1, objects=(InfoObject(address=1, value=-0.5, quality=1),)
        ),
        "09 01 02 00 01 00 01 00 00 00 c0 01",
    ),
    (
        Asdu(type=TypeId.M_ME_NB_1, cause=5, address=1, objects=(InfoObject(address=1, value=-2),)),
        "0b 01 05 00 01 00 01 00 00 fe ff 00",
    ),
    (
        Asdu(
            type=TypeId.M_ME_TF_1,
            cause=3,
            address=1,
            objects=(
                InfoObject(address=0x30201, value=1.5, quality=0x10, time=WHEN),
                InfoObject(address=2, value=-1.0, time=WHEN, time_marks=0x80),
            ),
        ),
        f"24 02 03 00 01 00 01 02 03 00 00 c0 3f 10 {TAG} 02 00 00 00 00 80 bf 00 2e 16 84 0c 21 06 1a",
    ),
    (
        Asdu(
            type=TypeId.M_IT_NA_1,
            cause=37,
            address=1,
            objects=(InfoObject(address=4, value=-3, qualifier=5, quality=0x20),),
        ),
        "0f 01 25 00 01 00 04 00 00 fd ff ff ff 25",
    ),
    (
        Asdu(
            type=TypeId.C_SC_NA_1,
            cause=6,
            address=1,
            originator=9,
            objects=(InfoObject(address=6001, value=True, select=True, qualifier=1),),
        ),
        "2d 01 06 09 01 00 71 17 00 85",
    ),
    (
        Asdu(
            type=TypeId.C_DC_NA_1,
            cause=7,
            address=1,
            negative=True,
            test=True,
            objects=(InfoObject(address=1, value=1),),
        ),
        "2e 01 c7 00 01 00 01 00 00 01",
    ),
    (
        Asdu(type=TypeId.C_SE_NC_1, cause=6, address=1, objects=(InfoObject(address=1, value=500.0),)),
        "32 01 06 00 01 00 01 00 00 00 00 fa 43 00",
    ),
    (
        Asdu(
            type=TypeId.C_SE_TB_1,
            cause=8,
            address=1,
            objects=(InfoObject(address=1, value=100, qualifier=127, select=True, time=WHEN),),
        ),
        f"3e 01 08 00 01 00 01 00 00 64 00 ff {TAG}",
    ),
    (
        Asdu(type=TypeId.C_BO_NA_1, cause=6, address=1, objects=(InfoObject(address=1, value=0x80000001),)),
        "33 01 06 00 01 00 01 00 00 01 00 00 80",
    ),
    (
        Asdu(type=TypeId.C_IC_NA_1, cause=6, address=0xFFFF, objects=(InfoObject(value=20),)),
        "64 01 06 00 ff ff 00 00 00 14",
    ),
    (
        Asdu(type=TypeId.C_RD_NA_1, cause=5, address=1, objects=(InfoObject(address=77),)),
        "66 01 05 00 01 00 4d 00 00",
    ),
    (
        Asdu(type=TypeId.C_CS_NA_1, cause=6, address=1, objects=(InfoObject(time=WHEN),)),
        f"67 01 06 00 01 00 00 00 00 {TAG}",
    ),
    (
        Asdu(type=TypeId.C_TS_TA_1, cause=6, address=1, objects=(InfoObject(value=0xAA55, time=WHEN),)),
        f"6b 01 06 00 01 00 00 00 00 55 aa {TAG}",
    ),
]


@pytest.mark.parametrize(
    ("asdu", "data"), VECTORS, ids=lambda value: getattr(value, "type", None) and value.type.name
)
def test_the_tables_of_the_standard(asdu: Asdu, data: str) -> None:
    assert encode(asdu).hex(" ") == data
    assert decode(bytes.fromhex(data)) == asdu


@given(SEEDS, st.sampled_from(TypeId), sizes())
@settings(max_examples=300, deadline=None)
def test_what_is_encoded_is_decoded(seed: int, type_id: TypeId, widths: Sizes) -> None:
    asdu = asdu_of(type_id, random.Random(seed), sizes=widths)
    data = encode(asdu, widths)
    assert len(data) <= MAX_SIZE
    assert decode(data, widths) == asdu


@given(SEEDS, st.sampled_from(TypeId))
@settings(max_examples=40, deadline=None)
def test_no_part_and_no_more_of_an_asdu_is_one(seed: int, type_id: TypeId) -> None:
    asdu = asdu_of(type_id, random.Random(seed))
    data = encode(asdu)
    for size in [*range(len(data)), len(data) + 1]:
        with pytest.raises(AsduError) as caught:
            decode((data + b"\0")[:size])
        assert caught.value.reason is (Reason.SHORT if size < 6 else Reason.LENGTH)
        assert (caught.value.header is None) == (size < 6)


@given(st.binary(max_size=260), sizes())
@settings(max_examples=200, deadline=None)
def test_any_bytes_decode_or_are_refused(data: bytes, widths: Sizes) -> None:
    header = None
    try:
        decode(data, widths)
    except AsduError as error:
        header = error.header
    if len(data) < widths.header:
        assert header is None


def test_an_unknown_type_can_be_answered() -> None:
    data = bytes.fromhex("28 01 86 09 02 01 01 00 00 00 11 22 33")
    with pytest.raises(AsduError, match="Type 40 is not supported") as caught:
        decode(data)
    assert caught.value.reason is Reason.TYPE
    header = caught.value.header
    assert header is not None
    assert (header.type, header.cause, header.test, header.negative) == (40, 6, True, False)
    assert (header.originator, header.address, header.count, header.sequence) == (9, 258, 1, False)
    answer = mirrored(data, Cause.UNKNOWN_TYPE)
    assert answer.hex(" ") == "28 01 ec 09 02 01 01 00 00 00 11 22 33"
    assert mirrored(data, Cause.ACTIVATION_CON, negative=False)[2] == 0x87
    with pytest.raises(AsduError):
        mirrored(data[:5], Cause.UNKNOWN_TYPE)


def test_a_reply_repeats_what_came() -> None:
    asdu = VECTORS[8][0]
    answer = asdu.reply(Cause.ACTIVATION_CON, negative=True)
    assert answer == replace(asdu, cause=7, negative=True)
    assert encode(answer).hex(" ") == "2d 01 47 09 01 00 71 17 00 85"


@pytest.mark.parametrize(
    "data",
    [
        "2d 02 06 00 01 00 01 00 00 01 02 00 00 01",  # two commands in one
        "2d 81 06 00 01 00 01 00 00 01",  # a command as a sequence
        "01 00 14 00 01 00",  # nothing at all
        "01 82 14 00 01 00 ff ff ff 00 00",  # a sequence beyond the last address
    ],
)
def test_forms_that_are_not_allowed(data: str) -> None:
    with pytest.raises(AsduError) as caught:
        decode(bytes.fromhex(data))
    assert caught.value.reason is Reason.FORM
    assert caught.value.header is not None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"objects": ()}, Reason.FORM),
        ({"objects": (InfoObject(value=1),) * 2}, Reason.FORM),
        ({"sequence": True}, Reason.FORM),
        ({"cause": 64}, Reason.VALUE),
        ({"cause": -1}, Reason.VALUE),
        ({"originator": 256}, Reason.VALUE),
        ({"address": 65536}, Reason.VALUE),
        ({"objects": (InfoObject(value=1, address=2**24),)}, Reason.VALUE),
        ({"objects": (InfoObject(value=1, address=-1),)}, Reason.VALUE),
        ({"objects": (InfoObject(value=2),)}, Reason.VALUE),
        ({"type": TypeId.M_ME_NC_1, "objects": (InfoObject(value=1),) * 128}, Reason.FORM),
        ({"type": TypeId.M_ME_NC_1, "objects": (InfoObject(value=1),) * 31}, Reason.LENGTH),
        ({"type": TypeId.M_ME_NC_1, "objects": (InfoObject(value=1),) * 2, "sequence": True}, Reason.FORM),
    ],
)
def test_what_does_not_fit_is_not_sent(changes: dict[str, object], reason: Reason) -> None:
    asdu = Asdu(type=TypeId.C_SC_NA_1, cause=6, address=1, objects=(InfoObject(value=True),))
    with pytest.raises(AsduError) as caught:
        encode(replace(asdu, **changes))  # type: ignore[arg-type]
    assert caught.value.reason is reason


def test_one_byte_of_cause_has_no_originator() -> None:
    narrow = Sizes(cause=1, address=1, object=2)
    asdu = Asdu(type=TypeId.C_SC_NA_1, cause=6, address=255, objects=(InfoObject(address=65535, value=True),))
    assert encode(asdu, narrow).hex(" ") == "2d 01 06 ff ff ff 01"
    with pytest.raises(AsduError, match="originator"):
        encode(replace(asdu, originator=1), narrow)
    with pytest.raises(ValueError, match="`object` is 4"):
        Sizes(object=4)


@given(
    SEEDS,
    st.sampled_from([type_id for type_id in TypeId if LAYOUTS[type_id].many]),
    st.lists(st.tuples(st.integers(1, 150), st.integers(1, 3)), max_size=4),
    sizes(),
)
@settings(max_examples=40, deadline=None)
def test_many_objects_are_packed_in_order(
    seed: int, type_id: TypeId, runs: list[tuple[int, int]], widths: Sizes
) -> None:
    rng = random.Random(seed)
    addresses: list[int] = []
    start = 0
    for length, gap in runs:
        addresses += range(start + gap, start + gap + length)
        start = addresses[-1] + 1
    addresses = [address % 256**widths.object for address in addresses]
    objects = [item_of(type_id, address, rng) for address in addresses]
    packed = pack(type_id, Cause.INTERROGATED, 7, objects, originator=widths.cause - 1, sizes=widths)
    asdus = [decode(data, widths) for data, _ in packed]
    assert [item for asdu in asdus for item in asdu.objects] == objects
    assert [len(asdu.objects) for asdu in asdus] == [count for _, count in packed]
    assert all((asdu.cause, asdu.address, asdu.originator) == (20, 7, widths.cause - 1) for asdu in asdus)
    assert len(packed) == fewest(addresses, type_id, widths)


def fewest(addresses: list[int], type_id: TypeId, widths: Sizes) -> int:
    """The least number of ASDUs, found by trying every division into pieces."""
    layout = LAYOUTS[type_id]
    size = layout.size + 7 * layout.timed
    best = [0]
    begin = 0
    """Where the run of addresses that ends here begins."""
    for end in range(1, len(addresses) + 1):
        if end > 1 and addresses[end - 1] != addresses[end - 2] + 1:
            begin = end - 1
        best.append(10**9)
        for count in range(1, min(end, 127) + 1):
            one_by_one = widths.header + count * (size + widths.object) <= MAX_SIZE
            together = not layout.timed and widths.header + widths.object + count * size <= MAX_SIZE
            if one_by_one or (together and end - count >= begin):
                best[end] = min(best[end], best[end - count] + 1)
    return best[-1]


def test_commands_are_packed_one_by_one() -> None:
    commands = [InfoObject(address=n, value=True) for n in range(3)]
    assert [count for _, count in pack(TypeId.C_SC_NA_1, 6, 1, commands)] == [1, 1, 1]
    assert pack(TypeId.M_SP_NA_1, 3, 1, []) == []
    # one object alone is never a sequence
    assert pack(TypeId.M_SP_NA_1, 3, 1, commands[:1])[0][0].hex(" ") == "01 01 03 00 01 00 00 00 00 01"


def test_the_generator_makes_every_type() -> None:
    made = {int(asdu.type) for asdu in every_type(random.Random(1))}
    numbers = {1, 3, 5, 9, 11, 13, 15, *range(30, 33), *range(34, 38), *range(45, 52), *range(58, 65)}
    assert made == numbers | {70, 100, 101, 102, 103, 105, 107}
