"""What the grammar expects at a place, in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

MAX_WORDS = 4

_EXPRESSION = frozenset(
    {"NAME", "TYPENAME", "INT", "FLOAT", "STRING", "TRUE", "FALSE", "NONE", "LPAR", "LSQB", "MINUS", "NOT"}
)
_LITERAL = frozenset({"TYPENAME", "INT", "FLOAT", "STRING", "TRUE", "FALSE", "NONE", "LPAR", "LSQB", "MINUS"})
_OPERATORS = frozenset({"PLUS", "MINUS", "STAR", "SLASH", "CMP", "AND", "OR", "DOT", "LSQB", "ELSE"})
_DECLARATION = frozenset({"USE", "TYPE", "TOOL", "AGENT", "EXTERN", "FLOW", "BUDGET", "RECTIFY", "TEST"})
_STATEMENT = frozenset({"UNTIL", "RETURN", "LOOP", "FOR", "WITHIN", "IF", "MATCH"})
_BLOCK = frozenset({"LOOP", "FOR", "WITHIN", "IF", "MATCH"})
_EDIT = frozenset({"SET", "BIND", "ADD", "DROP", "REPLACE", "AFTER", "BEFORE", "WRAP", "OTHERWISE", "RENAME", "REDO"})
_LIMITS = frozenset({"CALLS", "TOKENS", "USD", "SECONDS"})
_ATTRIBUTES = frozenset({"ON", "ROLE", "TEMP", "MAX", "RETRY", "TIMEOUT", "TOOLS", "STEPS"})

# The first group that is wholly expected takes its members' places; `also` are members that go with it if they are
# there.
_GROUPS: tuple[tuple[frozenset[str], frozenset[str], str], ...] = (
    (_EXPRESSION, frozenset({"EACH"}), "an expression"),
    (_LITERAL, frozenset(), "a literal value"),
    (_DECLARATION, frozenset(), "a declaration"),
    (_EDIT, frozenset({"BUDGET"}), "an edit"),
    (_STATEMENT, frozenset({"NAME"}), "a statement"),
    (_BLOCK, frozenset(), "a block such as `loop`"),
    (_LIMITS, frozenset(), "a limit such as `calls 20`"),
    (_ATTRIBUTES, frozenset(), "an attribute such as `on fast`"),
    (frozenset({"INT", "FLOAT", "SCALED"}), frozenset(), "a number"),
    (frozenset({"INT", "NAME"}), frozenset(), "a number or the name of one"),
    (frozenset({"NAME", "TYPENAME"}), frozenset(), "a name"),
)
_SINGLE = {
    "NAME": "a name",
    "TYPENAME": "a type's name",
    "INT": "a number",
    "FLOAT": "a number with a point",
    "SCALED": "a number such as `40k`",
    "PERCENT": "a percentage such as `80%`",
    "STRING": "a string",
    "CMP": "a comparison",
    "$END": "the end of the text",
}
_ORDER = ("RPAR", "RSQB", "RBRACE", "LBRACE", "COMMA", "EQUAL", "ARROW", "COLON", "LPAR", "STRING", "OF", "IN")


def expected_words(kinds: Iterable[str], spelled: Mapping[str, str]) -> tuple[str, ...]:
    """Describe a set of terminals for people, the likeliest first. `spelled` gives the fixed texts of terminals."""
    left = set(kinds)
    words: list[str] = []
    for members, also, text in _GROUPS:
        if members <= left:
            left -= members | also
            words.append(text)
    if words or left - _OPERATORS:
        left -= _OPERATORS  # what may follow an expression is no news
    if left & {"RPAR", "RBRACE", "COMMA", "FROM", "LBRACE", "EQUAL"} or "an attribute such as `on fast`" in words:
        left -= {"LPAR", "LSQB", "OPT", "COLON"}  # what a type or a call could go on with
    rank = {kind: place for place, kind in enumerate(_ORDER)}
    singles = sorted(left, key=lambda kind: (rank.get(kind, len(rank)), kind))
    marks = [_SINGLE.get(kind) or f"`{spelled.get(kind, kind.lower())}`" for kind in singles]
    front = [text for kind, text in zip(singles, marks, strict=True) if kind in rank]
    back = [text for kind, text in zip(singles, marks, strict=True) if kind not in rank]
    return tuple(dict.fromkeys([*front, *words, *back]))[:MAX_WORDS]


def found_words(kind: str, text: str) -> str:
    """Describe the token that was found."""
    if kind == "$END":
        return "the end of the text"
    if kind == "STRING":
        return "a string" if len(text) > 30 or "\n" in text else f"the string {text}"
    return f"`{text if len(text) <= 40 else text[:37] + '...'}`"
