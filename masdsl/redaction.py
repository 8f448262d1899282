"""What must not show: keys of providers and servers, in messages of any kind.

Providers repeat the key they were sent in their error texts, in full or encoded; what is shown or stored is therefore
redacted by value.
"""

from __future__ import annotations

import base64
import re
from urllib.parse import quote

HIDDEN = "[key]"
LONGEST_DETAIL = 300
_SHORTEST_SECRET = 6  # shorter "keys" of local servers ("x", "none") occur in any text
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")


class Secret:
    """A key that does not show: neither `repr` nor `str` give it away, only `reveal()` does."""

    __slots__ = ("_pattern", "_value")

    def __init__(self, *values: str) -> None:
        """Hold the first value as the key; the others are redacted as well."""
        self._value = values[0] if values else ""
        forms: set[str] = set()
        for value in values:
            if len(value) >= _SHORTEST_SECRET:
                encoded = value.encode("utf-8", "surrogateescape")
                forms |= {value, quote(value, safe=""), base64.b64encode(encoded).decode(), encoded.hex()}
        longest_first = sorted(forms, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first)), re.IGNORECASE) if forms else None

    def reveal(self) -> str:
        """Return the key itself; empty where there is none."""
        return self._value

    def redact(self, text: str) -> str:
        """Return `text` with the key, in each usual encoding, replaced by `[key]`."""
        return text if self._pattern is None else self._pattern.sub(HIDDEN, text)

    def __repr__(self) -> str:
        return f"Secret({HIDDEN if self._value else ''})"


def one_line(text: str, longest: int = LONGEST_DETAIL) -> str:
    """Return text as one line without control characters, at most `longest` characters."""
    line = " ".join(_CONTROLS.sub(" ", text[: 20 * longest]).split())
    line = line.encode("utf-8", "replace").decode()
    return line if len(line) <= longest else line[: longest - 3].rstrip() + "..."
