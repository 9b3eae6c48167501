"""The catalogue knows every code that the gateway says, and its pages are the generated ones."""

from __future__ import annotations

import ast
import json
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from bessai.model import Severity
from bessai.model.catalogue import LANGUAGES, catalogue, parse_catalogue
from bessai.model.catalogue_docs import WORDS, catalogue_markdown

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "bessai"
MAKERS = {"Condition", "Event"}
"""What carries a code to people."""


def _texts(node: ast.expr, constants: dict[str, list[str]]) -> list[str] | None:
    """The texts that an expression may stand for; empty when it only passes a code on, None when unknown."""
    match node:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.IfExp(body=body, orelse=orelse):
            both = [_texts(body, constants), _texts(orelse, constants)]
            return None if None in both else [text for texts in both for text in texts or []]
        case ast.Name(id=name):
            return constants.get(name, [])
        case ast.Subscript(value=ast.Name(id=name)):
            return constants.get(name, [])
        case ast.Attribute() | ast.Subscript():
            return []
    return None


def _constants(tree: ast.Module) -> Iterator[tuple[str, list[str]]]:
    """The texts behind the names of a module: `NAME = "x"`, and the values of `NAMES = {key: "x"}`."""
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        targets = [node.target] if isinstance(node, ast.AnnAssign) else targets
        value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
        values = value.values if isinstance(value, ast.Dict) else [value]
        texts = [v.value for v in values if isinstance(v, ast.Constant) and isinstance(v.value, str)]
        yield from ((target.id, texts) for target in targets if isinstance(target, ast.Name) and texts)


def _name(call: ast.Call) -> str:
    match call.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


class _Helpers:
    """What takes a `code` and passes it on to people, and the place of that argument. A private name counts at home."""

    def __init__(self, trees: dict[Path, ast.Module]) -> None:
        self._places: dict[tuple[Path | None, str], int | None] = {(None, maker): None for maker in MAKERS}
        functions = [
            (path, node)
            for path, tree in trees.items()
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef) and any(a.arg == "code" for a in node.args.args)
        ]
        before = 0
        while len(self._places) > before:
            before = len(self._places)
            for path, function in functions:
                arguments = [a.arg for a in function.args.args if a.arg not in {"self", "cls"}]
                calls = [
                    n for n in ast.walk(function) if isinstance(n, ast.Call) and self.knows(path, _name(n))
                ]
                passed = [value for call in calls for value in self.given(path, call)]
                if any(isinstance(v, ast.Name) and v.id == "code" for v in passed):
                    home = path if function.name.startswith("_") else None
                    self._places.setdefault((home, function.name), arguments.index("code"))

    def knows(self, path: Path, name: str) -> bool:
        """True when what is called this name, in this file, takes a code for people."""
        return (None, name) in self._places or (path, name) in self._places

    def given(self, path: Path, call: ast.Call) -> list[ast.expr]:
        """The expressions that a call gives as its code."""
        name = _name(call)
        place = self._places.get((path, name), self._places.get((None, name)))
        by_name = [keyword.value for keyword in call.keywords if keyword.arg == "code"]
        return by_name + (call.args[place : place + 1] if place is not None else [])


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _said(paths: Iterator[Path]) -> Iterator[tuple[str, str]]:
    """(code, where) of everything that is said; raises when a code cannot be seen."""
    trees = {path: _tree(path) for path in paths}
    helpers = _Helpers(trees)
    for path, tree in trees.items():
        constants = dict(_constants(tree))
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            where = f"{path.name}:{node.lineno}"
            for value in helpers.given(path, node):
                texts = _texts(value, constants)
                if texts is None and helpers.knows(path, _name(node)):
                    raise AssertionError(f"{where}: write the code as a text, so that this test sees it")
                yield from ((text, where) for text in texts or [])


