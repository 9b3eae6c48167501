"""Every command in the pages exists, with its options and arguments; so do the files, targets and variables they name.

Nothing is run here: what runs is in `test_quick_start.py` and `test_api_guide.py`.
"""

from __future__ import annotations

import functools
import inspect
import re
import shlex
import typing
from collections.abc import Callable, Iterator
from enum import Enum
from itertools import pairwise
from typing import Any

import pytest
import typer

from bessai.cli.app import make_app
from bessai.core.settings import Settings
from support.pages import ROOT, SHELL, blocks, inline, manual, typed

APP: Any = typer.main.get_command(make_app())
PLACEHOLDER = re.compile(r"[A-ZÓ][A-ZÓ_:.]*\d?|.*[…|<>].*")
"""What stands for a value: FILE, HOST:PORT, a|b, …"""
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
OTHER_VARIABLES = {
    "BESSAI_SEED", "BESSAI_SCREENSHOTS", "BESSAI_SOCKET", "XDG_RUNTIME_DIR", "LC_ALL", "PATH", "AUTH", "BESSAI", "USER",
    "CSRF", "TOKEN", "PUBSUB_EMULATOR_JAR", "BESSAI_FREQUENCY_CSV", "BESSAI_SCALE",
}  # fmt: skip
"""Variables in the pages that are no settings."""


READ = {page: page.read_text(encoding="utf-8") for page in manual()}


def bessai(words: tuple[str, ...]) -> tuple[str, ...] | None:
    """What `bessai` is told; None when the command is another one."""
    rest = list(words)
    if rest[:1] == ["sudo"]:
        rest = rest[3:] if rest[1:2] == ["-u"] else rest[1:]
    if rest[:1] == ["env"]:
        rest = rest[1:]
    while rest and re.match(r"[A-Za-z_]\w*=", rest[0]):
        rest = rest[1:]
    if rest[:1] == ["ssh"]:
        rest = rest[2:]
    if rest[:1] in (["kubectl"], ["docker"], ["podman"]) and "bessai" in rest and {"exec", "run"} & {*rest}:
        rest = rest[rest.index("bessai") :]
    return tuple(rest[1:]) if rest and re.fullmatch(r"(.*/)?bessai", rest[0]) else None


def wrong(words: tuple[str, ...], *, whole: bool) -> str | None:
    """What is wrong with the arguments; None when nothing is.

    Args:
        words: what follows `bessai`.
        whole: false where a sentence may leave out what is required.
    """
    command, name, rest = APP, "bessai", list(words)
    while rest and getattr(command, "commands", None):
        if rest[0].startswith("-"):
            break
        if rest[0] not in command.commands:
            return None if PLACEHOLDER.fullmatch(rest[0]) else f"{name} has no command {rest[0]}"
        name, command = f"{name} {rest[0]}", command.commands[rest[0]]
        rest = rest[1:]
    options = {
        opt: one for one in command.params for opt in (*one.opts, *one.secondary_opts) if opt.startswith("-")
    }
    if command.add_help_option:
        options |= {"-h": None, "--help": None}
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    kinds = kinds_of(command.callback) if command.callback else {}
    given: set[str] = set()
    places = 0
    while rest:
        word = rest.pop(0)
        if not word.startswith("-") or re.fullmatch(r"-\d.*|-", word):
            places += whole or word != "…"
            continue
        word, _, value = word.partition("=")
        if word not in options:
            return f"{name} has no option {word}"
        option = options[word]
        if option is None:
            return None
        given.add(option.name)
        if not option.is_flag and not option.count:
            if not value:
                if not rest:
                    return f"{name} {word} wants a value" if whole else None
                value = rest.pop(0)
            if (problem := not_of(kinds.get(option.name), value)) is not None:
                return f"{name} {word} {problem}"
    most = sum(one.nargs if one.nargs > 0 else 99 for one in arguments)
    least = sum(one.required for one in arguments)
    if places > most:
        return f"{name} takes {most} arguments, not {places}"
    if whole and places < least:
        return f"{name} needs {least} arguments, not {places}"
    missing = [one.opts[0] for one in command.params if one.required and one.param_type_name == "option"]
    if whole and (missing := [one for one in missing if options[one].name not in given]):
        return f"{name} needs {' '.join(missing)}"
    return None


