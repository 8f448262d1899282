"""What an MCP server's tool gave, as a value for the declared type."""

from __future__ import annotations

import json
from typing import Any

from masdsl.tools.base import ToolFault, in_words
from masdsl.types import Optional, Record, Text, Type

_LONGEST_REASON = 300


def value_of(result: Any, returns: Type) -> object:
    """Return the value of a result (`mcp.types.CallToolResult`). Raises ToolFault for an error, or for no value.

    Text takes the parts of the result that are text; everything else its structured content, or else the JSON that its
    text is.
    """
    said = "\n".join(part.text for part in result.content if getattr(part, "type", "") == "text")
    if result.is_error:
        raise ToolFault(said[:_LONGEST_REASON] or "the server says that it failed, and not why")
    inner = returns.inner if isinstance(returns, Optional) else returns
    structured = result.structured_content
    if isinstance(inner, Text):
        if said or structured is None:
            return _text(said, result, returns)
        structured = _unwrapped(structured)
        return structured if isinstance(structured, str) else json.dumps(structured, ensure_ascii=False)
    if structured is not None:
        return structured if isinstance(inner, Record) else _unwrapped(structured)
    try:
        return json.loads(said)
    except (ValueError, RecursionError):
        if isinstance(returns, Optional) and not said:
            return None
        raise ToolFault(f"it gave {'text' if said else 'nothing'}, and {in_words(inner)} is declared") from None


def _text(said: str, result: Any, returns: Type) -> str | None:
    if said:
        return said
    kinds = sorted({str(getattr(part, "type", "")) for part in result.content})
    if kinds:
        raise ToolFault(f"it gave no text, but {', '.join(kinds)}")
    return None if isinstance(returns, Optional) else ""


def _unwrapped(structured: Any) -> Any:
    """Return a value without the object that servers put around one that is none: `{"result": 3}`."""
    if isinstance(structured, dict) and list(structured) == ["result"]:
        return structured["result"]
    return structured
