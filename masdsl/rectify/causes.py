"""The cause of a failure, read from what the runtime says about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from masdsl.rectify.base import Cause

_KINDS: Final[Mapping[str, Cause]] = {
    "timeout": "timeout",
    "rate limit": "overloaded",
    "overloaded": "overloaded",
    "connection": "overloaded",
    "too large": "malformed",
    "refused": "refused",
    "too long": "too_long",
    "auth": "unavailable",
    "not found": "unavailable",
    "bad request": "unavailable",
    "unavailable": "unavailable",
}
"""The kinds of `ModelError` as the reason of a failed step begins with them (`masdsl/runtime/turns.py`)."""


def cause_of(reason: str, callee: str, *, limit: str = "") -> Cause:
    """Return the cause of a step's failure.

    `callee` is what the step calls (agent, tool, flow); `limit` is the measure that refused it, empty where none did.
    """
    if limit or reason.startswith("refused by "):
        return "budget"
    if callee == "tool":
        return "timeout" if reason.startswith("no result within ") else "tool"
    if callee != "agent":
        return "other"
    head = reason.partition(":")[0].partition(" (after ")[0].partition(";")[0].strip()
    if head in _KINDS:
        return _KINDS[head]
    if reason.startswith(("the prompt", "the input", "the template")):
        return "other"
    if reason.startswith(("there is no model", "no model is given", "there is no tier", "`")):
        return "unavailable"
    return "malformed"
