"""Takes the program, the binding or the patch out of what a model says, and keeps what it says before."""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple, TypeAlias

Kind: TypeAlias = Literal["mas", "bind", "patch"]
"""What a text is: the first word of every program, binding or patch."""

MOST_CHARACTERS: Final = 24_000
"""A reply is cut there before anything else is done with it; the longest program of the pool has a quarter of that."""
MOST_REASONING: Final = 4_000
"""Characters of a statement of reasons that are kept."""

_FENCE: Final = re.compile(r"^[ \t]*(?:`{3,}|~{3,})[ \t]*(\w*)[^\n]*$", re.MULTILINE)
_THOUGHT: Final = re.compile(r"<think(?:ing)?>(.*?)(?:</think(?:ing)?>|\Z)", re.DOTALL | re.IGNORECASE)
_FIRST_LINE: Final[dict[Kind, re.Pattern[str]]] = {
    "mas": re.compile(r"^[ \t]*mas[ \t]+\d+\b", re.MULTILINE),
    "bind": re.compile(r"^[ \t]*bind[ \t]+\d+\b", re.MULTILINE),
    "patch": re.compile(r"^[ \t]*patch[ \t]+\d+\b", re.MULTILINE),
}
_BEGINNING: Final[dict[Kind, re.Pattern[str]]] = {
    "mas": re.compile(r"^(?:use \w|type [A-Z]|tool \w+\(|agent \w+[\[(]|budget \w+ \d|flow \w+[\[(])", re.MULTILINE),
    "bind": re.compile(r"^[a-z_]\w* = (?:\w+|\"[^\"\n]*\")[ \t]*$", re.MULTILINE),
    "patch": re.compile(
        r"^(?:set|bind|add|drop|replace|after|before|wrap|otherwise|rename|redo) [\w\"]|^budget \w+ \d", re.MULTILINE
    ),
}
"""How a text begins whose first line was left out."""


class Extract(NamedTuple):
    """What a reply holds. `text` is empty where there is nothing of the kind in it."""

    text: str
    reasoning: str


def extract(reply: str, kind: Kind) -> Extract:
    """Return the text of a kind that a reply holds, and the reasons that stand before it.

    The last fenced block counts that begins as such a text does; a block need not be closed. Without one the text goes
    from its first line (`mas 1`) to the end, where the prose behind the last brace of a program is left out. A first
    line that is missing is put in front.
    """
    reply = reply[:MOST_CHARACTERS].replace("\r\n", "\n").replace("\0", "")
    thoughts = [thought.strip() for thought in _THOUGHT.findall(reply)]
    said = _THOUGHT.sub("", reply)
    text, before = _fenced(said, kind) or _bare(said, kind) or ("", said)
    parts = [*thoughts, _FENCE.sub("", before).strip()]
    return Extract(text, "\n".join(part for part in parts if part)[:MOST_REASONING].rstrip())


def _fenced(said: str, kind: Kind) -> tuple[str, str] | None:
    """Return the last fenced block of the kind, and what stands before it."""
    fences = list(_FENCE.finditer(said))
    found = None
    at = 0
    while at < len(fences):
        opening = fences[at]
        closing = fences[at + 1] if at + 1 < len(fences) else None
        if closing is not None and closing[1]:  # a block that was never closed: another one begins
            body, at = said[opening.end() : closing.start()], at + 1
        else:
            body, at = said[opening.end() : closing.start() if closing else len(said)], at + 2
        text = _whole(body, kind, is_named=opening[1].lower() in (kind, "masdsl"))
        if text:
            found = text, said[: opening.start()]
    return found


def _bare(said: str, kind: Kind) -> tuple[str, str] | None:
    start = _FIRST_LINE[kind].search(said) or _BEGINNING[kind].search(said)
    if start is None:
        return None
    text = _FENCE.split(said[start.start() :])[0]
    if kind == "mas":
        last = text.rfind("\n}")
        if "\nflow " not in f"\n{text}":  # a sentence that begins with `use`
            return None
        text = text if last < 0 else text[: last + 2]
    return _whole(text, kind, is_named=True), said[: start.start()]


def _whole(body: str, kind: Kind, *, is_named: bool) -> str:
    """Return a text of the kind with its first line; nothing where the body is none."""
    start = _FIRST_LINE[kind].search(body)
    if start is not None:
        text = body[start.start() :].strip()
    elif _BEGINNING[kind].search(body) and (is_named or kind == "mas"):
        text = f"{kind} 1\n{body.strip()}"
    else:
        return ""
    return text + "\n"
