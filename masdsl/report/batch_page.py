"""The page about a batch: its report, which is Markdown of a few forms (`masdsl/batch/report.py`), and its plot."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Sequence
from typing import Final

from masdsl.report.html import STYLE, page, plain, table

_ESCAPED: Final = re.compile(r"\\(.)")
_CELLS: Final = re.compile(r"(?<!\\)\|")
_CODE: Final = re.compile(r"`([^`]*)`")


def render(title: str, text: str, plot: bytes | None) -> str:
    """Return the page for the report `text`; `plot` is an SVG document, shown as an image, in which nothing can run."""
    return page(title, _body(text.split("\n"), plot), (STYLE,))


def _body(lines: Sequence[str], plot: bytes | None) -> Iterator[str]:
    yield "<main>"
    said: list[str] = []
    rows: list[list[str]] = []
    right: tuple[int, ...] = ()
    for line in (*lines, ""):
        if line.startswith("|"):
            cells = [cell.strip() for cell in _CELLS.split(line)[1:-1]]
            if all(set(cell) <= {"-", ":"} and cell for cell in cells):
                right = tuple(at for at, cell in enumerate(cells) if cell.endswith(":"))
            else:
                rows.append([_inline(cell) for cell in cells])
            continue
        if rows:
            yield table(rows[0], rows[1:], right)
            rows = []
        if line.startswith("#"):
            level = min(len(line) - len(line.lstrip("#")), 3)
            yield f"<h{level}>{_inline(line.lstrip('# '))}</h{level}>"
        elif line.startswith("!["):
            if plot is not None:
                data = base64.b64encode(plot).decode("ascii")
                yield f'<img alt="accuracy against the cost of a run" src="data:image/svg+xml;base64,{data}">'
        elif line.strip():
            said.append(_inline(line))
            continue
        if said:
            yield f"<p>{' '.join(said)}</p>"
            said = []
    yield "</main>"


def _inline(text: str) -> str:
    """Return a line as HTML: texts between backquotes as code, escapes taken back."""
    parts = _CODE.split(text)
    shown = (plain(_ESCAPED.sub(r"\1", part)) for part in parts)
    return "".join(f"<code>{part}</code>" if number % 2 else part for number, part in enumerate(shown))
