"""Reading and signing limits files: every problem at once, each with its file, field, value and mend."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bessai.core.limits.battery import Limits
from bessai.core.limits.merging import Merge
from bessai.core.limits.reading import LimitsError, read_document
from bessai.core.limits.safer import Weaker, weaker
from bessai.core.limits.schema import FlagEntry, LimitEntry, LimitsFile, Signature, TripEntry, WarningEntry
from bessai.core.limits.signature import digest, replace_text, signature_block, without_signature
from bessai.registry.problems import Problem, at, explain, shorten

_FIELDS = sorted(
    {
        name
        for model in (LimitsFile, LimitEntry, WarningEntry, TripEntry, FlagEntry, Signature)
        for name in model.model_fields
    }
)
_TIGHTER = {"soc_min": max, "soc_max": min, "charge_power_max": min, "discharge_power_max": min}


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsDraft:
    """A limits file that is consistent, whether it may be used or not."""

    document: dict[str, Any]
    limits: Limits
    weaker: tuple[Weaker, ...]
    """Where it is less safe than its preset."""
    signature: Signature | None
    signed: bool
    """The signature is there and covers this content."""


def load_limits(path: Path | str, base: Mapping[str, float | None] | None = None) -> Limits:
    """The limits of a file, no wider than the settings.

    Args:
        path: the limits file.
        base: what the settings say of themselves: `soc_min`, `soc_max` (%), `charge_power_max` and
            `discharge_power_max` (kW); None or left out where they say nothing. Where both say something the
            tighter counts.

    Raises:
        LimitsError: with all problems; among them every field that is less safe than the preset's, unless an
            engineer signed this very content.
    """
    path = Path(path)
    draft = read_limits(path)
    problems: list[tuple[str, str]] = []
    if draft.signature is not None and not draft.signed:
        mend = "the file was changed after it was signed; check it and sign it again: bessai limits sign"
        problems.append(("signed.digest", mend))
    elif draft.signature is None:
        problems += [(item.field, item.mend) for item in draft.weaker]
    limits = _within(draft, base or {})
    if limits.soc_min >= limits.soc_max:
        mend = f"with SOC_MIN and SOC_MAX nothing is left: {limits.soc_min:g} … {limits.soc_max:g} %"
        problems.append(("soc_max" if "soc_max" in draft.document else "soc_min", mend))
    if problems:
        raise LimitsError(_told(path, draft.document, problems))
    return limits


def read_limits(path: Path, *, signature: bool = True) -> LimitsDraft:
    """A limits file with what is less safe in it.

    Args:
        path: the limits file.
        signature: False to look past the signature, however broken.

    Raises:
        LimitsError: it cannot be read, or contradicts the schema or itself.
    """
    document = read_document(path)
    if not signature:
        document = {key: value for key, value in document.items() if key != "signed"}
    try:
        file = LimitsFile.model_validate(document)
    except ValidationError as error:
        raise LimitsError(explain(error, str(path), document, _FIELDS)) from None
    merge = Merge(file)
    if merge.problems:
        raise LimitsError(_told(path, document, merge.problems))
    return LimitsDraft(
        document=document,
        limits=merge.limits,
        weaker=tuple(weaker(merge.limits, merge.preset)),
        signature=file.signed,
        signed=file.signed is not None and file.signed.digest == digest(document),
    )


def sign_limits(path: Path, *, by: str, reason: str, date: datetime) -> LimitsDraft:
    """Sign a limits file in place as an engineer; comments and layout stay.

    Raises:
        LimitsError: the file is not consistent.
        ValueError: the name or the reason is empty or too long.
        OSError: it cannot be written.
    """
    draft = read_limits(path, signature=False)
    signature = {"by": by.strip(), "role": "engineer", "date": date.isoformat(), "reason": reason.strip()}
    for name, text, longest in (("name", signature["by"], 128), ("reason", signature["reason"], 500)):
        if not text or len(text) > longest or not text.isprintable():
            raise ValueError(f"give a {name} of 1 to {longest} printable characters")
    signature["digest"] = digest({**draft.document, "signed": signature})
    text = without_signature(path.read_text(encoding="utf-8-sig"))
    replace_text(path, f"{text}\n{signature_block(signature)}")
    return read_limits(path)


def _within(draft: LimitsDraft, base: Mapping[str, float | None]) -> Limits:
    changed: dict[str, float] = {}
    for name, tighter in _TIGHTER.items():
        wanted, own = base.get(name), getattr(draft.limits, name)
        if wanted is not None:
            said = name in draft.document and own is not None
            changed[name] = tighter(wanted, own) if said else wanted
    return replace(draft.limits, **changed)  # type: ignore[arg-type]


def _told(path: Path, document: dict[str, Any], problems: list[tuple[str, str]]) -> list[Problem]:
    return [
        Problem(str(path), field, shorten(at(document, field.split("."))), mend) for field, mend in problems
    ]
