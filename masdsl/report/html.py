"""Pieces of pages: text as text, whatever it holds, and what is long folded away."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Sequence
from hashlib import sha256
from html import escape as escape_html
from json import dumps
from typing import Any, Final

from masdsl.diagnostics.escape import escape

LONG: Final = 1_200
"""Characters from which on a text is folded."""
MANY_LINES: Final = 20
LONGEST: Final = 250_000
"""Characters of one text that a page holds; what is longer is cut in its middle."""
WHOLE: Final = 12_000_000
"""Characters of all texts of a page together; after that, each is cut to `SHORT`."""
SHORT: Final = 400


_KEPT: Final = ("\n", "\t")
_LINES: Final = re.compile("([\n\t])")  # a part without these is looked at as a whole, not letter by letter


def plain(text: object) -> str:
    """Return a text as HTML that shows it, in attributes too; what does not show itself is spelled out."""
    shown = "".join(part if part in _KEPT else escape(part) for part in _LINES.split(str(text)))
    return escape_html(shown, quote=True)


class Texts:
    """Makes blocks of texts, and sees to it that a page stays one that a browser can show."""

    def __init__(self, rest: str) -> None:
        self._left = WHOLE
        self._rest = rest

    def block(self, text: str, label: str = "") -> str:
        """Return a text as a block, folded where it is long; `label` says what it is."""
        named = f'<p class="label">{plain(label)}</p>' if label else ""
        shown = self._cut(text)
        if len(text) <= LONG and text.count("\n") < MANY_LINES:
            return f"{named}<pre>{shown}</pre>"
        begin = plain(" ".join(text[:240].split())[:120])
        count = f"{len(text):,} characters"
        return (
            f'{named}<details class="long"><summary>{begin} .. <i>({count})</i></summary><pre>{shown}</pre></details>'
        )

    def value(self, value: Any, label: str = "") -> str:
        """Return JSON data as a block."""
        return self.block(value if isinstance(value, str) else dumps(value, ensure_ascii=False, indent=2), label)

    def _cut(self, text: str) -> str:
        most = min(LONGEST, max(self._left, SHORT))
        self._left -= min(len(text), most)
        if len(text) <= most:
            return plain(text)
        tail = most // 10
        left_out = f"[{len(text) - most:,} characters are left out here; {self._rest}]"
        return f"{plain(text[: most - tail])}\n<b>{plain(left_out)}</b>\n{plain(text[len(text) - tail :])}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], numbers: Iterable[int] = ()) -> str:
    """Return a table of cells that are HTML already; columns of `numbers` stand to the right."""
    right = frozenset(numbers)

    def cells(row: Sequence[str], tag: str) -> str:
        return "".join(
            f'<{tag} class="number">{cell}</{tag}>' if at in right else f"<{tag}>{cell}</{tag}>"
            for at, cell in enumerate(row)
        )

    body = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{cells(head, "th")}</tr></thead><tbody>{body}</tbody></table></div>'


def page(title: str, body: Iterable[str], styles: Sequence[str]) -> str:
    """Return a whole page. Its policy allows these style sheets, images that it holds itself, and nothing else."""
    allowed = " ".join(f"'sha256-{_digest(style)}'" for style in dict.fromkeys(styles))
    policy = f"default-src 'none'; style-src {allowed}; img-src data:; base-uri 'none'; form-action 'none'"
    return "\n".join(
        (
            "<!DOCTYPE html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="referrer" content="no-referrer">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            f"<title>{plain(title)}</title>",
            f"<style>{styles[0]}</style>",
            "</head>",
            "<body>",
            *body,
            "</body>",
            "</html>",
            "",
        )
    )


def _digest(style: str) -> str:
    return base64.b64encode(sha256(style.encode("utf-8")).digest()).decode("ascii")


STYLE: Final = """
:root{color-scheme:light dark;--paper:#fff;--ink:#1f2937;--soft:#4b5563;--edge:#cbd5e1;--inside:#f8fafc;--good:#15803d;
--bad:#b91c1c;--warn:#b45309;--bar:#2563eb}
@media (prefers-color-scheme:dark){:root{--paper:#0f172a;--ink:#e5e7eb;--soft:#b6bfcc;--edge:#334155;--inside:#1e293b;
--good:#4ade80;--bad:#f87171;--warn:#fbbf24;--bar:#60a5fa}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:1180px;padding:1rem;background:var(--paper);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif}
h1{font-size:1.4rem;margin:.2rem 0;overflow-wrap:anywhere}h2{font-size:1.1rem;margin:1.8rem 0 .5rem}
nav a{margin-right:1rem}a{color:var(--bar)}p{margin:.3rem 0}
.soft,.label{color:var(--soft)}.label{font-size:.85rem;margin:.6rem 0 .1rem}
.good{color:var(--good)}.bad{color:var(--bad)}.warn{color:var(--warn)}
.state{font-weight:700;border:1px solid;border-radius:1rem;padding:.05rem .6rem}
.wide{overflow:auto;max-width:100%}.wide.tall{max-height:85vh;border:1px solid var(--edge);border-radius:6px}
table{border-collapse:collapse;font-size:.92rem}th,td{border-bottom:1px solid var(--edge);padding:.25rem .7rem;
text-align:left;vertical-align:top;overflow-wrap:break-word;min-width:4rem}
.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
pre{white-space:pre-wrap;overflow-wrap:anywhere;margin:.2rem 0;padding:.5rem .7rem;background:var(--inside);
border:1px solid var(--edge);border-radius:6px;font:13px/1.45 ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace;
max-height:70vh;overflow-y:auto;unicode-bidi:plaintext}
details.step{border:1px solid var(--edge);border-radius:6px;margin:.35rem 0;content-visibility:auto;
contain-intrinsic-size:auto 2.2rem}
details.step>summary{padding:.3rem .7rem;cursor:pointer;overflow-wrap:anywhere}
details.step>div{padding:.1rem .9rem .8rem}details.step.failed{border-color:var(--bad)}
details:target{outline:3px solid var(--bar)}.call{border-left:3px solid var(--edge);padding-left:.7rem;margin:.6rem 0}
.call.fault{border-color:var(--bad)}summary i{color:var(--soft)}code{font-size:.92em;overflow-wrap:anywhere}
meter{width:9rem;vertical-align:middle}
.timeline text{fill:var(--soft);font:11px system-ui,sans-serif}.timeline .bar rect{fill:var(--bar)}
.timeline .bar.bad rect{fill:var(--bad)}.timeline .bar.running rect{fill:none;stroke:var(--warn);stroke-dasharray:4 3}
.timeline .bar text{fill:var(--paper)}.timeline .tick{stroke:var(--edge)}.timeline svg{width:100%;min-width:640px}
ol.source{font:13px/1.5 ui-monospace,Menlo,Consolas,monospace;padding-left:3.5rem;white-space:pre-wrap}
ol.source li:target{background:var(--inside);outline:2px solid var(--bar)}img{max-width:100%;background:#fff}
"""
"""The style of pages."""
