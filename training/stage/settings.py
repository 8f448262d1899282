"""Configurations of the commands of `training`: TOML read into frozen types, with every mistake at its line.

    class Training(NamedTuple):
        learning_rate: Annotated[float, Range(above=0)] = 2e-4
        schedule: Literal["cosine", "linear"] = "cosine"

    class Settings(NamedTuple):
        data: Data
        training: Training = Training()
        evaluation: Evaluation | None = None      # None where there is no table [evaluation]

    settings = read_settings("sft.toml", Settings)

A field is a table (a NamedTuple), a text, a number, true or false, a list of one of these (`tuple[X, ...]`), free names
(`Mapping[str, X]`), or one of some words (`Literal`). A field without a default is needed. A table that has a method
`contradiction` is asked for what does not fit together.
"""

from __future__ import annotations

import math
import os
import re
import tomllib
import types
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, NamedTuple, TypeAlias, TypeVar, Union, get_args, get_origin
from typing import get_type_hints as _hints_of

from masdsl.batch.rows import HUB
from masdsl.config.places import Places
from masdsl.diagnostics.suggest import nearest
from training.stage.faults import TrainingFault

T = TypeVar("T")


class SettingsFault(TrainingFault):
    """A configuration that cannot be used; the text has a line for each mistake, with its place."""


class Range(NamedTuple):
    """What a number may be: at least, at most, and more than (`above`)."""

    least: float | None = None
    most: float | None = None
    above: float | None = None

    def fault(self, value: float) -> str:
        """Return why a number is none of the range; empty where it is one."""
        if self.least is not None and value < self.least:
            return f"it is at least {self.least:g}"
        if self.above is not None and value <= self.above:
            return f"it is more than {self.above:g}"
        if self.most is not None and value > self.most:
            return f"it is at most {self.most:g}"
        return ""


class Place(NamedTuple):
    """Marks a text as a path from the folder of the configuration, made absolute; `words` and `hf:` names stay."""

    words: tuple[str, ...] = ()


Path: TypeAlias = Annotated[str, Place()]
Count: TypeAlias = Annotated[int, Range(least=0)]
Positive: TypeAlias = Annotated[int, Range(least=1)]

_KINDS: Final[Mapping[Any, tuple[str, str]]] = {
    str: ("a text", '"..."'),
    int: ("a whole number", "1"),
    float: ("a number", "0.1"),
    bool: ("true or false", "true"),
}


def read_settings(path: str, kind: type[T]) -> T:
    """Return a configuration as `kind`, a NamedTuple of tables.

    Raises SettingsFault for a file that cannot be read or is no TOML, names that are not known, what is missing, and
    values of the wrong kind or out of range: all that there are, each with its line.
    """
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except OSError as error:
        raise SettingsFault(f"the configuration {path} cannot be read: {error.strerror or error}") from None
    except ValueError as error:  # not UTF-8, or a zero byte in the path
        raise SettingsFault(f"the configuration {path!r} cannot be read: {error}") from None
    try:
        data = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        found = re.search(r" \(at line (\d+), column (\d+)\)$", str(error))
        where = f"{path}:{found[1]}" if found else path
        what = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise SettingsFault(f"{where}: no TOML: {what[: found.start()] if found else what}; mend that line") from None
    reader = _Reader(path, text)
    made: T = reader.table((), data, kind)
    if reader.faults:
        raise SettingsFault("\n".join(told for _, told in sorted(reader.faults)))
    return made


def settings_json(value: Any) -> Any:
    """Return settings as JSON data, for manifests."""
    if hasattr(value, "_asdict"):
        return {name: settings_json(one) for name, one in value._asdict().items()}
    if isinstance(value, Mapping):
        return {name: settings_json(one) for name, one in value.items()}
    return [settings_json(one) for one in value] if isinstance(value, tuple) else value


_Keys = tuple[str, ...]


