"""Damaged profiles, site files and formulas: one clear error with every problem, or something that works."""

from __future__ import annotations

import json
import random
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from bessai.drivers import UniversalDriver
from bessai.registry import Problem, ProfileError, compile_profile, list_profiles, load_profile
from bessai.site import FormulaError, SiteError, load_site, parse
from support.profiles import BATTERY, CONTROL, DEAD_MAN, document

_NESTED: Any = []
for _ in range(60):
    _NESTED = [_NESTED]

VALUES: list[Any] = [
    None, True, False, 0, 1, -1, 0.5, -0.0, 255, 256, 65535, 65536, 2**31, 2**63, 2**64, -(2**63), 10**30, 10**400,
    1e308, -1e308, 5e-324, float("nan"), float("inf"), "", " ", "0", "²", "1.5", "u16", "soc", "huawei_sun2000", "-",
    "\0", "\ud800", "x" * 300, "x" * 5000, "é😀", "../..", "/", "a b", "{n}", "[" * 200, "(?P<", "(a+)+$", "r", "rw",
    [], {}, [[]], [None], [0, 0], [1, 2, 3], {"": ""}, {"a": {"b": 1}}, {"kind": "none"}, _NESTED,
    "tcp://", "rtu:///dev/x?baudrate=²", "tls://h:802?ca=" + "y" * 300, "host:²", "[::1", "10.0.0.1:99999",
]  # fmt: skip
"""What people and programs write by mistake, and worse."""


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value in a document but the whole."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*path, key)
        yield from places(inner, (*path, key))


def damage(rng: random.Random, made: Any) -> None:
    """One value is lost, moved, misspelt, doubled or replaced."""
    found = list(places(made))
    if not found:
        return
    *path, last = rng.choice(found)
    holder = made
    for key in path:
        holder = holder[key]
    kind = rng.randrange(6)
    if kind == 0:
        del holder[last]
    elif kind == 1:
        holder[last] = rng.choice(VALUES)
    elif kind == 2 and isinstance(holder, dict):
        name = rng.choice([str(last) + "x", str(last)[:-1], "", str(last).upper(), "{n}", "x" * 70])
        holder[name] = holder.pop(last)
    elif kind == 3:  # another value of the same document
        *other, key = rng.choice(found)
        source = made
        for part in other:
            source = source[part]
        holder[last] = json.loads(json.dumps(source[key]))
    elif kind == 4 and isinstance(holder[last], int | float) and not isinstance(holder[last], bool):
        holder[last] = rng.choice([-holder[last], holder[last] * 2, holder[last] + 1, holder[last] + 0.5])
    elif isinstance(holder, list):
        holder.append(rng.choice(VALUES))
    else:
        holder[f"{last}_2"] = holder[last]


def damaged_bytes(rng: random.Random, data: bytes, pieces: list[bytes]) -> bytes:
    """Text that was cut, mistyped or pasted together."""
    text = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 5])):
        place = rng.randrange(len(text) + 1)
        kind = rng.randrange(5)
        if kind == 0:
            del text[place:]
        elif kind == 1:
            del text[place : place + rng.randint(1, 9)]
        elif kind == 2:
            text[place:place] = rng.choice(pieces)
        elif kind == 3:
            text[place:place] = rng.randbytes(rng.randint(1, 3))
        else:
            end = min(len(text), place + rng.randint(1, 60))
            text[place:place] = text[place:end]
    return bytes(text)


def clear(problems: list[Problem], *, structured: bool) -> None:
    """Every problem names its file, its field and the mend, in words that can be printed and stored."""
    assert problems
    for problem in problems:
        assert problem.file
        assert problem.mend
        assert problem.field or not structured, problem
        assert "Traceback" not in problem.mend
        str(problem).encode()
    assert len(set(problems)) == len(problems)


