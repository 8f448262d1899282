"""A page that is carried out from top to bottom: labelled blocks become files, quoted commands are run among them."""

from __future__ import annotations

import os
import re
from pathlib import Path
from unittest import mock

from tests.harness.sessions import requoted, run

_PART = re.compile(r"^```(\w+)[ ]?([\w./-]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_CHANGING = (
    (re.compile(r"\b[0-9]{8}-[0-9]{6}-[0-9a-f]{6,20}\b"), "20260301-101500-3f9a0c"),
    (re.compile(r'"(seconds|at)": [0-9.e-]+'), r'"\1": 0.0'),
)


def carried_out(text: str, folder: Path) -> str:
    """Return a page with what its commands print in a folder that has its files, as they are by then."""

    def part(match: re.Match[str]) -> str:
        language, name, body = match.groups()
        if language == "console":
            return requoted(match[0], lambda command, _: _settled(run(command, folder)[1]))
        if name:
            (folder / name).write_text(body, encoding="utf-8")
        return match[0]

    with mock.patch.dict(os.environ, MASDSL_DATA=str(folder / "data"), MASDSL_CACHE=str(folder / "cache")):
        return _PART.sub(part, text)


def _settled(printed: str) -> str:
    for pattern, instead in _CHANGING:
        printed = pattern.sub(instead, printed)
    return printed