class _Reader:
    """Reads one file; what is wrong is gathered in `faults`, with its line."""

    def __init__(self, path: str, text: str) -> None:
        self._path, self._text, self._places = path, text, Places(text)
        self._folder = os.path.dirname(os.path.abspath(path))
        self.faults: list[tuple[int, str]] = []

    def _tell(self, at: _Keys, what: str) -> None:
        line = self._text.count("\n", 0, self._places.key(at).start) + 1
        self.faults.append((line, f"{self._path}:{line}: {what}"))

    def table(self, at: _Keys, data: Mapping[str, Any], kind: Any) -> Any:
        """Return a table as its type; None, and a fault told, where it cannot be."""
        hints = _hints_of(kind, include_extras=True)
        before = len(self.faults)
        for name in data:
            if name not in hints:
                self._unknown((*at, name), hints)
        values = {}
        for name, hint in hints.items():
            if name in data:
                values[name] = self.value((*at, name), data[name], hint)
            elif name not in kind._field_defaults and _is_table(hint):
                values[name] = self.table((*at, name), {}, hint)
            elif name not in kind._field_defaults:
                self._tell(at, f"{_shown(at)} needs `{name}`; write {name} = {_example(hint)}")
        if len(self.faults) > before:
            return None
        made = kind(**values)
        found = made.contradiction() if hasattr(kind, "contradiction") else None
        if found:
            self._tell((*at, found[0]), f"{_shown(at)} {found[0]}: {found[1]}")
        return made

    def _unknown(self, at: _Keys, hints: Mapping[str, Any]) -> None:
        *above, name = at
        known = [one for one, hint in hints.items() if above or _is_table(hint)]
        near = nearest(name, known)
        told = f"did you mean `{near}`?" if near else f"there are {', '.join(known)}"
        if above:
            self._tell(at, f"{_shown(tuple(above))} has no key `{name}`; {told}")
        else:
            self._tell(at, f"there is no table [{name}]; {told}")

    def value(self, at: _Keys, value: object, hint: Any) -> Any:
        """Return a value as its type has it; None, and a fault told, where it is none."""
        origin, parts = get_origin(hint), get_args(hint)
        if origin is Annotated:
            return self._marked(at, value, parts[0], parts[1:])
        if origin in (Union, types.UnionType):
            return self.value(at, value, next(part for part in parts if part is not type(None)))
        if origin is Literal:
            if value not in parts or type(value) not in {type(part) for part in parts}:
                near = nearest(value, parts) if isinstance(value, str) else None
                told = f"; did you mean {near!r}?" if near else ""
                self._tell(at, f"{_named(at)} = {_written(value)}: it is one of {', '.join(map(str, parts))}{told}")
            return value
        if _is_table(hint):
            return self.table(at, value, hint) if isinstance(value, dict) else self._wrong(at, value, "a table")
        if origin is tuple:
            if not isinstance(value, list):
                return self._wrong(at, value, f"a list, such as [{_example(parts[0])}]")
            return tuple(self.value(at, one, parts[0]) for one in value)
        if hint is Any:
            return value
        if origin is not None and issubclass(origin, Mapping):
            if not isinstance(value, dict):
                return self._wrong(at, value, f"a table, such as {{ name = {_example(parts[1])} }}")
            return {name: self.value((*at, name), one, parts[1]) for name, one in value.items()}
        if hint is float and type(value) is int:
            value = float(value)
        if type(value) is not hint or (isinstance(value, float) and not math.isfinite(value)):
            what, example = _KINDS[hint]
            return self._wrong(at, value, f"{what}, such as {example}")
        return value

    def _marked(self, at: _Keys, value: object, hint: Any, marks: tuple[Any, ...]) -> Any:
        before = len(self.faults)
        made = self.value(at, value, hint)
        if len(self.faults) > before:
            return None
        for mark in marks:
            if isinstance(mark, Range):
                fault = mark.fault(made)
                if fault:
                    self._tell(at, f"{_named(at)} = {_written(value)}: {fault}")
            elif isinstance(mark, Place) and not made:
                self._tell(at, f"{_named(at)} is empty; write a path")
            elif isinstance(mark, Place) and made not in mark.words and not made.startswith(HUB):
                made = os.path.normpath(os.path.join(self._folder, os.path.expanduser(made)))
        return made

    def _wrong(self, at: _Keys, value: object, wanted: str) -> None:
        self._tell(at, f"{_named(at)} = {_written(value)}: what is needed is {wanted}")


def _is_table(hint: Any) -> bool:
    if get_origin(hint) in (Union, types.UnionType):
        return any(_is_table(part) for part in get_args(hint))
    return isinstance(hint, type) and issubclass(hint, tuple) and hasattr(hint, "_fields")


def _example(hint: Any) -> str:
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return '"a/path"' if any(isinstance(mark, Place) for mark in parts[1:]) else _example(parts[0])
    if origin is Literal:
        return _written(parts[0])
    if origin is tuple:
        return f"[{_example(parts[0])}]"
    return _KINDS[hint][1] if hint in _KINDS else "{ .. }"


def _shown(at: _Keys) -> str:
    return f"[{'.'.join(at)}]" if at else "the configuration"


def _named(at: _Keys) -> str:
    return f"{_shown(at[:-1])} {at[-1]}" if at[:-1] else f"[{at[-1]}]"


def _written(value: object) -> str:
    """Return a value about as TOML writes it, shortened."""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = f'"{value}"' if isinstance(value, str) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
