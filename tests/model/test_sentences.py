"""Every sentence of the control plane has a Spanish one, and what is said in Spanish is what was meant."""

from __future__ import annotations

import functools
import re
from pathlib import Path

import pytest

from bessai.model import GuardState, Quality, Role, sentences
from bessai.model.sentences import BLANK, catalogue, in_spanish, translated
from support.limit_scene import NORMAL, Scene
from support.sentences import counts
from support.sentences import sentences as found_in_source

ENGLISH = re.compile(
    r"\b(is|was|the|its|above|below|beyond|and|of|charge|discharge|current|power|lost|tells)\b"
)


SAID = functools.cache(found_in_source)


def reduced(english: str) -> str:
    return BLANK.sub("{}", english)


def test_no_sentence_of_the_code_lacks_its_spanish() -> None:
    known = set(map(reduced, catalogue()))
    lacking = {text: place for text, place in SAID().items() if text not in known}
    assert not lacking, f"add these to {sentences.__name__.replace('.', '/')}.json"


def test_a_new_sentence_is_found_wherever_it_stands(tmp_path: Path) -> None:
    (tmp_path / "core").mkdir()
    (tmp_path / "core" / "new.py").write_text(
        '"""Not this text."""\n'
        "def f(x: 'nor this') -> str:\n"
        "    log.info('nor this here')\n"
        "    name = create_task(g(), name='nor this one')\n"
        "    x += f', a tail {name}'\n"
        '    return Condition(message=f\'{x} {"is gone" if x else "was late"} by {y or "a part of it"}\' + \': end\')\n'
    )
    assert set(found_in_source(tmp_path, ("core",))) == {
        "{}, a tail {}",
        "{} is gone by {}: end",
        "{} was late by {}: end",
        "a part of it",
    }


def test_no_spanish_is_idle_and_both_have_the_same_blanks() -> None:
    said = set(SAID())
    kinds = {*sentences.words(), *sentences._KINDS}
    for english, spanish in catalogue().items():
        assert reduced(english) in said or not counts(reduced(english)), f"nobody says {english!r}"
        blanks = [match.group() for match in BLANK.finditer(english)]
        assert sorted(blanks) == sorted(match.group() for match in BLANK.finditer(spanish)), english
        assert len(set(blanks)) == len(blanks), english
        assert {match[1] for match in BLANK.finditer(english)} <= kinds, english
        assert spanish


def test_every_name_that_fills_a_blank_has_words() -> None:
    words = sentences.words()
    assert set(words["quality"]) == {quality.label for quality in Quality}
    assert set(words["state"]) == {state.value for state in GuardState}
    assert {role.label for role in Role} <= set(words["role"])


@pytest.mark.parametrize(
    ("english", "spanish"),
    [
        ("soc is stale", "soc: dato añejo"),
        ("device_status is standby", "device_status es «standby»"),
        ("cell_voltage_max is beyond its limit: no charge", "cell_voltage_max supera su límite: sin carga"),
        (
            "inv1: tripped, waits for a reset: soh is above 3.65 V, and its value was lost since",
            "inv1: disparado, espera el rearme: soh está sobre 3,65 V, y desde entonces se perdió su valor",
        ),
        (
            "zero refused: a: the connection was lost; charge refused: not verified",
            "orden de cero rechazada: a: se perdió la conexión; orden de carga rechazada: sin verificar",
        ),
        (
            "refused, frequency.droop = 99: give 2 … 5 %, magnitude at least 1; asked by ana (engineer)",
            "rechazado, frequency.droop = 99: dé 2 … 5 %, magnitud de al menos 1; pedido por ana (engineer)",
        ),
        (
            "op=1 is unknown: use a; role=None: use one of viewer; reason is empty: it is recorded, say it",
            "op=1 es desconocida: use a; role=None: use uno de viewer; reason está vacío: queda registrado, dígalo",
        ),
        # a person's words stay
        ("maintenance, switched on by ana: no power", "mantenimiento, activado por ana: no power"),
        (
            "reset soc_low by ana (engineer): soc is stale",
            "rearme de soc_low por ana (engineer): soc is stale",
        ),
        (
            "soc_low of soc: acknowledged by ana: on it {0}\n",
            "soc_low de soc: reconocida por ana: on it {0}\n",
        ),
        # what nobody translated too
        ("the plant is on the moon", "the plant is on the moon"),
        ("[Errno 28] No space left on device", "[Errno 28] No space left on device"),
        ("", ""),
    ],
)
def test_what_is_said(english: str, spanish: str) -> None:
    assert in_spanish(english) == spanish


def test_hostile_texts_come_to_an_end_and_long_ones_stay() -> None:
    for text in (
        "a: " * 600,
        "; a by b (engineer): c" * 90,
        "x is above 1 " * 150,
        "{said}" * 300,
        "(" * 2000,
    ):
        assert isinstance(in_spanish(text), str)
    assert in_spanish("soc is stale; " * 1000) == "soc is stale; " * 1000


def test_an_answer_is_copied_and_only_sentences_change() -> None:
    answer = {
        "reasons": ["soc is stale"],
        "reason": "soc is stale",
        "trips": [{"message": "soc is stale", "point": "soc is stale", "value": 1.5}],
        "problems": {"meter": "not connected yet", "pv": None},
        "last_error": {"message": "not connected", "time": "now"},
        "error": None,
        "count": 3,
    }
    assert translated(answer) == {
        "reasons": ["soc: dato añejo"],
        "reason": "soc is stale",
        "trips": [{"message": "soc: dato añejo", "point": "soc is stale", "value": 1.5}],
        "problems": {"meter": "sin conexión todavía", "pv": None},
        "last_error": {"message": "sin conexión", "time": "now"},
        "error": None,
        "count": 3,
    }
    assert answer["reasons"] == ["soc is stale"]


def test_no_english_word_is_left_in_what_the_limits_say() -> None:
    said: set[str] = set()
    for point in NORMAL:
        for value in (-300.0, 0.0, 2.0, 4.2, 99.0, 1e4, *Quality):
            scene = Scene()
            scene.cycle()
            for report in scene.cycles(4, step=30.0, **{point: value}):
                said |= {condition.message for condition in report.conditions + report.lost}
                said |= {trip.message for trip in report.trips}
    assert len(said) > 60
    left = {text: in_spanish(text) for text in said if ENGLISH.search(in_spanish(text))}
    assert not left
    assert {text for text in said if in_spanish(text) == text} == set()
