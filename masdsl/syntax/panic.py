"""Panic: where no change of a token helps, skip to where something can begin or end, and drop what was begun."""

from __future__ import annotations

from typing import TYPE_CHECKING

from masdsl import limits
from masdsl.node import Span
from masdsl.syntax.lex import END
from masdsl.syntax.looks import BLOCKS, DECLARATIONS, STATEMENTS, begins_line, stands_out

if TYPE_CHECKING:
    from masdsl.syntax.machine import Machine

ENOUGH = 3
"""How many tokens must fit where a construct is taken to begin."""
EDITS = frozenset(
    {"SET", "BIND", "ADD", "DROP", "REPLACE", "AFTER", "BEFORE", "WRAP", "OTHERWISE", "RENAME", "REDO", "BUDGET"}
)
_GOES_ON = frozenset(
    {"COMMA", "LPAR", "LSQB", "PLUS", "MINUS", "STAR", "SLASH", "CMP", "AND", "OR", "NOT", "ELSE", "DOT"}
)
"""Tokens after which an expression goes on in the next line."""
_LISTS = ("statement", "item", "arm", "given", "expect", "edit", "assignment")


def panic(machine: Machine, at: int, *, stuck: bool) -> int | None:
    """Skip to where something can begin or end, and drop what was begun; `stuck` skips the token `at` for sure.

    Returns the token to go on at, None if the text ends first.
    """
    tokens = machine.tokens
    kinds = tokens.kinds
    places = _list_places(machine)
    if not places:
        return None
    inner = places[-1]
    begin = machine.starts[inner] if inner < len(machine.starts) else tokens.starts[at]
    first = at
    while first > 0 and tokens.starts[first - 1] >= begin:
        first -= 1
    depth = _depth(kinds[first:at])
    number = at + 1 if stuck and kinds[at] != END else at
    skipped_braces = 0
    while True:
        kind = kinds[number]
        if kind == "RBRACE" and skipped_braces:
            skipped_braces -= 1
        elif kind == END or (kind in DECLARATIONS and begins_line(machine, number)):  # a brace may be missing
            found = _close(machine, places, number)
            if found is not None:
                return _resume(machine, found, begin, number)
            if kind == END:
                return None
        elif skipped_braces:
            skipped_braces += kind == "LBRACE"
        elif kind == "RBRACE":
            for place in reversed(places):
                if machine.accepts(kinds[number : number + 1], len(machine.states) - 1 - place):
                    return _resume(machine, place, begin, number)
        elif _may_begin(machine, number, depth) and (number > at or begins_line(machine, number)):
            drop = len(machine.states) - 1 - inner
            looks = kinds[number + 1] in ("EQUAL", "APPEND", "COLON", "LBRACE", "BAR")
            enough = ENOUGH if not begins_line(machine, number) else 2 if looks else 1
            if machine.accepts(kinds[number : number + enough], drop) == enough:
                return _resume(machine, inner, begin, number)
        elif kind == "LBRACE":
            head = _stand_in(machine, inner, first, at, number)
            if head is None:
                skipped_braces = 1
            else:
                _resume(machine, inner, begin, number)
                machine.faulty.append(tokens.starts[number])
                tokens.replace(number, number + 1, head, tokens.span(number))
                return number
        depth = max(0, depth + (kind in ("LPAR", "LSQB")) - (kind in ("RPAR", "RSQB")))
        number += 1


def brace_by_indentation(machine: Machine, at: int) -> None:
    """Put braces around a block that is opened with a colon, as its indentation tells where it ends."""
    tokens, text = machine.tokens, machine.recovery.text
    margin = _indentation(text, tokens.starts[at])
    number = at + 1
    while tokens.kinds[number] != END:
        if begins_line(machine, number) and _indentation(text, tokens.starts[number]) <= margin:
            break
        number += 1
    if tokens.kinds[number] != "RBRACE" or _indentation(text, tokens.starts[number]) < margin:
        end = tokens.ends[number - 1]
        tokens.replace(number, number, (("RBRACE", "}"),), Span(end, end))
    tokens.replace(at, at + 1, (("LBRACE", "{"),), tokens.span(at))


