"""What a package would import only because it is there stays out of memory."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from bessai.interfaces.lean import without


def test_a_package_is_not_found_in_the_block_and_found_again_behind_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "nturl2path", raising=False)
    with without("nturl2path", "json"):
        assert importlib.import_module("json").loads("1") == 1, "what is there already stays"
        with pytest.raises(ImportError):
            importlib.import_module("nturl2path")
    assert importlib.import_module("nturl2path").url2pathname("a") == "a"


def test_logging_does_not_load_what_draws_on_terminals() -> None:
    code = "import sys, bessai.interfaces.structured; sys.exit(any(name in sys.modules for name in ('rich', 'greenlet')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
