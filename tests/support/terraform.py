"""Runs Terraform on modules that need no provider, in copies of their directories."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2] / "infrastructure" / "terraform"
MODULES = ROOT / "modules"


class Terraform:
    """`terraform`, without the network and without anybody's own settings."""

    def __init__(self, scratch: Path) -> None:
        found = shutil.which("terraform")
        if found is None:
            pytest.skip(
                "terraform is not installed: fmt, test and the outputs of the modules are not checked"
            )
        self._program = found
        settings = scratch / "terraformrc"
        settings.touch()
        self._environment = {k: v for k, v in os.environ.items() if not k.startswith("TF_")} | {
            "TF_CLI_CONFIG_FILE": str(settings),
            "TF_IN_AUTOMATION": "1",
            "CHECKPOINT_DISABLE": "1",
        }
        self._scratch = scratch

    def run(self, directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
        """Both streams as one text."""
        return subprocess.run(
            [self._program, f"-chdir={directory}", *words], env=self._environment, text=True, timeout=120,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip

    def initialised(self, module: str) -> Path:
        """A copy of a module, ready to be used."""
        copy = self._scratch / module
        if not copy.exists():
            shutil.copytree(MODULES / module, copy, ignore=shutil.ignore_patterns(".terraform*"))
            self._succeed(copy, "init", "-input=false", "-no-color", "-backend=false")
        return copy

    def outputs(self, module: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        """What the module answers to these variables."""
        copy = self.initialised(module)
        (copy / "terraform.tfvars.json").write_text(json.dumps(dict(variables)), encoding="utf-8")
        self._succeed(copy, "apply", "-auto-approve", "-input=false", "-no-color")
        answer = json.loads(self._succeed(copy, "output", "-json"))
        return {name: output["value"] for name, output in answer.items()}

    def judge(self, directory: Path, variables: Mapping[str, Any]) -> str:
        """What Terraform says to these variables of a module, in one line; empty: it takes them.

        The rest of the module is left out: it needs its provider.
        """
        alone = self._scratch / f"variables-{directory.name}"
        if not alone.exists():
            alone.mkdir()
            shutil.copy(directory / "variables.tf", alone)
        given = alone / "terraform.tfvars.json"
        given.write_text(json.dumps(dict(variables)), encoding="utf-8")
        done = self.run(alone, "plan", "-input=false", "-no-color", "-lock=false")
        return "" if done.returncode == 0 else " ".join(re.sub("[│╷╵]", " ", done.stdout).split())

    def _succeed(self, directory: Path, *words: str) -> str:
        done = self.run(directory, *words)
        assert done.returncode == 0, done.stdout
        return done.stdout
