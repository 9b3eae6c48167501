"""Type identifications of IEC 60870-5-104 (IEC 60870-5-101, 7.2.1) for each type of the point list."""

from __future__ import annotations

from collections.abc import Mapping

TYPE_IDS: Mapping[str, tuple[int, int]] = {
    "single": (1, 30),
    "double": (3, 31),
    "normalized": (9, 34),
    "scaled": (11, 35),
    "float": (13, 36),
    "counter": (15, 37),
}
"""Type identification of IEC 60870-5-104 without and with time tag (CP56Time2a), of monitored points."""

COMMAND_TYPE_IDS: Mapping[str, tuple[int, int]] = {
    "single": (45, 58),
    "double": (46, 59),
    "normalized": (48, 61),
    "scaled": (49, 62),
    "float": (50, 63),
}
"""The same of commands."""

TYPE_NAMES: Mapping[int, str] = {
    1: "M_SP_NA_1",
    3: "M_DP_NA_1",
    9: "M_ME_NA_1",
    11: "M_ME_NB_1",
    13: "M_ME_NC_1",
    15: "M_IT_NA_1",
    30: "M_SP_TB_1",
    31: "M_DP_TB_1",
    34: "M_ME_TD_1",
    35: "M_ME_TE_1",
    36: "M_ME_TF_1",
    37: "M_IT_TB_1",
    45: "C_SC_NA_1",
    46: "C_DC_NA_1",
    48: "C_SE_NA_1",
    49: "C_SE_NB_1",
    50: "C_SE_NC_1",
    58: "C_SC_TA_1",
    59: "C_DC_TA_1",
    61: "C_SE_TA_1",
    62: "C_SE_TB_1",
    63: "C_SE_TC_1",
}
"""The standard's names of those types."""
