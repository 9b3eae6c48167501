"""What a check of the doctor said, in short; and that its words are there, in both languages."""

from __future__ import annotations

from collections.abc import Iterator
from types import GeneratorType

from bessai.doctor import CHECKS, Finding, Verdict, words
from bessai.doctor.checks import disk

_NAMES = {check.look.__code__: check.name for check in CHECKS} | {disk.smart.__code__: "disk_wear"}
_NEED = {Verdict.WARN, Verdict.BAD, Verdict.UNKNOWN}


def codes(found: Iterator[Finding]) -> list[str]:
    """`verdict text` of each finding of a check that was called just now."""
    assert isinstance(found, GeneratorType)
    name = _NAMES[found.gi_code]
    findings = list(found)
    for finding in findings:
        for language in words.LANGUAGES:
            assert words.found(name, finding, language)
            mend = words.mend(name, finding, language)
            assert mend or finding.verdict not in _NEED, f"{name}: {finding.text} says not what to do"
    return [f"{finding.verdict} {finding.text}" for finding in findings]
