"""Imports a package without what it would only embellish itself with."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without(*names: str) -> Iterator[None]:
    """Let imports in the block find these packages missing, unless they are there already.

    A package that imports others when it finds them costs the memory of all of them, whether it uses them or not.
    """
    hidden = [name for name in names if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]  # what the import system takes for "cannot be found"
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
