"""Which rule is about an alarm, and whom it tells."""

from __future__ import annotations

import fnmatch
import hashlib
from collections.abc import Iterable

from bessai.interfaces.notify.schema import Rule, Step
from bessai.interfaces.notify.standing import Alarm
from bessai.model import Severity


def fits(rule: Rule, alarm: Alarm, site: str) -> bool:
    """Whether a rule is about an alarm of a site."""
    return (
        alarm.severity >= Severity[rule.severity.upper()]
        and _any(rule.codes, alarm.code)
        and _any(rule.points, alarm.point or "")
        and _any(rule.sites, site)
    )


def recipients_of(rules: Iterable[Rule], alarm: Alarm, site: str) -> list[str]:
    """Everybody who is told of an alarm, once each."""
    return list(dict.fromkeys(name for rule in rules if fits(rule, alarm, site) for name in rule.tell))


def steps_of(rules: Iterable[Rule], alarm: Alarm, site: str) -> list[tuple[str, Step]]:
    """The steps of escalation of an alarm, each with a key that stays while the file says the same of it."""
    return [(_key(rule, step), step) for rule in rules if fits(rule, alarm, site) for step in rule.escalate]


def _key(rule: Rule, step: Step) -> str:
    text = "\n".join((*rule.codes, "", *rule.points, "", *step.tell, f"{step.after_minutes:g}"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _any(patterns: Iterable[str], text: str) -> bool:
    return any(fnmatch.fnmatchcase(text, pattern) for pattern in patterns)
