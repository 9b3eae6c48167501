"""Builds the page with the package, with a Node that comes from a Python package."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class PageBuildHook(BuildHookInterface[Any]):
    """Runs Vite before the files of the wheel are collected."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build into the package; the wheel takes it as an artifact."""
        if self.target_name != "wheel":
            return
        root = Path(self.root)
        sys.path.insert(0, str(root / "ui"))
        import npm  # noqa: PLC0415  found only now

        npm.build(root / "src" / "bessai" / "interfaces" / "api" / "page")
