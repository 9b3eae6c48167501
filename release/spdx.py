"""A package's own words about its licence, as an SPDX expression, and whether it is allowed."""

from __future__ import annotations

import re
from collections.abc import Collection
from importlib.metadata import Distribution

_WORDS = {
    "apache 2": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "apache-2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "apache software license, version 2.0": "Apache-2.0",
    "3-clause bsd license": "BSD-3-Clause",
    "bsd 2-clause license": "BSD-2-Clause",
    "bsd-2-clause": "BSD-2-Clause",
    "bsd-3-clause": "BSD-3-Clause",
    "gnu general public license v3 (gplv3)": "GPL-3.0-only",
    "gpl-3.0": "GPL-3.0-only",
    "isc": "ISC",
    "isc license": "ISC",
    "isc license (iscl)": "ISC",
    "lgpl-2.1-or-later": "LGPL-2.1-or-later",
    "mit": "MIT",
    "mit license": "MIT",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "mpl-2.0": "MPL-2.0",
    "psfl": "PSF-2.0",
    "python software foundation license": "PSF-2.0",
}
"""Only words that leave no doubt. "BSD" alone does: there are several."""


def licence_of(distribution: Distribution) -> str | None:
    """The SPDX expression that the package's metadata say, or None when they leave doubt."""
    metadata = distribution.metadata
    if "License-Expression" in metadata:
        return metadata["License-Expression"]
    words = metadata["License"].strip() if "License" in metadata else ""
    if said := _WORDS.get(words.lower()):
        return said
    if words and set(re.findall(r"[^\s()]+", words)) - {"AND", "OR"} <= set(_WORDS.values()):
        return words
    prefix = "License :: OSI Approved :: "
    classified = {
        _WORDS.get(line.removeprefix(prefix).lower())
        for line in metadata.get_all("Classifier") or []
        if line.startswith(prefix)
    }
    return classified.pop() if len(classified) == 1 else None


def allowed(expression: str, licences: Collection[str]) -> bool:
    """Whether an expression can be met with these licences: one side of OR, both sides of AND."""
    tokens = re.findall(r"\(|\)|[^\s()]+", expression)

    def either() -> bool:
        good = both()
        while tokens and tokens[0] == "OR":
            tokens.pop(0)
            good = both() or good
        return good

    def both() -> bool:
        good = one()
        while tokens and tokens[0] == "AND":
            tokens.pop(0)
            good = one() and good
        return good

    def one() -> bool:
        word = tokens.pop(0) if tokens else ""
        if word != "(":
            return word in licences
        good = either()
        return bool(tokens) and tokens.pop(0) == ")" and good

    return either() and not tokens
