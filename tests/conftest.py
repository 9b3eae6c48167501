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


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests say what the environment holds."""
    from bessai.core.settings import Settings

    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
