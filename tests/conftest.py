"""Makes the shared test servers importable: `from support.fake_pubsub import FakePubSub`.

`tests/` goes on `sys.path`; everything under `tests/support/` is a plain module without tests.
"""

import sys
from pathlib import Path

import pytest
from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))

settings.register_profile("untimed", deadline=None)  # machines are shared and noisy
settings.load_profile("untimed")


CALCULATE = (
    *("simulation", "registry", "site", "model", "docs", "core/stateful", "core/limits", "core/black_box"),
    *(
        f"core/test_{name}.py"
        for name in ("guard", "split", "dynamics", "approach", "recheck", "replay", "memory")
    ),
)
"""Tests below `tests/` that only calculate. All others wait for sockets, processes and disks: one of them at a time."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Soak tests run when `-m` asks for them; with several workers one does all tests that keep to a clock."""
    here = Path(__file__).parent
    for item in items:
        if not item.path.relative_to(here).as_posix().startswith(CALCULATE):
            item.add_marker(pytest.mark.xdist_group("clock"))
    if "soak" not in config.getoption("markexpr"):
        soak = [item for item in items if item.get_closest_marker("soak")]
        config.hook.pytest_deselected(items=soak)
        items[:] = [item for item in items if item not in soak]


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests say what the environment holds."""
    from bessai.core.settings import Settings

    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