BASES = [
    document(BATTERY, control=CONTROL, dead_man=DEAD_MAN),
    *(json.loads(path.read_text()) for path in list_profiles()[:40:8]),
]
JSON_PIECES = [
    b"{", b"}", b'"', b",", b"NaN", b"-Infinity", b"1e999", b"9" * 5000, b"[" * 3000, b"\\ud800", b"\xff", b"null",
]  # fmt: skip


def profiles(rng: random.Random, path: Path, count: int) -> tuple[int, int]:
    """How many of the damaged profiles were refused, and how many were fine."""
    refused = fine = 0
    for _ in range(count):
        made = json.loads(json.dumps(rng.choice(BASES)))
        made["id"] = "test"
        structured = rng.random() < 0.75
        if structured:
            for _ in range(rng.choice([1, 1, 2, 6])):
                damage(rng, made)
            path.write_text(json.dumps(made))
        else:
            path.write_bytes(damaged_bytes(rng, json.dumps(made, indent=1).encode(), JSON_PIECES))
        try:
            compiled = compile_profile(load_profile(path))
        except ProfileError as error:
            clear(error.problems, structured=structured)
            refused += 1
        else:
            UniversalDriver(compiled, "127.0.0.1")
            fine += 1
    return refused, fine


SITE: dict[str, Any] = {
    "site": "atacama-1",
    "buses": {"meters": "rtu:///dev/ttyUSB0?baudrate=9600&parity=N", "far": "10.0.0.9"},
    "devices": {
        "pcs": {"profile": "test.json", "role": "inverter", "endpoint": "10.0.0.1:502", "control": True},
        "rack_{n}": {
            "profile": "test.json", "role": "battery", "endpoint": "10.0.0.{n+1}:502", "unit": "{n}", "count": 3,
            "capacity": 100.0, "period": 2.0,
        },
        "meter": {
            "profile": "eastron_sdm630", "role": "meter", "bus": "meters", "unit": 5,
            "connection": {"timeout": 1.0, "retries": 1, "max_registers": 60},
        },
    },
    "points": {
        "grid_power": {"formula": "meter.grid_power"},
        "power": {"sum": "battery_power", "of": "battery", "missing": "skip"},
        "hottest": {"max": "battery_temperature", "of": ["rack_*"]},
        "state": {"mean": "soc", "weight": "soc"},
        "soc": None,
    },
    "publish": "all",
}  # fmt: skip
YAML_PIECES = [
    b"2024-01-01", b"!!binary aGk=", b"!!set {a}", b".nan", b"&a [*a]", b"*b", b"? [a, b]\n: c", b"\t", b": ", b"- ",
    b"!!python/object:os.system x", b"1_000", b"0o17", b"12:30:45", b"{", b"[" * 3000, b"'", b"%", b"\xff", b"~",
    b"<<: {a: 1}",
]  # fmt: skip


def sites(rng: random.Random, folder: Path, count: int) -> tuple[int, int]:
    """How many of the damaged site files were refused, and how many were fine."""
    (folder / "test.json").write_text(json.dumps(BASES[0]))
    path = folder / "site.yaml"
    refused = fine = 0
    for _ in range(count):
        made = json.loads(json.dumps(SITE))
        structured = rng.random() < 0.6
        if structured:
            for _ in range(rng.choice([1, 1, 2, 5])):
                damage(rng, made)
            if made.get("devices") is None:
                continue
            path.write_text(yaml.safe_dump(made, allow_unicode=False), encoding="utf-8", errors="replace")
        else:
            text = yaml.safe_dump(made, default_flow_style=rng.random() < 0.3).encode()
            path.write_bytes(damaged_bytes(rng, text, YAML_PIECES))
        try:
            site = load_site(path)
        except SiteError as error:
            clear(error.problems, structured=structured)
            refused += 1
        else:
            assert len(site.layout) == len(set(site.layout.names))
            fine += 1
    return refused, fine


