"""What is compiled into the page is what NOTICE and the list of parts name."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from release.lock import ROOT, SHIPPED


def test_what_the_page_asks_for_is_named() -> None:
    asked = json.loads((ROOT / "ui" / "package.json").read_text("utf-8"))["dependencies"]
    assert set(asked) <= set(SHIPPED), "a new package of the page: add it to SHIPPED in release/lock.py"


@pytest.mark.soak
def test_the_source_maps_name_no_other(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "ui" / "npm.py"), "run", "--silent", "build", "--", "--sourcemap"]
    subprocess.run(command, check=True, env={**os.environ, "BESSAI_PAGE_DIR": str(tmp_path / "page")})
    found = set()
    for path in (tmp_path / "page").rglob("*.map"):
        for source in json.loads(path.read_text("utf-8"))["sources"]:
            if inside := re.search(r"node_modules/((?:@[^/]+/)?[^/]+)(?!.*node_modules/)", source):
                found.add(inside[1])
    assert found == set(SHIPPED)
