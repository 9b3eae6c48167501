"""A site of profiles that ship, with a section `scada:` for the test to write."""

from __future__ import annotations

from pathlib import Path

from bessai.site import Site, load_site

PLANT = """
site: atacama-1
devices:
  inverter: {profile: huawei_sun2000, role: inverter, endpoint: "10.0.0.1", control: true}
  meter_{n}: {count: 2, profile: eastron_sdm630, role: meter, endpoint: "10.0.1.{n}"}
points:
  grid_power: {formula: meter_1.grid_power}
  grid_frequency: {formula: meter_1.grid_frequency}
  grid_voltage: {formula: meter_1.line_voltage_ab, unit: V}
"""


def write_site(folder: Path, scada: str, plant: str = PLANT) -> Path:
    """The site file of a plant with this section, a YAML text of its own indentation."""
    path = folder / "site.yaml"
    lines = "\n".join(f"  {line}" for line in scada.strip("\n").split("\n"))
    path.write_text(f"{plant}\nscada:\n{lines}\n", encoding="utf-8")
    return path


def scada_site(folder: Path, scada: str, plant: str = PLANT) -> Site:
    """The same, loaded."""
    return load_site(write_site(folder, scada, plant))
