"""The numbers of the standard: type identifications, causes of transmission, quality bits, qualifiers."""

from __future__ import annotations

from enum import IntEnum, IntFlag


class TypeId(IntEnum):
    """Type identifications that are supported, by their standard names (`_TA_`, `_TB_` ... `_TF_`: with time)."""

    M_SP_NA_1 = 1
    """Single point."""
    M_DP_NA_1 = 3
    """Double point."""
    M_ST_NA_1 = 5
    """Step position."""
    M_ME_NA_1 = 9
    """Measured value, normalized."""
    M_ME_NB_1 = 11
    """Measured value, scaled."""
    M_ME_NC_1 = 13
    """Measured value, short float."""
    M_IT_NA_1 = 15
    """Integrated total (counter)."""
    M_SP_TB_1 = 30
    """Single point with time."""
    M_DP_TB_1 = 31
    """Double point with time."""
    M_ST_TB_1 = 32
    """Step position with time."""
    M_ME_TD_1 = 34
    """Measured value, normalized, with time."""
    M_ME_TE_1 = 35
    """Measured value, scaled, with time."""
    M_ME_TF_1 = 36
    """Measured value, short float, with time."""
    M_IT_TB_1 = 37
    """Integrated total with time."""
    C_SC_NA_1 = 45
    """Single command."""
    C_DC_NA_1 = 46
    """Double command."""
    C_RC_NA_1 = 47
    """Regulating step command."""
    C_SE_NA_1 = 48
    """Set-point, normalized."""
    C_SE_NB_1 = 49
    """Set-point, scaled."""
    C_SE_NC_1 = 50
    """Set-point, short float."""
    C_BO_NA_1 = 51
    """Bit string of 32 bits."""
    C_SC_TA_1 = 58
    """Single command with time."""
    C_DC_TA_1 = 59
    """Double command with time."""
    C_RC_TA_1 = 60
    """Regulating step command with time."""
    C_SE_TA_1 = 61
    """Set-point, normalized, with time."""
    C_SE_TB_1 = 62
    """Set-point, scaled, with time."""
    C_SE_TC_1 = 63
    """Set-point, short float, with time."""
    C_BO_TA_1 = 64
    """Bit string of 32 bits with time."""
    M_EI_NA_1 = 70
    """End of initialization; the value is the cause of initialization (COI)."""
    C_IC_NA_1 = 100
    """Interrogation; the value is its qualifier (QOI): 20 station, 21 to 36 groups 1 to 16."""
    C_CI_NA_1 = 101
    """Counter interrogation; the value is its qualifier (QCC): request in bits 0 to 5, freeze in bits 6 and 7."""
    C_RD_NA_1 = 102
    """Read; no value."""
    C_CS_NA_1 = 103
    """Clock synchronization; the time is the object, no value."""
    C_RP_NA_1 = 105
    """Reset process; the value is its qualifier (QRP)."""
    C_TS_TA_1 = 107
    """Test with time; the value is a 16-bit pattern."""


class Cause(IntEnum):
    """Causes of transmission."""

    PERIODIC = 1
    BACKGROUND = 2
    SPONTANEOUS = 3
    INITIALIZED = 4
    REQUEST = 5
    ACTIVATION = 6
    ACTIVATION_CON = 7
    DEACTIVATION = 8
    DEACTIVATION_CON = 9
    ACTIVATION_TERM = 10
    RETURN_REMOTE = 11
    RETURN_LOCAL = 12
    INTERROGATED = 20
    """Answer to a station interrogation; 20 + n: to that of group n (1 to 16)."""
    COUNTERS = 37
    """Answer to a general counter interrogation; 37 + n: to that of counter group n (1 to 4)."""
    UNKNOWN_TYPE = 44
    UNKNOWN_CAUSE = 45
    UNKNOWN_ADDRESS = 46
    """The common address is unknown."""
    UNKNOWN_OBJECT = 47
    """The information object address is unknown."""


class QualityBit(IntFlag):
    """Quality descriptor of a monitored value (SIQ, DIQ, QDS)."""

    OVERFLOW = 0x01
    """OV: beyond the range of the type (measured values and step positions only)."""
    BLOCKED = 0x10
    """BL: held by somebody."""
    SUBSTITUTED = 0x20
    """SB: put in by somebody."""
    NOT_TOPICAL = 0x40
    """NT: not refreshed in time."""
    INVALID = 0x80
    """IV: not to be used."""


class CounterBit(IntFlag):
    """Quality of an integrated total (BCR)."""

    CARRY = 0x20
    """CY: it overflowed since it was last read."""
    ADJUSTED = 0x40
    """CA: it was set since it was last read."""
    INVALID = 0x80
    """IV: not to be used."""


class Double(IntEnum):
    """States of a double point, and of a double command."""

    INTERMEDIATE = 0
    OFF = 1
    ON = 2
    INDETERMINATE = 3


class Step(IntEnum):
    """What a regulating step command asks for; 0 and 3 are not permitted."""

    LOWER = 1
    HIGHER = 2


STATION = 20
"""Qualifier of a station interrogation (QOI)."""
COUNTERS = 5
"""Qualifier of a general counter interrogation (QCC); 1 to 4: a counter group."""
