"""Where the parts of a picture link to: their lines, at an address that a template makes."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from masdsl.graph.model import Place

DEFAULT: Final = "{file}#L{line}"
"""As code hosts write it; relative to where the picture is."""
_SCHEMES: Final = ("http://", "https://", "file://", "vscode://", "vscodium://", "cursor://", "zed://", "idea://")


def is_template(text: str) -> bool:
    """Whether a text may be a template: relative, or of a scheme that leads to a text and never runs anything."""
    head = text.partition("/")[0]
    return ":" not in head.replace("{line}", "") or text.startswith(_SCHEMES)


def link_to(template: str, place: Place) -> str:
    """Return the address of a place: `{file}`, `{line}` and `{column}` stand for its parts.

    Whatever a file may be called, the address holds no quote, blank or angle bracket, and no scheme of its own.
    """
    file = quote(place.file.encode("utf-8", "replace"), safe="/._-~")
    if template.startswith("{file}") and file.startswith("//"):
        file = f"/{file.lstrip('/')}"
    address = template.replace("{file}", file).replace("{line}", str(place.line)).replace("{column}", str(place.column))
    return quote(address, safe="/._-~:?#&=%+@,")