@functools.cache
def kinds_of(callback: Callable[..., Any]) -> dict[str, Any]:
    """The types of a command's parameters."""
    return typing.get_type_hints(inspect.unwrap(callback))


def not_of(kind: Any, value: str) -> str | None:
    """What is wrong with a value of an option that has a choice, or is a number."""
    for one in (kind, *typing.get_args(kind)):
        choice: list[str] = []
        if isinstance(one, type) and issubclass(one, Enum):
            choice = [str(member.value) for member in one]
        elif typing.get_origin(one) is typing.Literal:
            choice = [str(member) for member in typing.get_args(one)]
        if choice and not {*value.split("|")} <= {*choice} and not PLACEHOLDER.fullmatch(value):
            return f"is {value}, and may be {', '.join(choice)}"
        if (
            one in {int, float}
            and not re.fullmatch(r"[-+]?\d+(\.\d+)?", value)
            and not PLACEHOLDER.fullmatch(value)
        ):
            return f"is {value}, and must be a number"
    return None


def in_sentences(text: str) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Commands that are named within sentences and tables."""
    for line, code in inline(text):
        if code.startswith("bessai ") and "(" not in code:
            plain = re.sub(r"\$\?|;.*|\s\|\s.*|\s>.*|&&.*", "", code)
            words = re.sub(r"[\[\]]", " ", plain)
            try:
                yield line, tuple(shlex.split(words)[1:])
            except ValueError:  # a quote that ends beyond the part that was cut off
                yield line, tuple(words.split()[1:])


def test_commands_exist() -> None:
    problems = []
    for page, text in READ.items():
        for one in typed(text):
            words = bessai(one.words)
            if words is not None and (problem := wrong(words, whole=True)) is not None:
                problems.append(f"{page.relative_to(ROOT)}:{one.line}: {problem}")
        for line, words in in_sentences(text):
            if (problem := wrong(words, whole=False)) is not None:
                problems.append(f"{page.relative_to(ROOT)}:{line}: {problem}")
    assert not problems, "\n".join(problems)


def test_what_commands_name_is_there() -> None:
    problems = []
    for page, text in READ.items():
        words = [(one.line, one.words) for one in typed(text)]
        made = {some[-1] for _, some in words if some[0] in {"cp", "install", "mkdir"}}
        words += [(line, tuple(code.split())) for line, code in inline(text)]
        for line, some in words:
            wanted = tuple(word for word in some if word.rstrip("/") not in made)
            problems += [f"{page.relative_to(ROOT)}:{line}: {problem}" for problem in missing(wanted)]
    assert not problems, "\n".join(problems)


FOLDERS = "config|registry|infrastructure|tests|src|benchmarks|ui|docs"


def missing(words: tuple[str, ...]) -> Iterator[str]:
    """Files, modules and targets that are not there."""
    for word in words:
        path = re.fullmatch(rf"((?:{FOLDERS})/[\w./*-]+?)(::\w+)?[,.:]?", word)
        if path and not there(path[1]):
            yield f"there is no {path[1]}"
        if path and path[2] and f"def {path[2][2:]}" not in (ROOT / path[1]).read_text(encoding="utf-8"):
            yield f"{path[1]} has no {path[2][2:]}"
    for first, second in pairwise(words):
        if first == "-m" and re.match(r"(benchmarks|tests|bessai)\b", second) and not module(second):
            yield f"there is no module {second}"
    if words[:1] == ("make",):
        for target in words[1:]:
            if re.fullmatch(r"[a-z]+", target) and not re.search(rf"^{target}:", MAKEFILE, re.MULTILINE):
                yield f"make has no target {target}"


def there(path: str) -> bool:
    """True for a file of the repository, and for one that is made by copying an example."""
    if "*" in path:
        return any(ROOT.glob(path))
    file = ROOT / path
    template = file.with_name(f"{file.stem}.example{file.suffix}")
    return file.exists() or template.exists() or path == "config/.env" or file.stem == "ID"


def module(name: str) -> bool:
    """True for a module of ours that can be run."""
    file = ROOT / ("src" if name.startswith("bessai") else "") / name.replace(".", "/")
    return file.with_suffix(".py").exists() or (file / "__main__.py").exists()


def test_variables_are_settings() -> None:
    known = {name.upper() for name in Settings.model_fields} | OTHER_VARIABLES | of_containers()
    families = {name.partition("_")[0] for name in known if "_" in name}
    problems = []
    for page, text in READ.items():
        unknown = {name for name in variables(text, families) - known if not name.startswith("OTEL_")}
        problems += [f"{page.relative_to(ROOT)}: {name}" for name in sorted(unknown)]
    assert not problems, "\n".join(problems)


def of_containers() -> set[str]:
    """Variables that the files of `infrastructure` take."""
    files = (file for file in (ROOT / "infrastructure").rglob("*.y*ml") if file.is_file())
    return {
        name
        for file in files
        for name in re.findall(r"\$\{([A-Z][A-Z0-9_]+)", file.read_text(encoding="utf-8"))
    }


def variables(text: str, families: set[str]) -> set[str]:
    """Names that are given a value, and names in sentences that begin as a setting does."""
    codes = [code for _, code in inline(text)]
    named = set(re.findall(r"(?<![\w-])([A-Z][A-Z0-9]*_[A-Z0-9_]+)=", "\n".join(codes)))
    for block in blocks(text):
        if block.kind in {"", *SHELL}:
            named |= set(
                re.findall(r"^(?:\$ )?(?:# )?(?:export |.*env )?([A-Z][A-Z0-9_]+)=", block.text, re.MULTILINE)
            )
    single = {code for code in codes if re.fullmatch(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+", code)}
    return named | {name for name in single if name.partition("_")[0] in families}


def test_wrong_variables_are_seen() -> None:
    text = "`SITE_NAME`, `M_SP_NA_1`, `JOURNAL_SIZE=3`\n```sh\nexport DATA_DRI=x\n```\n"
    assert variables(text, {"SITE", "DATA"}) == {"SITE_NAME", "JOURNAL_SIZE", "DATA_DRI"}


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("bessai statuss", "has no command statuss"),
        ("bessai journal tale", "has no command tale"),
        ("bessai status --quick", "has no option --quick"),
        ("bessai request --power much --for 1m --reason x", "must be a number"),
        ("bessai alarms shelve soc_low --reason x", "needs --for"),
        ("bessai user add ana --role king", "may be viewer"),
        ("bessai probe", "needs 1 arguments"),
        ("bessai replay a b", "takes 1 arguments"),
        ("sudo -u bessai env DATA_DIR=/x /opt/bessai/bin/bessai statuss", "has no command statuss"),
    ],
)
def test_wrong_commands_are_seen(line: str, problem: str) -> None:
    (one,) = typed(f"```sh\n{line}\n```\n")
    words = bessai(one.words)
    assert words is not None
    assert problem in (wrong(words, whole=True) or "")


def test_enough_is_looked_at() -> None:
    found = [bessai(one.words) for text in READ.values() for one in typed(text)]
    assert sum(words is not None for words in found) > 200
    assert {*missing(("make", "nothing", "docs/nothing.md", "-m", "benchmarks.nothing"))} == {
        "there is no docs/nothing.md", "there is no module benchmarks.nothing", "make has no target nothing",
    }  # fmt: skip
