"""The words that allow a finding, as comments and the configuration write them: `MAS702 the reason in words`."""

from __future__ import annotations

import re
from typing import NamedTuple

from masdsl.diagnostics.base import WARNING, Diagnostic
from masdsl.diagnostics.catalogue import RANGES, codes_of
from masdsl.diagnostics.suggest import nearest
from masdsl.node import Span

_ONE = r"[Mm][Aa][Ss][A-Za-z0-9]*[0-9][A-Za-z0-9]*"
_CODES = re.compile(rf"[ \t]*({_ONE}(?:[ \t]*,[ \t]*{_ONE})*)(?![A-Za-z0-9_])")
_CODE = re.compile(r"[A-Za-z0-9]+")
_BEFORE_REASON = " \t:;,.-\u2013\u2014"
ABOUT_ALLOWANCES = ("MAS721", "MAS722", "MAS723", "MAS724", "MAS725")


class Words(NamedTuple):
    """Codes and where each stands in the text, and the reason; it is empty where there is none."""

    codes: tuple[tuple[str, Span], ...]
    reason: str


def read_words(text: str, start: int = 0) -> Words | None:
    """Return the codes, separated by commas, and the reason of `text` from `start` on; None where no code stands first.

    A mark between the two, such as a colon, belongs to neither.
    """
    found = _CODES.match(text, start)
    if found is None:
        return None
    codes = tuple(
        (code[0], Span(code.start(), code.end())) for code in _CODE.finditer(text, found.start(1), found.end(1))
    )
    reason = text[found.end() :].strip().lstrip(_BEFORE_REASON)
    return Words(codes, reason if any(letter.isalpha() for letter in reason) else "")


def kind_of(code: str) -> type[Diagnostic] | None:
    """Return the class of a code, written as it is; None where there is no such code."""
    return codes_of(code[3]).get(code) if code[:3] == "MAS" and code[3:4] in RANGES else None


def near_code(code: str) -> str | None:
    """Return the warning that a code that does not exist may mean."""
    return nearest(code, (known for digit in RANGES for known, kind in codes_of(digit).items() if is_warning(kind)))


def is_warning(kind: type[Diagnostic]) -> bool:
    """Return whether findings of a class may be allowed: warnings, but for those about allowances themselves."""
    return kind.severity == WARNING and kind.code not in ABOUT_ALLOWANCES
