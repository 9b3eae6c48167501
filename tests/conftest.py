"""Makes the shared test servers importable: `from support.fake_pubsub import FakePubSub`.

`tests/` goes on `sys.path`; everything under `tests/support/` is a plain module without tests.
"""

import sys
from pathlib import Path

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

sys.path.insert(0, str(Path(__file__).parent))

settings.register_profile("untimed", deadline=None)  # machines are shared and noisy
settings.load_profile("untimed")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Soak tests run when `-m` asks for them."""
    if "soak" not in config.getoption("markexpr"):
        soak = [item for item in items if item.get_closest_marker("soak")]
        config.hook.pytest_deselected(items=soak)
        items[:] = [item for item in items if item not in soak]


class _Shared(LoadScopeScheduling):  # type: ignore[misc]
    """What computes without a pause, or shares one long run, stays on one worker."""

    def _split_scope(self, nodeid: str) -> str:
        alone = ("tests/simulation/", "tests/gridcode/test_selftest.py")  # a core is left for tests that wait
        shared = (
            "tests/interfaces/api/", "tests/e2e/test_page", "tests/docs/test_api_guide",
            "tests/doctor/test_everything",
        )  # fmt: skip
        if nodeid.startswith(shared):  # a gateway for each file
            return nodeid.split("::", 1)[0]
        return next((path for path in alone if nodeid.startswith(path)), nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> _Shared:
    """Whatever `--dist` says."""
    return _Shared(config, log)


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests say what the environment holds."""
    from bessai.core.settings import Settings

    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
