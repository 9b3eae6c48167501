"""Looks through the source for the sentences that the gateway can say at work.

Every text with a space in it counts as a sentence, or as a part of one, unless it is a docstring, goes to the log alone
or names a task. What the code fills in is `{}`. A choice within a text (`'is' if now else 'was'`) makes two of it.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator
from pathlib import Path

import bessai

SOURCE = Path(bessai.__file__).parent
SPEAKING = ("core", "grid", "drivers", "registry/sequences.py", "journal/writer.py")
"""Where sentences come from that status, decisions, events and refusals hand on."""
SILENT = {
    "core/alarm_memory.py": "of a state file that somebody changed; the start logs it",
    "core/approach.py": "settings",
    "core/black_box/calls.py": "of a replay, in the terminal",
    "core/black_box/frames.py": "of a replay, in the terminal",
    "core/black_box/reading.py": "of a replay, in the terminal",
    "core/destinations.py": "settings",
    "core/dynamics.py": "settings",
    "core/environment.py": "settings",
    "core/facts.py": "an error of the program",
    "core/limits/docs.py": "makes a page of the docs",
    "core/limits/loading.py": "of the limits file, at the start",
    "core/limits/merging.py": "of the limits file, at the start",
    "core/limits/reading.py": "of the limits file, at the start",
    "core/limits/safer.py": "of the limits file, at the start",
    "core/limits/schema.py": "of the limits file, at the start",
    "core/limits/signature.py": "of the limits file, at the start",
    "core/limits/sources.py": "where the presets come from, for the docs",
    "core/memory.py": "of a replay, in the terminal",
    "core/ownership.py": "stops the start, in the terminal",
    "core/replay.py": "of a replay, in the terminal",
    "core/settings.py": "settings",
    "core/settings_docs.py": "makes a page of the docs",
    "core/start.py": "stops the start, in the terminal",
    "core/supervisor.py": "names of processes",
    "core/write_limit.py": "settings",
    "drivers/probe": "of `bessai probe`, in the terminal",
    "grid/curves.py": "where the curves come from",
    "grid/docs.py": "makes a page of the docs",
    "grid/loading.py": "of the grid file, at the start",
    "grid/parameters.py": "has both languages itself",
    "grid/schema.py": "of the grid file, at the start",
}
"""What the files of these places say is never shown by a running gateway, and why."""
ONLY = {"core/limits/presets.py": "message", "core/fitting.py": "commands_nothing"}
"""Of these files only what is given or said under this name; the rest is for the docs, or stops the start."""
_LEAST = 2
"""Letters of a sentence."""


def sentences(home: Path = SOURCE, speaking: tuple[str, ...] = SPEAKING) -> dict[str, str]:
    """Every sentence, and the place of one that says it."""
    found: dict[str, str] = {}
    for place in speaking:
        for file in sorted((home / place).rglob("*.py")) if (home / place).is_dir() else [home / place]:
            name = file.relative_to(home).as_posix()
            if any(name == silent or name.startswith(f"{silent}/") for silent in SILENT):
                continue
            tree = ast.parse(file.read_text(encoding="utf-8"))
            nodes = _given(tree, ONLY[name]) if name in ONLY else [tree]
            for text, line in itertools.chain.from_iterable(map(_texts, nodes)):
                found.setdefault(text, f"{name}:{line}")
    return found


def _given(tree: ast.AST, name: str) -> list[ast.AST]:
    return [
        node.value if isinstance(node, ast.keyword) else node
        for node in ast.walk(tree)
        if (isinstance(node, ast.keyword) and node.arg == name)
        or (isinstance(node, ast.FunctionDef) and node.name == name)
    ]


def _texts(node: ast.AST) -> Iterator[tuple[str, int]]:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return  # a docstring
    if isinstance(node, ast.Call) and _aside(node):
        return
    if isinstance(node, ast.arg | ast.AnnAssign) and node.annotation is not None:
        if isinstance(node, ast.AnnAssign) and node.value is not None:
            yield from _texts(node.value)
        return
    rest: list[ast.expr] = []
    if isinstance(node, ast.AugAssign) and (more := _told(node.value, rest)) is not None:
        yield from ((f"{{}}{text}", node.lineno) for text in more if counts(text))
        return
    if not isinstance(node, ast.expr) or (told := _told(node, rest)) is None:
        for child in ast.iter_child_nodes(node):
            yield from _texts(child)
        return
    yield from ((text, node.lineno) for text in told if counts(text))
    for part in rest:  # what is filled in may be a sentence too
        yield from _texts(part)


def counts(text: str) -> bool:
    """Whether a text is a sentence, or a part of one."""
    return " " in text.strip() and sum(map(str.isalpha, text.replace("{}", ""))) >= _LEAST


def _aside(call: ast.Call) -> bool:
    """Said to the log, or the name of a task."""
    called = ast.unparse(call.func)
    if called.split(".")[0] in {"log", "_log", "_LOG", "logging"}:
        return True
    if called.endswith("create_task"):
        call.keywords = [keyword for keyword in call.keywords if keyword.arg != "name"]
    return False


def _told(node: ast.expr, rest: list[ast.expr]) -> list[str] | None:
    """What an expression can say, None when it is no text; what of it is made elsewhere is added to `rest`."""
    match node:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.JoinedStr(values=parts):
            pieces = [
                _piece(part.value if isinstance(part, ast.FormattedValue) else part, rest) for part in parts
            ]
        case ast.BinOp(op=ast.Add(), left=left, right=right):
            if _told(left, []) is None and _told(right, []) is None:
                return None
            pieces = [_piece(left, rest), _piece(right, rest)]
        case ast.IfExp(test=test, body=body, orelse=orelse):
            if _told(body, []) is None and _told(orelse, []) is None:
                return None
            rest.append(test)
            return [*_piece(body, rest), *_piece(orelse, rest)]
        case _:
            return None
    return ["".join(choice) for choice in itertools.product(*pieces)]


def _piece(node: ast.expr, rest: list[ast.expr]) -> list[str]:
    told = _told(node, rest)
    if told is None:
        rest.append(node)
    return ["{}"] if told is None else told
