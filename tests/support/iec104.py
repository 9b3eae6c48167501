"""ASDUs of every type: for hypothesis, and from a random generator for fuzzing and for other decoders."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator

from hypothesis import strategies as st

from bessai.iec104 import Asdu, InfoObject, Sizes, TypeId
from bessai.iec104.elements import FLOAT_MAX, Value
from bessai.iec104.layouts import LAYOUTS
from bessai.iec104.time_tag import FIRST_NS, LAST_NS

MS = 10**6
SINGLE = {TypeId.M_SP_NA_1, TypeId.M_SP_TB_1, TypeId.C_SC_NA_1, TypeId.C_SC_TA_1}
DOUBLE = {TypeId.M_DP_NA_1, TypeId.M_DP_TB_1, TypeId.C_DC_NA_1, TypeId.C_DC_TA_1}
STEP_COMMAND = {TypeId.C_RC_NA_1, TypeId.C_RC_TA_1}
STEP = {TypeId.M_ST_NA_1, TypeId.M_ST_TB_1}
NORMALIZED = {TypeId.M_ME_NA_1, TypeId.M_ME_TD_1, TypeId.C_SE_NA_1, TypeId.C_SE_TA_1}
SCALED = {TypeId.M_ME_NB_1, TypeId.M_ME_TE_1, TypeId.C_SE_NB_1, TypeId.C_SE_TB_1}
FLOAT = {TypeId.M_ME_NC_1, TypeId.M_ME_TF_1, TypeId.C_SE_NC_1, TypeId.C_SE_TC_1}
COUNTER = {TypeId.M_IT_NA_1, TypeId.M_IT_TB_1}
BITS = {TypeId.C_BO_NA_1, TypeId.C_BO_TA_1}
SET_POINT = {type_id for type_id in NORMALIZED | SCALED | FLOAT if type_id >= 45}
SWITCH = {type_id for type_id in SINGLE | DOUBLE | STEP_COMMAND if type_id >= 45}
ONE_BYTE = {TypeId.M_EI_NA_1, TypeId.C_IC_NA_1, TypeId.C_CI_NA_1, TypeId.C_RP_NA_1}
NO_VALUE = {TypeId.C_RD_NA_1, TypeId.C_CS_NA_1}


def single_float(value: float) -> float:
    """The short float nearest to a value."""
    result: float = struct.unpack("<f", struct.pack("<f", value))[0]
    return result


def value_of(type_id: TypeId, rng: random.Random) -> Value:
    """Some value that the type holds exactly."""
    if type_id in SINGLE:
        return rng.random() < 0.5
    if type_id in DOUBLE | STEP_COMMAND:
        return rng.randrange(4)
    if type_id in STEP:
        return rng.randint(-64, 63)
    if type_id in NORMALIZED:
        return rng.choice([-32768, 32767, 0, rng.randint(-32768, 32767)]) / 32768
    if type_id in SCALED:
        return rng.choice([-32768, 32767, 0, rng.randint(-32768, 32767)])
    if type_id in FLOAT:
        return rng.choice([0.0, -0.5, FLOAT_MAX, -FLOAT_MAX, single_float(rng.uniform(-1e6, 1e6))])
    if type_id in COUNTER:
        return rng.choice([-(2**31), 2**31 - 1, rng.randint(-(2**31), 2**31 - 1)])
    if type_id in BITS:
        return rng.randrange(2**32)
    if type_id in ONE_BYTE:
        return rng.randrange(256)
    if type_id is TypeId.C_TS_TA_1:
        return rng.randrange(65536)
    return None


def quality_of(type_id: TypeId, rng: random.Random) -> int:
    """Some quality of a monitored value."""
    if type_id >= 45:
        return 0
    if type_id in COUNTER:
        return rng.randrange(256) & 0xE0
    return rng.randrange(256) & (0xF0 if type_id in SINGLE | DOUBLE else 0xF1)


def qualifier_of(type_id: TypeId, rng: random.Random) -> int:
    """Some qualifier, or sequence number, or step in transit."""
    if type_id in SET_POINT:
        return rng.randrange(128)
    if type_id in SWITCH | COUNTER:
        return rng.randrange(32)
    return rng.randrange(2) if type_id in STEP else 0


def item_of(type_id: TypeId, address: int, rng: random.Random) -> InfoObject:
    """Some object of a type."""
    timed = LAYOUTS[type_id].timed
    marks = rng.choice([0, 0, 0x80, 0x40, 0x01, 0xC1]) if timed else 0
    # an hour less, because the tag tells an hour more in summer
    time = rng.randrange(FIRST_NS // MS, LAST_NS // MS - 3_600_000) * MS if timed else None
    return InfoObject(
        address=address,
        value=value_of(type_id, rng),
        quality=quality_of(type_id, rng),
        time=time,
        time_marks=marks,
        qualifier=qualifier_of(type_id, rng),
        select=type_id in SET_POINT | SWITCH and rng.random() < 0.5,
    )


def asdu_of(
    type_id: TypeId, rng: random.Random, *, sequence: bool | None = None, sizes: Sizes | None = None
) -> Asdu:
    """Some ASDU of a type that fits."""
    sizes = sizes or Sizes()
    layout = LAYOUTS[type_id]
    sequence = layout.many and (rng.random() < 0.5 if sequence is None else sequence)
    each = layout.size + 7 * layout.timed
    space = 249 - sizes.header
    most = min((space - sizes.object) // each if sequence else space // (each + sizes.object), 127)
    count = rng.choice([1, 2, most]) if layout.many else 1
    top = 2 ** (8 * sizes.object)
    first = rng.randrange(top - count)
    addresses = (
        range(first, first + count) if sequence else [first, *(rng.randrange(top) for _ in range(count - 1))]
    )
    return Asdu(
        type=type_id,
        cause=rng.randrange(1, 64),
        address=rng.randrange(2 ** (8 * sizes.address)),
        objects=tuple(item_of(type_id, address, rng) for address in addresses),
        negative=rng.random() < 0.5,
        test=rng.random() < 0.5,
        originator=rng.randrange(256) if sizes.cause > 1 else 0,
        sequence=sequence,
    )


def every_type(rng: random.Random) -> Iterator[Asdu]:
    """ASDUs of every type, of both forms where there are two."""
    for type_id in TypeId:
        for sequence in (False, True) if LAYOUTS[type_id].many else (False,):
            yield asdu_of(type_id, rng, sequence=sequence)


def apdu(asdu: bytes, send: int = 0, receive: int = 0) -> bytes:
    """An I frame."""
    return bytes((0x68, len(asdu) + 4)) + struct.pack("<HH", send << 1, receive << 1) + asdu


def sizes() -> st.SearchStrategy[Sizes]:
    """All sizes that two ends may agree on."""
    return st.builds(Sizes, cause=st.integers(1, 2), address=st.integers(1, 2), object=st.integers(1, 3))
