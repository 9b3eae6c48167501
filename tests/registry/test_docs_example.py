"""The made-up device of `docs/profiles.md`: what the page says about it is true."""

import asyncio
import json
import math
import re
from pathlib import Path

from typer.testing import CliRunner

from bessai.cli.app import make_app
from bessai.drivers import Pace, UniversalDriver
from bessai.model import Quality
from bessai.registry import compile_profile, golden_path, load_profile
from bessai.twin import TwinServer

DOCS = Path(__file__).parents[2] / "docs"
EXAMPLE = DOCS / "examples" / "acme_powerbox_50.json"


def test_the_example_and_its_golden_vectors_pass_the_check() -> None:
    result = CliRunner().invoke(make_app(), ["profile", "check", str(EXAMPLE)])
    assert result.exit_code == 0, result.output
    assert "valid, 20 points in 5 reads, 6 golden vectors hold" in result.output


def test_a_forgotten_minus_is_told_as_the_page_says(tmp_path: Path) -> None:
    document = json.loads(EXAMPLE.read_text(encoding="utf-8"))
    document["points"]["active_power"]["gain"] = 0.001
    profile = tmp_path / EXAMPLE.name
    profile.write_text(json.dumps(document), encoding="utf-8")
    golden_path(profile).parent.mkdir()
    golden_path(profile).write_text(golden_path(EXAMPLE).read_text(encoding="utf-8"), encoding="utf-8")
    result = CliRunner().invoke(make_app(), ["profile", "check", str(profile)])
    assert result.exit_code == 2
    told = "reads.1 (discharging 8 kW; no SOC, and a frost): active_power: is -8 (good), expected 8.0"
    assert told in result.output
    assert told in (DOCS / "profiles.md").read_text(encoding="utf-8")


def test_the_example_is_simulated_and_every_point_is_read() -> None:
    profile = load_profile(EXAMPLE)

    async def scene() -> None:
        async with TwinServer(profile) as twin:
            host, port = twin.address
            driver = UniversalDriver(compile_profile(profile), host, port, pace=Pace(stale_fast=math.inf))
            try:
                assert await driver.read_all(), driver.problem
                values, quality, _ = driver.columns(asyncio.get_running_loop().time())
            finally:
                await driver.close()
        index = driver.profile.layout.index
        assert [name for name, i in index.items() if quality[i] != Quality.GOOD] == []
        assert values[index["soc"]] == 50
        assert values[index["grid_power"]] < -1, "the household load is imported"
        assert driver.texts["model_name"].startswith("PowerBox 50")

    asyncio.run(scene())


def test_the_page_shows_parts_of_the_files() -> None:
    """Every JSON fragment of the page that is a part of the profile says what the profile says."""
    profile = json.loads(EXAMPLE.read_text(encoding="utf-8"))
    page = (DOCS / "profiles.md").read_text(encoding="utf-8")
    shown: set[str] = set()
    for block in re.findall(r"```json\n(.*?)```", page, re.DOTALL):
        if block.startswith("{"):
            continue  # the beginning of a profile, and the golden vectors
        part = json.loads("{" + block + "}")
        shown |= part.keys()
        for name, value in part.items():
            expected = profile["points"].get(name, profile.get(name))
            if name in profile["points"]:
                expected = {k: v for k, v in expected.items() if k != "description"}
            assert value == expected, name
    assert {"active_power", "control", "dead_man", "alive", "fingerprint"} <= shown
