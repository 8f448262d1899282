"""Python that a model wrote, run in the sandbox (`masdsl.sandbox`)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from masdsl.fences import fenced_blocks
from masdsl.sandbox import Limits, Result, SandboxRefused, ladder, run_python, tier
from masdsl.sizes import clip_text, text_tokens
from masdsl.tools.base import Answered, Declared, ToolFault, ToolUnusable, required_type
from masdsl.tools.builtin import BuiltIn, shaped
from masdsl.types import Optional, Record, Text, Type

MARGIN_SECONDS: Final = 1.0
"""Of the tool's time, so much is kept for starting the program and for telling what became of it."""
_DEFAULT: Final = Limits()
_CUT: Final = "\n[...]\n"
_PYTHON: Final = frozenset(("python", "python3", "py"))


def code_runner() -> BuiltIn:
    """Return the tool that runs Python. It is stopped after 10 seconds, or 1 before the tool's own `timeout`."""

    def make(declared: Declared) -> Callable[..., Any]:
        limits = _limits(declared.timeout)
        wanted = required_type(declared.returns)

        async def run(
            code: str | None,
            tests: str | None = None,
            entry: str | None = None,
            arguments: str | None = None,
            input: str | None = None,
        ) -> object:
            try:
                done = await run_python(
                    _unfenced(code or ""),
                    entry_point=entry or None,
                    arguments=_arguments(arguments),
                    tests=_unfenced(tests or "") or None,
                    stdin=input or "",
                    limits=limits,
                )
            except SandboxRefused as refused:
                raise ToolUnusable(str(refused)) from None
            return Answered(shaped("sandbox", declared, _fields(done, wanted)), done.tier)

        return run

    return BuiltIn("sandbox", make, _usable)


def _usable() -> None:
    """Raise ToolUnusable where no tier of the sandbox works on this machine."""
    if tier() is None:
        reasons = "; ".join(f"{rung.name}: {rung.reason}" for rung in ladder())
        raise ToolUnusable(f"no sandbox works on this machine ({reasons}); see: mas sandbox")


def _limits(seconds: float) -> Limits:
    wall = min(_DEFAULT.seconds, max(seconds - MARGIN_SECONDS, seconds / 2))
    return _DEFAULT._replace(seconds=wall)


def _unfenced(text: str) -> str:
    """Return the program in a text that has it between Markdown fences; any other text as it is.

    Of several blocks it is the longest of those that say that they are Python, or of those that say nothing. In Python
    a line begins with a fence only inside of a string of several lines, so a text where one may have begun before the
    first fence is left alone.
    """
    blocks = fenced_blocks(text)
    if not blocks or any(quotes in text[: blocks[0].start] for quotes in ('"""', "'''")):
        return text
    blocks = [block for block in blocks if block.language in _PYTHON] or [one for one in blocks if not one.language]
    return max(blocks, key=lambda block: len(block.text)).text if blocks else text


def _arguments(text: str | None) -> list[Any]:
    if not text or not text.strip():
        return []
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise ToolFault('`arguments` is no JSON: write a list, as in [1, "two"]') from None
    if not isinstance(found, list):
        raise ToolFault('`arguments` is no list: write one, as in [1, "two"]')
    return found


def _fields(done: Result, wanted: Type) -> dict[str, object]:
    """Return what a program did as the fields of the tool's result."""
    lines = done.error.message.strip().splitlines() if done.error is not None else []
    return {
        "passed": done.ok,
        "log": _log(done, wanted.field("log") if isinstance(wanted, Record) else wanted),
        "output": done.stdout,
        "value": _value(done, wanted.field("value") if isinstance(wanted, Record) else None),
        "error": lines[-1] if lines else "",
    }


def _log(done: Result, declared: Type | None) -> str:
    """Return what a program printed and what went wrong, in the size that is declared: of the first only the beginning
    where not both fit, since a text that is too long loses its end, and with it the reason.
    """
    kind = None if declared is None else required_type(declared)
    if done.error is None or not isinstance(kind, Text) or text_tokens(done.log) <= kind.cap:
        return done.log
    reason = f"{_CUT}{done.error.message}"
    return clip_text(done.stdout, kind.cap - text_tokens(reason) - 1) + reason if done.stdout else done.log


def _value(done: Result, declared: Type | None) -> object:
    """Return the value of the function that was called: JSON where text is declared, else as it is.

    Without one, or where the program failed, it is none, or an empty text.
    """
    inner = None if declared is None else required_type(declared)
    if isinstance(inner, Text):
        if done.value is None:
            return ""
        return done.value if isinstance(done.value, str) else json.dumps(done.value, ensure_ascii=False)
    if done.value is None and declared is not None and not isinstance(declared, Optional):
        raise ToolFault(done.error.message if done.error is not None else "the program gave no value")
    return done.value
