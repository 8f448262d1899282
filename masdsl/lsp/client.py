"""What a client can show, as it said at the start: a server may send nothing else (LSP 3.17, "Client capabilities")."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from lsprotocol import types as lsp
from pygls.capabilities import get_capability

_FENCE: Final = "```"
_CODE: Final = re.compile(r"(`+)(.+?)\1")


class Client(NamedTuple):
    """`hover`, `completion` and `signature`: what a text is there, as the client likes it best; None: a string.

    `label_offsets`: whether a parameter may be told as a part of its signature's label, not as a text of its own.
    `tree`: whether the symbols of a document may have parts; else they come one after the other.
    """

    hover: lsp.MarkupKind | None = None
    completion: lsp.MarkupKind | None = None
    signature: lsp.MarkupKind | None = None
    label_offsets: bool = False
    tree: bool = False

    @staticmethod
    def of(capabilities: lsp.ClientCapabilities) -> Client:
        """Return what a client says of itself; what it does not say it cannot do."""
        document = "text_document"
        signature = f"{document}.signature_help.signature_information"
        item = f"{document}.completion.completion_item"
        return Client(
            _best(get_capability(capabilities, f"{document}.hover.content_format")),
            _best(get_capability(capabilities, f"{item}.documentation_format")),
            _best(get_capability(capabilities, f"{signature}.documentation_format")),
            bool(get_capability(capabilities, f"{signature}.parameter_information.label_offset_support")),
            bool(get_capability(capabilities, f"{document}.document_symbol.hierarchical_document_symbol_support")),
        )


def _best(formats: Sequence[lsp.MarkupKind | str] | None) -> lsp.MarkupKind | None:
    """Return the first of the formats that there are; clients have them in the order of their liking."""
    known = (kind for one in formats or () for kind in lsp.MarkupKind if kind.value == getattr(one, "value", one))
    return next(known, None)


def markup(text: str, kind: lsp.MarkupKind | None) -> lsp.MarkupContent | str:
    """Return Markdown as it is, or without its marks where the client shows text."""
    if kind is None:
        return plain(text)
    return lsp.MarkupContent(kind, text if kind == lsp.MarkupKind.Markdown else plain(text))


def plain(markdown: str) -> str:
    """Return Markdown of ours to be read as it stands: fences are left out, and the ticks around names.

    Anything else, such as a list in a doc comment, reads well as it was written.
    """
    lines = []
    is_code = False
    for line in markdown.split("\n"):
        if line.startswith(_FENCE):
            is_code = not is_code
        else:
            lines.append(line if is_code else _CODE.sub(r"\2", line))
    return "\n".join(lines)
