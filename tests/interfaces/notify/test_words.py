"""What people read."""

from __future__ import annotations

import string
from pathlib import Path
from typing import Any

import pytest

from bessai.interfaces.notify.words import TITLE_MAX, duration, texts
from bessai.model.catalogue import LANGUAGES, catalogue
from support.notify_plant import Scene, at, config

NOW = at("2026-11-30 12:00")


def leaves(words: Any, path: str = "") -> dict[str, str]:
    if isinstance(words, str):
        return {path: words}
    items = words.items() if isinstance(words, dict) else enumerate(words)
    return {name: text for key, value in items for name, text in leaves(value, f"{path}.{key}").items()}


def test_both_languages_say_the_same_things() -> None:
    en, es = leaves(texts("en")), leaves(texts("es"))
    assert en.keys() == es.keys()
    blanks = {name: {field for _, field, _, _ in string.Formatter().parse(text)} for name, text in en.items()}
    for name, text in es.items():
        assert {field for _, field, _, _ in string.Formatter().parse(text)} == blanks[name], name


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_code_of_the_catalogue_makes_a_message(tmp_path: Path, language: str) -> None:
    text = 'recipients: {a: {channels: [{url: "json://h"}]}}\nrules: [{severity: info, tell: [a]}]\n'
    text += f"language: {language}\ngather_seconds: 0\n"
    found = config(tmp_path, text)
    for code, entry in catalogue().items():
        scene = Scene(found, NOW)
        scene.take(
            code,
            entry.severity.label,
            point="rack_12.module_3.cell_temperature_max" * 4,
            value=51.5,
            unit="°C",
        )
        (title,) = scene.go(1)
        assert len(title.removeprefix("a/json: ")) <= TITLE_MAX
        assert entry.texts[language].action in scene.body
        assert "{" not in scene.body


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5, "0 s"),
        (119.4, "119 s"),
        (121, "2 min"),
        (7199, "119 min"),
        (7261, "2 h 1 min"),
        (200_000, "2 d 7 h"),
    ],
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds, "en") == words
