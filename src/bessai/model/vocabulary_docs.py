"""`docs/reference/points.md`, made from the shared names."""

from __future__ import annotations

from bessai.model.vocabulary import SHARED_POINTS

_HEAD = """# Shared point names

Made from the code by `bessai reference points`; edit `src/bessai/model/vocabulary.py`, not this page.

Each name means the same, in the same unit, on every device. A profile may add names of its own; where it uses one of
these, its unit must be the one below. Positive power is discharge and export, negative power is charge and import.
A point without a unit is a state or a pure number. [The registry](../registry.md) shows which device has which points.

| point | unit | meaning |
|---|---|---|
"""


def points_markdown() -> str:
    """The page, ending with a line break."""
    rows = (
        f"| `{name}` | {point.unit or ''} | {point.description} |\n" for name, point in SHARED_POINTS.items()
    )
    return _HEAD + "".join(rows)
