"""Where the numbers of the presets were read. Facts only; each address was read in November 2026."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Source:
    """One document."""

    title: str
    kind: str
    """`manual`, `data sheet`, `regulation`, `project` (source code that runs such batteries) or `article`."""
    where: str


_OPENEMS = "https://github.com/OpenEMS/openems, io.openems.edge.battery."

SOURCES: Mapping[str, Source] = MappingProxyType(
    {
        "mg_lfp": Source(
            "MG Energy Systems, LFP Series manual, boundary limits",
            "manual",
            "https://manualshive.com/ru/manual/mg-energy-systems/lfp-series/1782740?page=42",
        ),
        "mg_nmc": Source(
            "MG Energy Systems, MGRS12S4P176 (NMC) manual, boundary limits, default strategy",
            "manual",
            "https://manualshive.com/ru/manual/mg-energy-systems/mgrs12s4p176/1782743?page=43",
        ),
        "mg_he": Source(
            "MG Energy Systems, HE Series (NMC), technical specifications",
            "data sheet",
            "https://www.mgenergysystems.eu/en/products/he-series/",
        ),
        "lishen_lp54": Source(
            "Lishen, LP54173207-202Ah (LFP) product specification, operating temperature of the cell",
            "data sheet",
            "https://pdfhost.io/it-IT/v/4QAgGV4wG_LP54173207-202Ah能量型产品规格书Rev0_20200309",
        ),
        "alpha_apl48": Source(
            "Alpha, APL48-50LFP operation manual, tables 4.3 and 4.4",
            "manual",
            "https://manualshive.com/en/manual/alpha/apl-48-50-lfp/2905205?page=12",
        ),
        "eve_lf304": Source(
            "EVE, 304 Ah LFP cell, end of life management",
            "data sheet",
            "https://vehiclethermal.com/eve-cell-datasheet/eve-304ah-lifepo4-datasheet",
        ),
        "openems_soltaro": Source(
            "OpenEMS, protection of Soltaro 3 kWh modules (LFP)",
            "project",
            _OPENEMS + "soltaro, BatteryProtectionDefinitionSoltaro3000Wh",
        ),
        "openems_home": Source(
            "OpenEMS, protection of FENECON Home (LFP)",
            "project",
            _OPENEMS + "fenecon.home, FeneconHomeBatteryProtection64",
        ),
        "openems_commercial": Source(
            "OpenEMS, protection of FENECON Commercial (LFP)",
            "project",
            _OPENEMS + "fenecon.commercial, BatteryProtectionDefinition",
        ),
        "openems_bmw": Source(
            "OpenEMS, protection of BMW batteries (NMC)",
            "project",
            _OPENEMS + "bmw, BatteryProtectionDefinition",
        ),
        "openems_enfas": Source(
            "OpenEMS, protection of batteries with the enfas BMS",
            "project",
            _OPENEMS + "enfasbms, EnfasBmsBatteryProtection",
        ),
        "bpx_nmc": Source(
            "About:Energy, BPX parameters of an NMC111 pouch cell of 12.5 Ah, voltage cut-offs",
            "data sheet",
            "https://github.com/FaradayInstitution/BPX, examples/nmc_pouch_cell_BPX.json",
        ),
        "scib": Source(
            "Toshiba SCiB 3.0 and 4.2 Ah (LTO), operating voltage as presented at AABC 2008",
            "article",
            "https://www.greencarcongress.com/2008/05/toshiba-develop.html",
        ),
        "nichicon_slb": Source(
            "Nichicon SLB series (LTO), voltage and temperature range, as cited by Torex",
            "data sheet",
            "https://product.torexsemi.com/en/technical-support/techinfo/doc_2091",
        ),
        "torex_lto": Source(
            "Torex, reference circuits for charging LTO cells",
            "manual",
            "https://product.torexsemi.com/en/technical-support/techinfo/doc_2091",
        ),
        "lto_charge": Source(
            "lithium-titanate-battery.com, standard charge temperature of its cells",
            "article",
            "https://lithium-titanate-battery.com/lto-battery-wider-charge-discharge-temperature/",
        ),
        "tob_na": Source(
            "TOB New Energy, TOB-18650-C-Na sodium-ion cell, specification",
            "data sheet",
            "https://tobmachine.com/18650-sodium-ion-batteries-for-sale_p1317.html",
        ),
        "zmartec_na": Source(
            "Zmartec, sodium-ion pack 72 V 96 Ah, specification",
            "data sheet",
            "https://www.zmartec.com/en/product/sodium-ion-battery/143.html",
        ),
        "un_r100": Source(
            "UN Regulation No. 100, isolation resistance of high-voltage buses",
            "regulation",
            "UN R100, 5.1.3; text read at https://lawinsider.com/clause/isolation-resistance/_1",
        ),
    }
)
