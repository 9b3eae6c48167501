"""Every message of the API has a Spanish text with the same blanks, and the right one is chosen."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.datastructures import Headers

from bessai.interfaces.api import messages
from bessai.interfaces.api.roles import Role
from support.api_scene import API, PASSWORD, scene

HOME = Path(messages.__file__).parent
RAISED = {"Problem": 2, "field_problem": 2}
"""Which argument is the text."""
OTHERS = {
    "acting.py": "the control plane's refusal",
    "gateway.py": "the control plane's refusal",
    "problems.py": "what another has raised",
    "history.py": "the history's own words",
    "archive.py": "the journal's own words",
}
"""Texts that come from elsewhere, by the file that hands them on; all else in these files is looked at as well."""


def template(node: ast.expr) -> str | None:
    """A text with `{}` for what is filled in; None when it is made elsewhere."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
    return None


def raised(file: Path) -> Iterator[tuple[int, str | None]]:
    """Line and text of each message."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        if name in RAISED and len(node.args) > RAISED[name]:
            yield node.lineno, template(node.args[RAISED[name]])
        if file.name == "lockout.py" and name == "__init__":
            yield node.lineno, template(node.args[2])
        if name == "ValueError" and ("routes" in file.parts or file.name == "acting.py"):
            yield node.lineno, template(node.args[0])


def untranslated(directory: Path) -> list[str]:
    return [
        f"{file.name}:{line}: {text}"
        for file in sorted(directory.rglob("*.py"))
        for line, text in raised(file)
        if text not in messages.catalogue() and (text is not None or file.name not in OTHERS)
    ]


def test_no_message_lacks_its_spanish(tmp_path: Path) -> None:
    assert untranslated(HOME) == []
    (tmp_path / "new.py").write_text(
        'raise Problem(409, "x", f"a new text of {name}")\nfield_problem("a", 1, text)'
    )
    assert untranslated(tmp_path) == ["new.py:1: a new text of {}", "new.py:2: None"]


def test_no_translation_is_idle_and_all_have_the_same_blanks() -> None:
    said = {text for file in HOME.rglob("*.py") for _, text in raised(file)}
    foreign = {"Not Found", "the gateway refused without a word"}
    for english, spanish in messages.catalogue().items():
        assert english in said | foreign or english[0].isupper(), (
            f"nobody says {english!r}"
        )  # pydantic's are capital
        assert english.count("{}") == len(re.findall(r"\{\d?\}", spanish)), english
        assert spanish
        assert spanish != english


@pytest.mark.parametrize(
    ("english", "spanish"),
    [
        ("there is no user ana", "no existe el usuario ana"),
        ("there is no user {0} \n", "no existe el usuario {0} \n"),
        ("this needs the role engineer; ana is viewer", "esto necesita el rol engineer; ana es viewer"),
        ("Input should be 'step' or 'ramp'", "debe ser 'step' o 'ramp'"),
        ("Input should be 'a', 'b' or 'c'", "debe ser 'a', 'b' o 'c'"),
        ("the disk is full", "the disk is full"),
    ],
)
def test_what_is_said(english: str, spanish: str) -> None:
    assert messages.said(english, "es") == spanish
    assert messages.said(english, "en") == english


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("es-CL,es;q=0.9,en;q=0.8", "es"),
        ("en;q=0.5, es;q=0.6", "es"),
        ("es;q=0, en;q=0.1", "en"),
        ("de, fr;q=0.9", None),
        ("es;q=x", None),
        ("es;q=2", None),
        ("*", None),
        ("", None),
    ],
)
def test_the_language_of_a_browser(accepted: str, language: str | None) -> None:
    assert messages.preferred(Headers({"accept-language": accepted})) == language


def test_each_is_answered_in_their_own_language(tmp_path: Path) -> None:
    with scene(tmp_path) as house:
        spanish = {"accept-language": "es-CL"}
        nobody = house.browser().ask("GET", f"{API}/users", headers=spanish)
        assert nobody.json["detail"].startswith("nadie ha configurado este gateway")
        assert nobody.header("content-language") == "es"
        ana = house.set_up()
        house.user("eva", Role.ADMINISTRATOR)
        house.runner.run(house.identity.change_user("eva", language="es"))
        eva = house.session_of("eva")
        body = {"name": "ÑU", "role": "operator", "password": PASSWORD}
        told = {
            (who, accept): browser.ask("POST", f"{API}/users", body, {"accept-language": accept}).json
            for who, browser in (("ana", ana), ("eva", eva))
            for accept in ("", "es", "en")
        }
        in_spanish = {
            key for key, one in told.items() if one["errors"][0]["message"].startswith("use de 1 a 32")
        }
        assert in_spanish == {("ana", "es"), ("eva", ""), ("eva", "es")}
        assert told["ana", "es"]["detail"] == f"name: {told['ana', 'es']['errors'][0]['message']}"
        assert {one["code"] for one in told.values()} == {"bad_input"}
        missing = eva.ask("POST", f"{API}/users", {}).json["errors"]
        assert {one["message"] for one in missing} == {"falta este campo"}
