"""Findings as commands of GitHub's workflows, which shows them as annotations beside the changed lines.

    ::error file=debate.mas,line=7,endLine=7,col=15,endColumn=21,title=MAS101::`drafts` is not defined; did you mean ...

Everything goes through `escape` first, and then through the two ways of quoting that such a command knows: nothing that
a program holds can start a command of its own or end one early.
"""

from __future__ import annotations

from collections.abc import Sequence

from masdsl.diagnostics.base import ERROR, Finding
from masdsl.diagnostics.escape import escape


def render_github(findings: Sequence[Finding]) -> str:
    """Return one `::error` or `::warning` command for each finding, one per line."""
    return "".join(_command(finding) for finding in findings)


def _command(finding: Finding) -> str:
    source, diagnostic = finding
    properties = {"file": source.name}
    if source.text:
        line, column = source.position(diagnostic.span.start)
        end_line, end_column = source.position(diagnostic.span.end)
        properties |= {"line": str(line), "endLine": str(end_line), "col": str(column)}
        if end_line == line:  # columns are only shown for a single line
            properties["endColumn"] = str(max(end_column, column))
    properties["title"] = f"{diagnostic.code} {diagnostic.title()}"
    text = "\n".join(filter(None, (diagnostic.label(), diagnostic.help(), f"mas explain {diagnostic.code}")))
    kind = "error" if diagnostic.severity == ERROR else "warning"
    shown = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    return f"::{kind} {shown}::{_data(text)}\n"


def _data(text: str) -> str:
    return escape(text, keep="\n").replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text.replace("\n", " ")).replace(":", "%3A").replace(",", "%2C")