FORMULAS = [
    "pcs_1.active_power - meter.grid_power",
    "max(a, b) * 0.5",
    "a if b > 3 else -c",
    "min(rack_1.soc, rack_2.soc, 100) / abs(x.y - 1e-3)",
    "((a + b) * (c - d)) / 2",
]
FORMULA_PIECES = [
    b"(", b")", b"9" * 400, b"1e999", b"0x1F", b"1j", b"'a'", b"None", b"True", b"lambda: 0", b"[1]", b"{}", b"a[0]",
    b"**",
    b"//", b" % ", b" and ", b"not ", b"f''", b"...", b":=", b"*", b"__import__('os')", b"\n", b"\0", b"#", b"\\",
    b"a.b.c",
    b" < b < ", b"-" * 100, b"(" * 150, b"1_0", b"0777", b"x=1", b",", b"\xc3\xa9", b"\xef\xbd\x81", b"@", b"await x",
]  # fmt: skip


def formulas(rng: random.Random, count: int) -> tuple[int, int]:
    """How many of the damaged formulas were refused, and how many were fine."""
    refused = fine = 0
    for _ in range(count):
        text = damaged_bytes(rng, rng.choice(FORMULAS).encode(), FORMULA_PIECES).decode("utf-8", "replace")
        try:
            formula = parse(text)
        except FormulaError as error:
            str(error).encode()
            refused += 1
        else:
            result = formula.evaluate([rng.choice([0.0, 1.0, -2.5, 1e308]) for _ in formula.names])
            assert isinstance(result, float)
            fine += 1
    return refused, fine


def _run(tmp_path: Path, seed: int, count: int) -> None:
    cases: list[Callable[[random.Random], tuple[int, int]]] = [
        lambda rng: profiles(rng, tmp_path / "test.json", count),
        lambda rng: sites(rng, tmp_path, count // 3),
        lambda rng: formulas(rng, 10 * count),
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)  # Python's own remarks on odd formulas
        warnings.simplefilter("ignore", DeprecationWarning)
        for i, case in enumerate(cases):
            refused, fine = case(random.Random(seed + i))
            assert min(refused, fine) > count / 100  # both kinds were met


def test_damaged_documents(tmp_path: Path) -> None:
    _run(tmp_path, 1, 700)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ('{"id": %s}' % ("9" * 5000), "digits"),
        ('{"id": "\\ud800", "": 1}', '""'),
        ('{"id": ["\\ud800"]}', "id"),
    ],
)
def test_profiles_that_fuzzing_found(tmp_path: Path, found: str, words: str) -> None:
    path = tmp_path / "test.json"
    path.write_text(found)
    with pytest.raises(ProfileError) as caught:
        load_profile(path)
    assert words in str(caught.value)
    str(caught.value).encode()


@pytest.mark.parametrize(
    ("device", "words"),
    [
        (f"profile: {'x' * 300}", "devices.a.profile"),
        ("profile: !!binary aGk=", "devices.a.profile"),
        ("profile: &a [*a]", "devices.a.profile"),
        ("unit: ²", "devices.a.unit"),
        (f"endpoint: tls://h:802?ca={'y' * 300}", "there is no file"),
        ("endpoint: 'h:²'", "is not a number from 1 to 65535"),
        ("endpoint: rtu:///dev/x?baudrate=²", "must be one of"),
    ],
)
def test_sites_that_fuzzing_found(tmp_path: Path, device: str, words: str) -> None:
    entry = {"profile": "profile: huawei_sun2000", "endpoint": "endpoint: h:1", "role": "role: inverter"}
    lines = entry | {device.partition(":")[0]: device}
    path = tmp_path / "site.yaml"
    path.write_text("devices:\n  a:\n" + "".join(f"    {line}\n" for line in lines.values()))
    with pytest.raises(SiteError, match=words):
        load_site(path)


def test_a_formula_that_fuzzing_found() -> None:
    with pytest.raises(FormulaError, match="300 digits"):
        parse("a * 1" + "0" * 400)


@pytest.mark.soak
def test_very_many_damaged_documents(tmp_path: Path) -> None:
    _run(tmp_path, random.SystemRandom().randrange(2**32), 100_000)
