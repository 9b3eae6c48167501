"""Sites of many devices: one YAML file, checked at once with every profile that it names.

    site = load_site("config/site.yaml")       # SiteError lists every problem at once
    site.layout.names                          # "active_power", …, "rack_1.soc", "rack_1.cell_voltage_max", …

A site file lists devices with role, profile, endpoint and unit; devices with equal endpoints share a connection. The
plant's own points are aggregations over the devices (power = sum, SOC weighted by capacity, worst cell) or formulas;
they come first in the layout and carry the shared names. A gateway configured by the environment alone has the site
of one device, whose points carry no prefix.
"""

from bessai.site.formula import Formula, FormulaError, parse
from bessai.site.loading import load_site
from bessai.site.reading import SiteError
from bessai.site.report import ReportFile, ReportRule, load_report, report_json_schema
from bessai.site.rules import Rule
from bessai.site.schema import SiteFile, site_json_schema
from bessai.site.site import Device, Site, single_device_site

__all__ = [
    "Device",
    "Formula",
    "FormulaError",
    "ReportFile",
    "ReportRule",
    "Rule",
    "Site",
    "SiteError",
    "SiteFile",
    "load_report",
    "load_site",
    "parse",
    "report_json_schema",
    "single_device_site",
    "site_json_schema",
]
