"""Memory as plain data and back: exact, so that a restored component behaves bit for bit like the one before.

`to_plain` turns a dataclass of plain fields into what JSON holds; `from_plain` makes the same dataclass of it, led
by its annotations. Floats stay themselves (JSON writes their shortest exact form; infinities and NaN as Python's
`json` does). Through JSON every NaN becomes the one usual NaN: no rule may depend on its hidden bits.

A field may be: float, int, bool, str, None, an Enum, a tuple, list, frozenset or dict of such, a dataclass of such,
`Any` for what is plain already, and a union of one of these with None (or of scalars).
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from functools import cache
from operator import attrgetter
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

T = TypeVar("T")

_SCALARS = (float, int, bool, str, type(None))
_Encode = Callable[[Any], Any]
_Decode = Callable[[Any, str, "list[str] | None"], Any]


class MemoryFormatError(ValueError):
    """Plain data that does not fit the class it should become; the message names the field."""


def to_plain(value: object) -> Any:
    """The value as dicts, lists and scalars; nothing in it is shared with the value, except immutable scalars.

    Raises:
        TypeError: something in it is not plain, see this module.
    """
    return _by_value(value)


def from_plain(cls: type[T], data: object, notes: list[str] | None = None) -> T:
    """The value of `cls` that `to_plain` made `data` of.

    Args:
        cls: a dataclass, or any annotation that a field may have.
        data: plain data, as it comes from JSON.
        notes: when given, fields that one side lacks are noted there, not errors: data of another version.

    Raises:
        MemoryFormatError: the data does not fit.
    """
    hint: Any = cls
    return cast("T", _decoder(hint)(data, getattr(cls, "__name__", str(cls)), notes))


@cache
def _hints(cls: type) -> dict[str, Any]:
    return get_type_hints(cls)


def _same(value: Any) -> Any:
    return value


@cache
def _encoder(hint: Any) -> _Encode:
    """How a value of an annotation becomes plain; `_same` when it is plain already."""
    if hint in _SCALARS or hint is None:
        return _same
    origin, args = get_origin(hint), get_args(hint)
    if origin is Literal:
        return _same
    if origin in {Union, types.UnionType}:
        if all(arg in _SCALARS for arg in args):
            return _same
        inner = [arg for arg in args if arg is not type(None)]
        one = _encoder(inner[0]) if len(inner) == 1 else _by_value
        return lambda value: None if value is None else one(value)
    if isinstance(hint, type):
        if issubclass(hint, Enum):
            return lambda member: member.value
        if is_dataclass(hint):
            return _dataclass_encoder(hint)
        if issubclass(hint, float):  # numpy's own float
            return float
    kind = origin or hint
    if kind in {tuple, list, Sequence}:
        item = _item(hint)
        return list if item is _same else lambda values: [item(value) for value in values]
    if kind in {set, frozenset}:
        item = _item(hint)
        return lambda values: sorted(item(value) for value in values)
    if kind in {dict, Mapping, types.MappingProxyType}:
        return _dict_encoder(args)
    if hint is Any or hint is object:
        return _by_value
    raise TypeError(f"{hint} is not plain: memory holds scalars, enums, lists, tuples, dicts and dataclasses")


def _item(hint: Any) -> _Encode:
    args = [arg for arg in get_args(hint) if arg is not Ellipsis]
    encoders = {_encoder(arg) for arg in args}
    return encoders.pop() if len(encoders) == 1 else _by_value


def _by_value(value: Any) -> Any:
    kind: Any = type(value)
    if kind is object:
        raise TypeError(f"{value} is not plain")
    return _encoder(kind)(value)


def _dict_encoder(args: tuple[Any, ...]) -> _Encode:
    key, item = (_encoder(args[0]), _encoder(args[1])) if args else (_by_value, _by_value)
    if not args:
        return lambda mapping: {_text(name): item(value) for name, value in mapping.items()}
    if args[0] is not str:  # JSON has text keys only
        return lambda mapping: [[key(name), item(value)] for name, value in mapping.items()]
    if item is _same:
        return dict
    return lambda mapping: {name: item(value) for name, value in mapping.items()}


def _text(name: object) -> str:
    if not isinstance(name, str):
        raise TypeError(f"a key {name!r} of a dict without annotation is no text: annotate the field")
    return name


def _dataclass_encoder(cls: type) -> _Encode:
    hints = _hints(cls)
    names = [field.name for field in fields(cls) if field.init]
    if not names:
        return lambda _: {}
    special = [(name, encode) for name in names if (encode := _encoder(hints[name])) is not _same]
    if len(names) == 1:
        (only,) = names
        encode = special[0][1] if special else _same
        return lambda value: {only: encode(getattr(value, only))}
    values = attrgetter(*names)

    def encoded(value: Any) -> dict[str, Any]:
        plain = dict(zip(names, values(value), strict=True))
        for name, encode in special:
            plain[name] = encode(plain[name])
        return plain

    return encoded


@cache
def _decoder(hint: Any) -> _Decode:
    """How plain data becomes a value of an annotation."""
    if hint is Any or hint is object:
        return lambda data, _where, _notes: data
    if hint in _SCALARS or hint is None:
        return _scalar_decoder((type(None) if hint is None else hint,))
    origin, args = get_origin(hint), get_args(hint)
    if origin is Literal:
        return _literal_decoder(args)
    if origin in {Union, types.UnionType}:
        if all(arg in _SCALARS for arg in args):
            return _scalar_decoder(args)
        inner = [arg for arg in args if arg is not type(None)]
        if len(inner) != 1:
            raise TypeError(
                f"{hint}: only scalars may share a union, plain data does not tell the others apart"
            )
        one = _decoder(inner[0])
        return lambda data, where, notes: None if data is None else one(data, where, notes)
    if isinstance(hint, type):
        if issubclass(hint, Enum):
            return _enum_decoder(hint)
        if is_dataclass(hint):
            return _dataclass_decoder(hint)
    kind = origin or hint
    if kind in {tuple, list, Sequence, set, frozenset}:
        return _list_decoder(list if kind is list else kind if kind in {set, frozenset} else tuple, args)
    if kind in {dict, Mapping}:
        return _dict_decoder(args or (str, Any))
    raise TypeError(f"{hint} is not plain: memory holds scalars, enums, lists, tuples, dicts and dataclasses")


def _wrong(where: str, data: object, wanted: str) -> MemoryFormatError:
    text = repr(data)
    return MemoryFormatError(f"{where}: {text if len(text) < 60 else text[:57] + '…'} is no {wanted}")


def _scalar_decoder(allowed: tuple[type, ...]) -> _Decode:
    whole = {*allowed, int} if float in allowed else set(allowed)
    name = " or ".join(kind.__name__ for kind in allowed)

    def decoded(data: Any, where: str, _: list[str] | None) -> Any:
        if type(data) not in whole:
            raise _wrong(where, data, name)
        return data

    return decoded


def _literal_decoder(allowed: tuple[Any, ...]) -> _Decode:
    def decoded(data: Any, where: str, _: list[str] | None) -> Any:
        if data not in allowed:
            raise _wrong(where, data, f"one of {allowed}")
        return data

    return decoded


def _enum_decoder(cls: type[Enum]) -> _Decode:
    def decoded(data: Any, where: str, _: list[str] | None) -> Enum:
        try:
            return cls(data)
        except ValueError:
            raise _wrong(where, data, cls.__name__) from None

    return decoded


def _list_decoder(kind: type, args: tuple[Any, ...]) -> _Decode:
    fixed = kind is tuple and bool(args) and Ellipsis not in args
    items = [_decoder(arg) for arg in args if arg is not Ellipsis] or [_decoder(Any)]

    def decoded(data: Any, where: str, notes: list[str] | None) -> Any:
        if not isinstance(data, list | tuple) or (fixed and len(data) != len(items)):
            raise _wrong(where, data, f"list of {len(items)}" if fixed else "list")
        each = items if fixed else items * len(data)
        return kind(
            item(value, f"{where}[{i}]", notes)
            for i, (item, value) in enumerate(zip(each, data, strict=True))
        )

    return decoded


def _dict_decoder(args: tuple[Any, ...]) -> _Decode:
    key, item, text = _decoder(args[0]), _decoder(args[1]), args[0] in {str, Any}

    def decoded(data: Any, where: str, notes: list[str] | None) -> dict[Any, Any]:
        if not isinstance(data, dict if text else list):
            raise _wrong(where, data, "dict" if text else "list of pairs")
        pairs: Any = data.items() if isinstance(data, dict) else data
        try:
            return {
                key(name, where, notes): item(value, f"{where}[{name!r}]", notes) for name, value in pairs
            }
        except MemoryFormatError:
            raise
        except (TypeError, ValueError):
            raise _wrong(where, data, "list of pairs") from None

    return decoded


def _dataclass_decoder(cls: type) -> _Decode:
    hints = _hints(cls)
    members = [field for field in fields(cls) if field.init]
    decoders = {field.name: _decoder(hints[field.name]) for field in members}
    required = {f.name for f in members if f.default is MISSING and f.default_factory is MISSING}

    def decoded(data: Any, where: str, notes: list[str] | None) -> Any:
        if not isinstance(data, dict):
            raise _wrong(where, data, cls.__name__)
        unknown = [name for name in data if name not in decoders]
        missing = [name for name in decoders if name not in data]
        if (unknown or missing) and (notes is None or required.intersection(missing)):
            lacking = [*(f"{n} is unknown" for n in unknown), *(f"{n} is missing" for n in missing)]
            raise MemoryFormatError(f"{where}: {'; '.join(lacking)}")
        if notes is not None:
            notes += [f"{where}.{name} is not known today" for name in unknown]
            notes += [f"{where}.{name} was not recorded" for name in missing]
        return cls(
            **{
                name: decode(data[name], f"{where}.{name}", notes)
                for name, decode in decoders.items()
                if name in data
            }
        )

    return decoded
