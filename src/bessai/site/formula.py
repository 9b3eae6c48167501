"""Formulas over points: a small expression language with no way to anything but numbers.

    parse("pcs_1.active_power - meter.grid_power").names    # ("pcs_1.active_power", "meter.grid_power")
    parse("max(a, b) * 0.5").evaluate([1.0, 4.0])           # 2.0

Python's parser reads it, nothing of Python runs it: only the node types listed here are understood, and each
becomes a closure over a list of numbers.
"""

from __future__ import annotations

import ast
import difflib
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass

MAX_LENGTH = 500
MAX_DEPTH = 40

_Function = Callable[[Sequence[float]], float]

_BINARY: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_COMPARE: dict[type[ast.cmpop], Callable[[float, float], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_CALLS: dict[str, tuple[Callable[..., float], int, int]] = {
    "min": (min, 2, 50),
    "max": (max, 2, 50),
    "abs": (abs, 1, 1),
}
"""Function, fewest and most arguments."""


class FormulaError(ValueError):
    """A formula that is not understood; says which part and what may stand there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Formula:
    """A formula, ready to be evaluated."""

    text: str
    names: tuple[str, ...]
    """The points that it needs, each once, in the order of the numbers that `evaluate` takes."""
    evaluate: _Function
    """The result; NaN where it is not defined, as in a division by zero."""


def parse(text: str) -> Formula:
    """Read a formula.

    Raises:
        FormulaError: it is too long, too deep, no expression, or uses what is not allowed.
    """
    if len(text) > MAX_LENGTH:
        raise FormulaError(f"is longer than {MAX_LENGTH} characters; split it into several points")
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        where = f" at column {error.offset}" if isinstance(error, SyntaxError) and error.offset else ""
        raise FormulaError(f"is no formula{where}: write for example `pcs_1.active_power * 0.5`") from None
    names: dict[str, int] = {}
    function = _compile(tree.body, names, 0)

    def evaluate(values: Sequence[float]) -> float:
        try:
            return float(function(values))
        except (ZeroDivisionError, OverflowError):
            return float("nan")

    return Formula(text=text, names=tuple(names), evaluate=evaluate)


def _compile(node: ast.expr, names: dict[str, int], depth: int) -> _Function:
    if depth > MAX_DEPTH:
        raise FormulaError(f"is nested deeper than {MAX_DEPTH} levels; split it into several points")

    def inner(part: ast.expr) -> _Function:
        return _compile(part, names, depth + 1)

    match node:
        case ast.Constant(value=value) if isinstance(value, int | float) and not isinstance(value, bool):
            try:
                number = float(value)
            except OverflowError:
                raise FormulaError("holds a number of more than 300 digits; that is no quantity") from None
            return lambda _: number
        case ast.Name() | ast.Attribute():
            i = names.setdefault(_name(node), len(names))
            return lambda values: values[i]
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            return _pair(_BINARY[type(op)], inner(left), inner(right))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            negated = inner(operand)
            return lambda values: -negated(values)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return inner(operand)
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARE:
            return _pair(_COMPARE[type(op)], inner(left), inner(right))
        case ast.IfExp(test=test, body=body, orelse=orelse):
            condition, yes, no = inner(test), inner(body), inner(orelse)
            return lambda values: yes(values) if condition(values) else no(values)
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
            return _call(name, arguments, inner)
    raise FormulaError(
        f"{ast.unparse(node)!r} may not stand there: use numbers, points, + - * / ( ), one comparison, "
        "min, max, abs and `a if b else c`"
    )


def _pair(operation: Callable[[float, float], float], left: _Function, right: _Function) -> _Function:
    return lambda values: operation(left(values), right(values))


def _call(name: str, given: list[ast.expr], inner: Callable[[ast.expr], _Function]) -> _Function:
    if name not in _CALLS:
        near = difflib.get_close_matches(name, _CALLS, 1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(_CALLS)}"
        raise FormulaError(f"there is no function {name!r}; {hint}")
    function, fewest, most = _CALLS[name]
    if not fewest <= len(given) <= most:
        raise FormulaError(f"{name} takes {'one value' if most == 1 else f'{fewest} to {most} values'}")
    arguments = [inner(part) for part in given]
    return lambda values: function(*(argument(values) for argument in arguments))


def _name(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=ast.Name(id=device), attr=point):
            return f"{device}.{point}"
    raise FormulaError(f"{ast.unparse(node)!r} is no point; write `device.point`, or a point of the plant")