def test_what_is_said_and_what_the_catalogue_has_are_the_same() -> None:
    said = list(_said(SOURCE.rglob("*.py")))
    missing = [f"{where}: {code}" for code, where in said if code not in catalogue()]
    assert not missing, f"describe them in src/bessai/model/catalogue.json: {missing}"
    texts = {
        node.value
        for path in SOURCE.rglob("*.py")
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    unused = [code for code, entry in catalogue().items() if code not in texts and not entry.coming]
    assert not unused, f"nothing says them: remove them from the catalogue, or mark them as coming: {unused}"
    codes = {code for code, _ in said}
    if here := [code for code, entry in catalogue().items() if entry.coming and code in codes]:
        warnings.warn(f"remove `coming` from these codes of the catalogue: {here}", stacklevel=1)


@pytest.mark.parametrize(
    ("source", "codes"),
    [
        ("Condition(code='a', severity=1, message='')", ["a"]),
        ("Condition(code='a' if x else 'b', severity=1)", ["a", "b"]),
        ("NAME = 'a'\nEvent(code=NAME)", ["a"]),
        ("NAME: Final = 'a'\nEvent(code=NAME)", ["a"]),
        ("NAMES = {1: 'a', 2: 'b'}\nEvent(code=NAMES[kind])", ["a", "b"]),
        ("Trip(code='a')", ["a"]),
        ("Event(code=condition.code)", []),
        ("def _edge(code, x):\n    return Condition(code=code)\n_edge('a', 1)", ["a"]),
        (
            (
                "def _event(self, code):\n    return Event(code=code)\n"
                "def _note(self, code):\n    self.put(self._event(code))\nself._note('a')"
            ),
            ["a"],
        ),
        ("fail('wrong', code=2)", []),
    ],
)
def test_the_walk_sees_codes(tmp_path: Path, source: str, codes: list[str]) -> None:
    (tmp_path / "x.py").write_text(source)
    assert [code for code, _ in _said(tmp_path.glob("*.py"))] == codes


def test_the_walk_refuses_what_it_cannot_see(tmp_path: Path) -> None:
    (tmp_path / "x.py").write_text("Condition(code=f'{x}_high')")
    with pytest.raises(AssertionError, match=r"x\.py:1: write the code as a text"):
        list(_said(tmp_path.glob("*.py")))


@pytest.mark.parametrize(
    ("code", "severity", "condition", "latches"),
    [
        ("evidence_lost", Severity.ALARM, True, False),
        ("soc_high", Severity.WARNING, True, False),
        ("fire_alarm", Severity.ALARM, True, True),
        ("gateway_started", Severity.INFO, False, False),
    ],
)
def test_some_entries(code: str, severity: Severity, condition: bool, latches: bool) -> None:
    entry = catalogue()[code]
    assert (entry.severity, entry.condition, entry.latches) == (severity, condition, latches)


def test_no_alarm_waits_to_be_announced() -> None:
    assert [e.code for e in catalogue().values() if e.severity is Severity.ALARM and e.on] == []


def test_the_languages_do_not_repeat_each_other() -> None:
    for entry in catalogue().values():
        en, es = (entry.texts[language] for language in LANGUAGES)
        assert en.meaning != es.meaning, entry.code
    assert WORDS["en"].keys() == WORDS["es"].keys()


@pytest.mark.parametrize(("language", "page"), [("en", "alarms.md"), ("es", "alarms.es.md")])
def test_the_page_in_the_documentation_is_the_generated_one(language: str, page: str) -> None:
    found = (ROOT / "docs" / page).read_text(encoding="utf-8")
    assert found == catalogue_markdown(language), (
        f"run bessai alarms document --lang {language} > docs/{page}"
    )


def test_an_unknown_language_is_refused() -> None:
    with pytest.raises(ValueError, match="language 'fr': use one of en, es"):
        catalogue_markdown("fr")


GOOD = {
    "severity": "alarm", "kind": "condition", "on": 0, "off": 5, "latches": False,
    **{language: {"meaning": "M.", "cause": "C.", "action": "A."} for language in LANGUAGES},
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"severity": "bad"}, "catalogue.json: x.severity='bad': use info, warning or alarm"),
        ({"kind": "thing"}, "x.kind='thing': use condition or event"),
        ({"on": -1}, "x.on=-1: give seconds from 0 to 3600"),
        ({"off": True}, "x.off=True: give seconds"),
        ({"kind": "event"}, "x.off=5: an event happens once; use 0"),
        ({"latches": 1}, "x.latches=1: use true or false"),
        ({"coming": "soon"}, "x.coming='soon': use true or false"),
        ({"es": {"meaning": "M."}}, "x.es: give exactly meaning, cause, action"),
        ({"en": {"meaning": "M.", "cause": "", "action": "A."}}, "x.en.cause='': give at least one sentence"),
        ({"colour": "red"}, "x.colour: unknown; remove it"),
    ],
)
def test_a_wrong_entry_gets_one_clear_error(change: dict[str, Any], problem: str) -> None:
    assert parse_catalogue({"x": GOOD})["x"].off == 5.0
    with pytest.raises(ValueError, match="x") as caught:
        parse_catalogue({"x": GOOD | change})
    assert problem in str(caught.value)


def test_all_problems_come_at_once() -> None:
    with pytest.raises(ValueError, match="x") as caught:
        parse_catalogue({"x": {}, "y": GOOD | {"on": -1}})
    assert len(str(caught.value).splitlines()) == 8


def test_the_file_is_as_it_is_written_by_a_program() -> None:
    text = (SOURCE / "model" / "catalogue.json").read_text(encoding="utf-8")
    assert text == json.dumps(json.loads(text), ensure_ascii=False, indent=2) + "\n"
