"""Report rules: which point leaves the site when. For slow links and large plants.

    rules:
      - { points: ["*.cell_voltage_*"], dead_band: 0.002, at_most_every: 10, at_least_every: 300 }
      - { points: ["*"], at_least_every: 900 }

The first rule that names a point (and the sink) counts; a point that no rule names is in every record. Events are
always reported. `bessai.interfaces.reporting` applies the rules.
"""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError, model_validator

from bessai.registry import Problem
from bessai.registry.base import Strict
from bessai.registry.problems import explain, shorten
from bessai.registry.schema import close
from bessai.site.reading import SiteError, StrictYamlLoader, read_mapping

Glob = Annotated[str, Field(min_length=1, max_length=128)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]

_LONGEST = 100_000
"""Characters of the rules as JSON: they reach the service plane in one variable, which the system limits."""


def _check_times(at_most: float | None, at_least: float | None) -> None:
    if at_most is not None and at_least is not None and at_most > at_least:
        raise ValueError(
            f"at_most_every {at_most:g} is longer than at_least_every {at_least:g}; make it the shorter one"
        )


class ReportRule(Strict):
    """When some points are reported."""

    points: Annotated[list[Glob], Field(min_length=1)]
    """Names: the plant's own (`soc`) and those of devices (`rack_1.soc`); `*` stands for anything."""
    sinks: Annotated[list[Glob], Field(min_length=1, default_factory=lambda: ["*"])]
    """Names of the sinks that it is for, for example `pubsub`; unset: every sink."""
    when: Literal["change", "always", "never"] = "change"
    """`change`: when value or quality differ from what was last reported. `always`: in every record, as far as
    `at_most_every` allows. `never`."""
    dead_band: float | None = Field(default=None, ge=0)
    """In the point's unit: a value must differ by more than this from the one last reported."""
    dead_band_percent: float | None = Field(default=None, ge=0, le=100)
    """The same in % of `span`, or of the value last reported where there is no `span`. With both dead bands, the
    larger counts."""
    span: float | None = Field(default=None, gt=0)
    """In the point's unit: 100 % for `dead_band_percent`, for example the rated power."""
    at_most_every: Seconds | None = None
    """Seconds that must pass before a point is reported again."""
    at_least_every: Seconds | None = None
    """Seconds after which a point is reported even when nothing changed."""

    @model_validator(mode="after")
    def _sound(self) -> ReportRule:
        bands = (self.dead_band, self.dead_band_percent, self.span)
        if self.when != "change" and bands != (None, None, None):
            raise ValueError(f"a dead band goes with `when: change`, not with `when: {self.when}`")
        if self.when != "change" and self.at_least_every is not None:
            raise ValueError(f"`at_least_every` goes with `when: change`, not with `when: {self.when}`")
        if self.when == "never" and self.at_most_every is not None:
            raise ValueError("what is never reported has no `at_most_every`; leave it out")
        if self.span is not None and self.dead_band_percent is None:
            raise ValueError("`span` goes with `dead_band_percent`; give it, or leave out `span`")
        _check_times(self.at_most_every, self.at_least_every)
        return self

    def for_sink(self, sink: str) -> bool:
        """True when the rule is for this sink."""
        return any(fnmatch.fnmatchcase(sink, pattern) for pattern in self.sinks)


class DecisionRule(Strict):
    """When the decision is reported: it changed, or a time has passed. It goes with every event as well."""

    at_most_every: Seconds | None = None
    """Seconds that must pass before a changed decision is reported again."""
    at_least_every: Seconds = 60.0
    """Seconds after which it is reported even when nothing changed."""

    @model_validator(mode="after")
    def _sound(self) -> DecisionRule:
        _check_times(self.at_most_every, self.at_least_every)
        return self


class ReportFile(Strict):
    """Which points leave the site when. The first rule that names a point counts."""

    decision: DecisionRule = DecisionRule()
    rules: Annotated[list[ReportRule], Field(min_length=1)]


_FIELDS = sorted({name for model in (ReportFile, ReportRule, DecisionRule) for name in model.model_fields})


def load_report(path: Path | str, names: Sequence[str]) -> ReportFile:
    """Read and check a file of report rules.

    Args:
        path: the file.
        names: the points of the site.

    Raises:
        SiteError: with all problems; among them every name that no point has, and every rule that never counts.
    """
    path = Path(path)
    document = read_mapping(path, "file of report rules", "`rules`; see config/report.example.yaml")
    try:
        report = ReportFile.model_validate(document)
    except ValidationError as error:
        problems = explain(error, str(path), document, _FIELDS)
    else:
        problems = [*_idle(report, str(path), names)]
        if len(report.model_dump_json(exclude_defaults=True)) > _LONGEST:
            problems.append(
                Problem(str(path), "rules", "", "is too long; name points with *, not one by one")
            )
    if problems:
        lines = _lines(path)
        raise SiteError(
            Problem(f"{problem.file}:{lines[number]}" if number < len(lines) else problem.file, *rest)
            for problem in problems
            for number in [_rule(problem.field, len(lines))]
            for rest in [(problem.field, problem.value, problem.mend)]
        )
    return report


def report_json_schema() -> dict[str, Any]:
    """The JSON Schema of a file of report rules, as published in `config/report.schema.json`."""
    schema = ReportFile.model_json_schema()
    close(schema)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "BESSAI report rules",
    }


def _idle(report: ReportFile, file: str, names: Sequence[str]) -> Iterator[Problem]:
    """What names nothing, and what names only points that rules above it have taken."""
    taken: set[str] = set()
    for number, rule in enumerate(report.rules):
        found: set[str] = set()
        for i, pattern in enumerate(rule.points):
            matching = fnmatch.filter(names, pattern)
            found.update(matching)
            if not matching:
                mend = f"the site has no such point{_near(pattern, names)}"
                yield Problem(file, f"rules.{number}.points.{i}", shorten(pattern), mend)
        if found and found <= taken:
            mend = "rules above take every point that it names; move it up, or take it out"
            yield Problem(file, f"rules.{number}.points", shorten(rule.points), mend)
        if "*" in rule.sinks:
            taken |= found


def _near(pattern: str, names: Sequence[str]) -> str:
    device, dot, point = pattern.rpartition(".")
    near = difflib.get_close_matches(pattern, names, 3) if len(names) <= 5000 else []
    if not near and dot:
        known = sorted({name.rpartition(".")[2] for name in names if "." in name})
        near = [f"{device}.{found}" for found in difflib.get_close_matches(point, known, 3) if found != point]
    return (
        f"; did you mean {' or '.join(repr(name) for name in near)}?"
        if near
        else "; `bessai read` lists them"
    )


def _rule(field: str, rules: int) -> int:
    """The number of the rule that a field is in; `rules` when it is in none."""
    parts = field.split(".")
    return int(parts[1]) if len(parts) > 1 and parts[0] == "rules" and parts[1].isdecimal() else rules


def _lines(path: Path) -> list[int]:
    """The line on which each rule begins; empty when the file has changed meanwhile."""
    try:
        root = yaml.compose(path.read_text(encoding="utf-8-sig"), Loader=StrictYamlLoader)
    except (OSError, ValueError, yaml.YAMLError):
        return []
    rules = [value for key, value in root.value if key.value == "rules"] if root is not None else []
    return [item.start_mark.line + 1 for rule in rules for item in rule.value if isinstance(item, yaml.Node)]
