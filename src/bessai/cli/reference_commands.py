"""`docs/reference/cli.md`, made from the commands."""

from __future__ import annotations

import enum
import inspect
import typing
from collections.abc import Iterator
from typing import Any

import typer

from bessai.registry.schema_docs import cell

_HEAD = """# Commands

Made from the code by `bessai reference cli`; edit the help texts in `src/bessai/cli`, not this page.

`bessai COMMAND --help` prints the same on a terminal. `bessai --version` tells the version. Where nothing else is said,
exit code 0 is success, 1 a failure and 2 a wrong argument or setting.
"""


def commands_markdown() -> str:
    """The page, ending with a line break."""
    from bessai.cli.app import make_app

    lines = [_HEAD]
    for name, command in _leaves(typer.main.get_command(make_app())):
        lines += [f"## {name}", "", *_section(name, command)]
    return "\n".join(lines)


def _leaves(command: Any, name: str = "bessai") -> Iterator[tuple[str, Any]]:
    """Every command that does something, with its whole name."""
    inner = getattr(command, "commands", None)
    if inner is None or (name != "bessai" and len(command.params) > 0):
        yield name, command  # a group with options of its own does something alone, too
    for word, one in (inner or {}).items():
        if not one.hidden:
            yield from _leaves(one, f"{name} {word}")


def _section(name: str, command: Any) -> Iterator[str]:
    yield "\n".join(line.strip() for line in (command.help or "").strip().splitlines())
    yield ""
    told = _annotations(command)
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    options = [one for one in command.params if one.param_type_name == "option" and not one.hidden]
    usage = " ".join([name, *(_usage(one) for one in arguments), *(["[OPTIONS]"] if options else [])])
    yield f"```text\n{usage}\n```"
    yield ""
    if arguments or options:
        yield "| | default | meaning |"
        yield "|---|---|---|"
        for one in (*arguments, *options):
            yield f"| {_spelling(one, told)} | {_default(one)} | {cell(one.help or '')} |"
        yield ""


def _usage(argument: Any) -> str:
    word = argument.metavar or argument.name.upper()
    return word if argument.required else f"[{word}]"


def _spelling(parameter: Any, told: dict[str, Any]) -> str:
    if parameter.param_type_name == "argument":
        return cell(f"`{parameter.metavar or parameter.name.upper()}`")
    names = " ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))
    value = "" if parameter.is_flag else f" {_kind(parameter, told.get(parameter.name))}"
    more = ", may be repeated" if parameter.multiple else ""
    return f"{names}{value}{more}" + (" (required)" if parameter.required else "")


def _kind(parameter: Any, told: Any) -> str:
    """What is given after an option."""
    if parameter.metavar:
        return cell(f"`{parameter.metavar}`")
    for kind in (told, *typing.get_args(told)):
        if isinstance(kind, type) and issubclass(kind, enum.Enum):
            return ", ".join(f"`{one.value}`" for one in kind)
        if typing.get_origin(kind) is typing.Literal:
            return ", ".join(f"`{one}`" for one in typing.get_args(kind))
    return f"`{parameter.name.upper()}`"


def _default(parameter: Any) -> str:
    if isinstance(parameter.show_default, str):
        return parameter.show_default
    value = parameter.default
    if (
        value is None
        or callable(value)
        or isinstance(value, bool)
        or not parameter.show_default
        or value in ([], ())
    ):
        return ""
    return f"`{value.value if isinstance(value, enum.Enum) else value}`"


def _annotations(command: Any) -> dict[str, Any]:
    """The types of its parameters as the function says them."""
    try:
        return typing.get_type_hints(inspect.unwrap(command.callback))
    except (NameError, TypeError):  # imported for type checkers only
        return {}
