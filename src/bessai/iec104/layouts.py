"""How the objects of each type are laid out: element, time, and how many there may be."""

from __future__ import annotations

from dataclasses import dataclass

from bessai.iec104 import elements as e
from bessai.iec104.types import TypeId


@dataclass(frozen=True, slots=True)
class Layout:
    """Objects of one type, without their addresses."""

    type: TypeId
    """The type."""
    size: int
    """Bytes of the element."""
    encode: e.Encoder
    """Writes the element."""
    decode: e.Decoder
    """Reads it."""
    timed: bool
    """A time tag follows the element."""
    many: bool
    """Several objects, and sequences of them, are allowed: monitored values."""


_MONITORED = (
    (1, e.single_point, e.read_single_point, TypeId.M_SP_NA_1, TypeId.M_SP_TB_1),
    (1, e.double_point, e.read_double_point, TypeId.M_DP_NA_1, TypeId.M_DP_TB_1),
    (2, e.step_position, e.read_step_position, TypeId.M_ST_NA_1, TypeId.M_ST_TB_1),
    (3, e.normalized, e.read_normalized, TypeId.M_ME_NA_1, TypeId.M_ME_TD_1),
    (3, e.scaled, e.read_scaled, TypeId.M_ME_NB_1, TypeId.M_ME_TE_1),
    (5, e.short_float, e.read_short_float, TypeId.M_ME_NC_1, TypeId.M_ME_TF_1),
    (5, e.counter, e.read_counter, TypeId.M_IT_NA_1, TypeId.M_IT_TB_1),
)
_COMMANDS = (
    (1, e.single_command, e.read_single_command, TypeId.C_SC_NA_1, TypeId.C_SC_TA_1),
    (1, e.double_command, e.read_double_command, TypeId.C_DC_NA_1, TypeId.C_DC_TA_1),
    (1, e.double_command, e.read_double_command, TypeId.C_RC_NA_1, TypeId.C_RC_TA_1),
    (3, e.set_normalized, e.read_set_normalized, TypeId.C_SE_NA_1, TypeId.C_SE_TA_1),
    (3, e.set_scaled, e.read_set_scaled, TypeId.C_SE_NB_1, TypeId.C_SE_TB_1),
    (5, e.set_short_float, e.read_set_short_float, TypeId.C_SE_NC_1, TypeId.C_SE_TC_1),
    (4, e.bit_string, e.read_bit_string, TypeId.C_BO_NA_1, TypeId.C_BO_TA_1),
)
_SYSTEM = (
    Layout(TypeId.M_EI_NA_1, 1, e.one_byte, e.read_one_byte, timed=False, many=False),
    Layout(TypeId.C_IC_NA_1, 1, e.one_byte, e.read_one_byte, timed=False, many=False),
    Layout(TypeId.C_CI_NA_1, 1, e.one_byte, e.read_one_byte, timed=False, many=False),
    Layout(TypeId.C_RD_NA_1, 0, e.nothing, e.read_nothing, timed=False, many=False),
    Layout(TypeId.C_CS_NA_1, 0, e.nothing, e.read_nothing, timed=True, many=False),
    Layout(TypeId.C_RP_NA_1, 1, e.one_byte, e.read_one_byte, timed=False, many=False),
    Layout(TypeId.C_TS_TA_1, 2, e.test_pattern, e.read_test_pattern, timed=True, many=False),
)


def _all() -> dict[int, Layout]:
    layouts = {int(layout.type): layout for layout in _SYSTEM}
    for many, rows in ((True, _MONITORED), (False, _COMMANDS)):
        for size, encode, decode, plain, timed in rows:
            layouts[int(plain)] = Layout(plain, size, encode, decode, timed=False, many=many)
            layouts[int(timed)] = Layout(timed, size, encode, decode, timed=True, many=many)
    return layouts


LAYOUTS = _all()
"""The layout of every supported type, by its number."""
