"""Values that do not fit their type: measured ones say so, states and commands are refused."""

from __future__ import annotations

import math

import pytest

from bessai.iec104 import Asdu, AsduError, CounterBit, InfoObject, QualityBit, Reason, TypeId, decode, encode
from bessai.iec104.elements import FLOAT_MAX, Value

OV, IV = QualityBit.OVERFLOW, QualityBit.INVALID


def through(type_id: TypeId, value: Value, *, quality: int = 0, qualifier: int = 0) -> InfoObject:
    """What arrives when a value is sent."""
    item = InfoObject(address=1, value=value, quality=quality, qualifier=qualifier)
    return decode(encode(Asdu(type=type_id, cause=3, address=1, objects=(item,)))).objects[0]


@pytest.mark.parametrize(
    ("type_id", "value", "arrives", "quality"),
    [
        (TypeId.M_ME_NC_1, 1e39, FLOAT_MAX, OV),
        (TypeId.M_ME_NC_1, -1e39, -FLOAT_MAX, OV),
        (TypeId.M_ME_NC_1, 10**400, 0.0, IV),
        (TypeId.M_ME_NC_1, math.nan, 0.0, IV),
        (TypeId.M_ME_NC_1, math.inf, 0.0, IV),
        (TypeId.M_ME_NC_1, FLOAT_MAX, FLOAT_MAX, 0),
        (TypeId.M_ME_NB_1, 32767, 32767, 0),
        (TypeId.M_ME_NB_1, 32768, 32767, OV),
        (TypeId.M_ME_NB_1, -32769.0, -32768, OV),
        (TypeId.M_ME_NB_1, 1.4, 1, 0),
        (TypeId.M_ME_NB_1, math.nan, 0, IV),
        (TypeId.M_ME_NA_1, 1.0, 32767 / 32768, 0),
        (TypeId.M_ME_NA_1, -1.0, -1.0, 0),
        (TypeId.M_ME_NA_1, 1.001, 32767 / 32768, OV),
        (TypeId.M_ME_NA_1, -1.001, -1.0, OV),
        (TypeId.M_ME_NA_1, -math.inf, 0.0, IV),
        (TypeId.M_ST_NA_1, 63, 63, 0),
        (TypeId.M_ST_NA_1, 64, 63, OV),
        (TypeId.M_ST_NA_1, -65, -64, OV),
        (TypeId.M_IT_NA_1, 2**31, 2**31 - 1, CounterBit.INVALID),
        (TypeId.M_IT_NA_1, -(2**31) - 1, -(2**31), CounterBit.INVALID),
        (TypeId.M_IT_NA_1, math.nan, 0, CounterBit.INVALID),
    ],
)
def test_monitored_values_say_that_they_do_not_fit(
    type_id: TypeId, value: float, arrives: float, quality: int
) -> None:
    got = through(type_id, value)
    assert (got.value, got.quality) == (arrives, quality)
    if type_id is not TypeId.M_IT_NA_1:  # and keep what else is said of them
        assert through(type_id, value, quality=QualityBit.NOT_TOPICAL).quality == quality | 0x40


@pytest.mark.parametrize(
    ("type_id", "value"),
    [
        (TypeId.M_SP_NA_1, 2),
        (TypeId.M_SP_NA_1, -1),
        (TypeId.M_DP_NA_1, 4),
        (TypeId.M_DP_NA_1, -1),
        (TypeId.C_SC_NA_1, 2),
        (TypeId.C_SC_NA_1, -1),
        (TypeId.C_DC_NA_1, -1),
        (TypeId.C_SE_NA_1, -1.01),
        (TypeId.C_SE_NB_1, -32769),
        (TypeId.C_SE_NC_1, -1e39),
        (TypeId.C_BO_NA_1, -1),
        (TypeId.C_IC_NA_1, -1),
        (TypeId.C_TS_TA_1, -1),
        (TypeId.C_SC_NA_1, 0.5),
        (TypeId.C_DC_NA_1, 4),
        (TypeId.C_RC_NA_1, -1),
        (TypeId.C_SE_NA_1, 1.01),
        (TypeId.C_SE_NA_1, math.nan),
        (TypeId.C_SE_NB_1, 32768),
        (TypeId.C_SE_NB_1, 0.5),
        (TypeId.C_SE_NB_1, math.nan),
        (TypeId.C_SE_NC_1, 1e39),
        (TypeId.C_BO_NA_1, 2**32),
        (TypeId.C_IC_NA_1, 256),
        (TypeId.C_TS_TA_1, 65536),
        (TypeId.C_RD_NA_1, 1),
        *((type_id, None) for type_id in TypeId if type_id not in {TypeId.C_RD_NA_1, TypeId.C_CS_NA_1}),
    ],
)
def test_commands_and_states_that_do_not_fit_are_refused(type_id: TypeId, value: Value) -> None:
    with pytest.raises(AsduError, match="Object 1: the value is") as caught:
        through(type_id, value)
    assert caught.value.reason is Reason.VALUE


def test_qualifiers_have_their_limits() -> None:
    for type_id, high in ((TypeId.C_SC_NA_1, 31), (TypeId.C_SE_NC_1, 127)):
        assert through(type_id, 1, qualifier=high).qualifier == high
        for wrong in (-1, high + 1):
            with pytest.raises(AsduError, match=f"the qualifier is {wrong}"):
                through(type_id, 1, qualifier=wrong)


def test_a_set_point_that_is_no_number_comes_as_it_is() -> None:
    got = through(TypeId.C_SE_NC_1, math.nan)
    assert isinstance(got.value, float)
    assert math.isnan(got.value)
    assert through(TypeId.C_SE_NC_1, -math.inf).value == -math.inf


def test_a_measured_value_that_is_no_number_arrives_invalid() -> None:
    for bits in ("00 00 c0 7f", "00 00 80 ff"):
        item = decode(bytes.fromhex(f"0d 01 03 00 01 00 01 00 00 {bits} 00")).objects[0]
        assert item.quality == IV


def test_bits_that_a_type_has_not_are_not_sent() -> None:
    assert through(TypeId.M_SP_NA_1, True, quality=0xFF).quality == 0xF0
    assert through(TypeId.M_ME_NC_1, 1.0, quality=0xFF).quality == 0xF1
    assert through(TypeId.M_IT_NA_1, 1, quality=0xFF).quality == 0xE0
    assert through(TypeId.M_SP_NA_1, True, quality=0xFF).value is True
