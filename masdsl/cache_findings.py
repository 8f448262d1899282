"""Findings as JSON, and back: what a renderer asks of a diagnostic, with the answers as they were.

A diagnostic that comes back has a class derived from that of its code, so that its page is found, but none of its
fields: what it says is what it said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any, NamedTuple

from masdsl.diagnostics.base import ERROR, WARNING, Diagnostic, Finding, Fix, Label, Suppressed
from masdsl.node import Span
from masdsl.source import Source


class _Said(NamedTuple):
    """What a diagnostic answered; see `Diagnostic`."""

    title: str
    label: str
    help: str
    labels: tuple[Label, ...]
    fix: Fix | None


@cache
def _recalled_kind(code: str, severity: str) -> type[Diagnostic]:
    """Return the class of diagnostics of a code that are recalled. Raises LookupError for a code that is none."""
    from masdsl.diagnostics.catalogue import find_code

    kind = find_code(code)
    if kind.code != code or severity not in (ERROR, WARNING):
        raise LookupError(code)

    def reduce(self: Any) -> tuple[Any, ...]:
        return _recalled, (code, severity, self.said, self.span)

    body = {
        "__annotations__": {"said": _Said},
        "__doc__": kind.__doc__,
        "__module__": kind.__module__,
        "__reduce__": reduce,
        "severity": severity,
        **{part: _answer(part) for part in _Said._fields},
    }
    make: Any = type(kind)
    made: type[Diagnostic] = make(kind.__name__, (kind,), body)
    made._fields = ("said",)
    return made


def _answer(part: str) -> Callable[[Any], Any]:
    return lambda self: getattr(self.said, part)


def _recalled(code: str, severity: str, said: _Said, span: Span) -> Diagnostic:
    made = object.__new__(_recalled_kind(code, severity))
    object.__setattr__(made, "said", said)
    object.__setattr__(made, "span", span)
    return made


def to_json(finding: Finding) -> list[Any]:
    """Return a finding as a JSON value; its source is only named."""
    source, diagnostic = finding
    fix = diagnostic.fix()
    return [
        source.name,
        diagnostic.span,
        diagnostic.code,
        diagnostic.severity,
        diagnostic.title(),
        diagnostic.label(),
        diagnostic.help(),
        diagnostic.labels(),
        None if fix is None else fix._asdict(),
    ]


def from_json(value: Sequence[Any], source_of: Callable[[str], Source]) -> Finding:
    """Return the finding that `to_json` wrote. `source_of` finds the source by its name.

    Raises TypeError, ValueError or LookupError for anything else than such a value.
    """
    name, span, code, severity, title, label, help_text, labels, fix = value
    said = _Said(
        _text(title),
        _text(label),
        _text(help_text),
        tuple(Label(_span(at), _text(text)) for at, text in labels),
        None if fix is None else _fix(fix),
    )
    return Finding(source_of(_text(name)), _recalled(_text(code), _text(severity), said, _span(span)))


def allowed_to_json(allowed: Iterable[Suppressed]) -> list[Any]:
    """Return suppressed findings as a JSON value."""
    return [[to_json(one.finding), one.reason, one.external] for one in allowed]


def allowed_from_json(values: Sequence[Any], source_of: Callable[[str], Source]) -> tuple[Suppressed, ...]:
    """Return what `allowed_to_json` wrote; raises like `from_json`."""
    return tuple(
        Suppressed(from_json(finding, source_of), _text(reason), bool(external)) for finding, reason, external in values
    )


def _fix(value: dict[str, Any]) -> Fix:
    replacements = tuple((_span(at), _text(text)) for at, text in value["replacements"])
    return Fix(**{**value, "replacements": replacements})


def _span(value: Sequence[Any]) -> Span:
    start, end = value
    if not isinstance(start, int) or not isinstance(end, int) or not 0 <= start <= end:
        raise ValueError("no range of a text")
    return Span(start, end)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("no text")
    return value