def _indentation(text: str, offset: int) -> int:
    """How many blanks the line of an offset begins with."""
    start = end = text.rfind("\n", 0, offset) + 1
    while text[end : end + 1] in (" ", "\t"):
        end += 1
    return end - start


def _list_places(machine: Machine) -> list[int]:
    """Where on the stack a statement, declaration and so on may begin: numbers of states, the innermost last."""
    gotos = machine.language.tables.gotos
    known: dict[int, bool] = {}
    places = []
    for place, state in enumerate(machine.states):
        if state not in known:
            known[state] = any(symbol in gotos[state] for symbol in _LISTS)
        if known[state]:
            places.append(place)
    return places


def _depth(kinds: list[str]) -> int:
    depth = 0
    for kind in kinds:
        depth = max(0, depth + (kind in ("LPAR", "LSQB")) - (kind in ("RPAR", "RSQB")))
    return depth


def _may_begin(machine: Machine, number: int, depth: int) -> bool:
    """Whether a token looks like the first of a statement, an edit, an assignment or an arm."""
    kinds = machine.tokens.kinds
    kind = kinds[number]
    if kind in STATEMENTS or kind in EDITS:
        return depth == 0 or begins_line(machine, number)
    if kind != "NAME" and kind not in machine.language.soft:
        return False
    following = kinds[number + 1]
    if following in ("EQUAL", "APPEND", "LBRACE", "BAR") or (following == "COLON" and kinds[number + 2] in BLOCKS):
        return begins_line(machine, number)
    if depth or following == "COLON" or kinds[number - 1] in _GOES_ON:
        return False
    return begins_line(machine, number)  # a faulty statement, to be reported as such


def _close(machine: Machine, places: list[int], number: int) -> int | None:
    """The place to which the stack must be dropped for the token to fit, after missing `}` that are put before it."""
    kinds = machine.tokens.kinds
    first = kinds[number : number + (1 if stands_out(machine, number) else ENOUGH)]
    for place in reversed(places):
        drop = len(machine.states) - 1 - place
        for count in range(limits.BLOCK_DEPTH + 1):
            if machine.accepts(["RBRACE"] * count + first, drop) == count + len(first):
                if count:
                    end = machine.tokens.ends[number - 1] if number else 0
                    machine.tokens.replace(number, number, (("RBRACE", "}"),) * count, Span(end, end))
                return place
            if machine.accepts(["RBRACE"] * (count + 1), drop) <= count:
                break
    return None


def _resume(machine: Machine, place: int, begin: int, number: int) -> int:
    machine.pop(len(machine.values) - place)
    machine.left_out.append(Span(begin, machine.tokens.starts[number]))
    return number


def _stand_in(machine: Machine, inner: int, first: int, at: int, number: int) -> tuple[tuple[str, str], ...] | None:
    """What to put in place of a head that is not understood and its `{`, so that the block behind it can be parsed."""
    kinds = machine.tokens.kinds
    symbols = machine.language.tables.gotos[machine.states[inner]]
    before = kinds[number - 1] if number else ""
    if number == at and before in ("EQUAL", "COMMA", "COLON", "LPAR", "LSQB", "RETURN", "TYPENAME", "ELSE", "ARROW"):
        return None  # braces in place of a value
    if "arm" in symbols:
        return ("NAME", "_"), ("LBRACE", "{")
    if "statement" in symbols:
        return ("IF", "if"), ("TRUE", "true"), ("LBRACE", "{")
    if "item" in symbols and (kinds[first] == "TEST" or before == "STRING"):
        return ("TEST", "test"), ("STRING", '""'), ("LBRACE", "{")
    if "item" in symbols and "LPAR" in kinds[first:number] and kinds[first] not in ("AGENT", "TOOL", "TYPE"):
        return (
            ("FLOW", "flow"),
            ("NAME", "_"),
            ("LPAR", "("),
            ("RPAR", ")"),
            ("ARROW", "->"),
            ("NAME", "text"),
            ("LBRACE", "{"),
        )
    return None
