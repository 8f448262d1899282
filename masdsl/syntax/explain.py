"""Words for errors that no change mends: what the other language's construct is here, or what is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from masdsl.diagnostics.base import Diagnostic
from masdsl.diagnostics.syntax import NameStyle, NoGap, OtherLanguage, StrayCharacter
from masdsl.syntax import foreign
from masdsl.syntax.lex import MISSPELT, STRAY, Tokens
from masdsl.syntax.looks import BLOCKS, STATEMENTS, begins_line, snake, sole

if TYPE_CHECKING:
    from masdsl.syntax.machine import Machine
    from masdsl.syntax.recover import Recovery

_STRAY_HINTS = {
    "@": "there are no decorators: delete it",
    "$": "names have no `$`: delete it",
    "\\": "a statement may go on in the next line without it: delete it",
    "'": 'put strings between `"`',
    "`": 'put strings between `"`, and keep Markdown out of the program',
    "^": "there is no such operator: multiply with `*`",
    "~": "there is no such operator: `not` negates",
    "\ufffd": "the file was not read as UTF-8: save it as UTF-8",
}


def stray(tokens: Tokens, at: int) -> Diagnostic:
    """The diagnostic for a character that is no part of the language."""
    text, span = tokens.texts[at], tokens.span(at)
    if text == ";":
        return OtherLanguage(";", "delete it: statements need nothing between them", "", span=span)
    return StrayCharacter(text, _STRAY_HINTS.get(text, "delete it, or put it into a string"), span=span)


def another_language(recovery: Recovery, machine: Machine, at: int) -> Diagnostic | None:
    """The diagnostic for a construct of another language, which is not mended but left out; None if there is none."""
    tokens = machine.tokens
    kind, text, span = tokens.kinds[at], tokens.texts[at], tokens.span(at)
    before, word = (tokens.kinds[at - 1], tokens.texts[at - 1]) if at else ("", "")
    if kind == STRAY:
        return stray(tokens, at)
    if kind == MISSPELT:
        return NoGap(text, None, span=span) if text[0].isdigit() else NameStyle(text, snake(text), span=span)
    alone = before == "NAME" and sole(machine, at - 1) and bool(machine.accepts(["RETURN"], 1))
    if alone and word in foreign.STATEMENTS:
        return OtherLanguage(word, foreign.STATEMENTS[word], None, span=tokens.span(at - 1))
    if kind == "FOR" and not begins_line(machine, at):
        return recovery.unexpected(machine, at, hint=foreign.OPERATORS["for"])
    hint = _of_target(tokens, at) if alone else None
    hint = (
        hint
        or (_of_brace(recovery, machine, before) if kind == "LBRACE" else None)
        or _hint(recovery, machine, at, kind, before)
    )
    return recovery.unexpected(machine, at, hint=hint) if hint else None


def explain(recovery: Recovery, machine: Machine, at: int) -> Diagnostic | None:
    """The diagnostic for an error that nothing mends, where other words than the expected ones help; None elsewhere."""
    text = machine.tokens.texts[at]
    if text in foreign.OPERATORS and machine.tokens.kinds[at] != "STRING":
        return recovery.unexpected(machine, at, hint=foreign.OPERATORS[text])
    return None


def _of_target(tokens: Tokens, at: int) -> str | None:
    """A statement begins with a name, but no `=` follows."""
    kind, name = tokens.kinds[at], tokens.texts[at - 1]
    if kind == "DOT" and tokens.kinds[at + 2 : at + 3] == ["LPAR"]:
        return (
            f"there are no methods: append with `{name} += [x]`; functions take the value first, as in `upper({name})`"
        )
    if kind == "DOT":
        return "records do not change: bind a new one with `=`"
    if kind == "LSQB":
        return f"lists do not change: append with `{name} += [x]`, or bind a new one with `=`"
    if kind == "COMMA":
        return "a step has one name: bind the record, then use its fields"
    if kind in ("MINUS", "STAR", "SLASH", "PLUS"):
        return "bind the new value with `=`; there is `+=` for lists alone"
    return None


def _of_brace(recovery: Recovery, machine: Machine, before: str) -> str | None:
    if "TEMP" in recovery.expected(machine):
        return 'attributes and prompt follow without braces: `on fast temp 0.2 "Write about {{ topic }}."`'
    if before == "TYPENAME":
        return "write a record with parentheses: `Review(ok: true)`"
    if before == "ARROW":
        return "put several outputs between `(` and `)`"
    if before in ("EQUAL", "COMMA", "COLON", "LPAR", "RETURN"):
        return "write a record with parentheses, `(name: value)`; there are no maps"
    if before == "BUDGET":
        return "limits follow without braces: `budget calls 20 tokens 40k`"
    return "a block belongs to a flow or a test" if machine.accepts(["AGENT"]) else None


def _hint(recovery: Recovery, machine: Machine, at: int, kind: str, before: str) -> str | None:
    tokens = machine.tokens
    if kind == "GIVEN" and machine.accepts(["EXPECT"]):
        return "the `given` lines of a test stand before its statements"
    if kind in ("NAME", "TYPENAME") and begins_line(machine, at) and "TEMP" in recovery.expected(machine):
        return 'put the prompt between quotes: `"..."`, or three of them for several lines'
    if kind == "LPAR" and before == "FOR":
        return "write `for x in xs { ... }`, or `loop 3 { ... }` to repeat"
    if before == "LOOP" and kind in ("UNTIL", "NAME", "LPAR"):
        return "the largest count comes first: `loop 3 { ... until condition }`"
    if kind == "LPAR" and before == "NAME" and at > 1 and tokens.kinds[at - 2] == "DOT":
        return f"there are no methods: write `{tokens.texts[at - 1]}(value)`"
    if kind == "ELSE" and machine.accepts(["LBRACE"]) and "IF" in tokens.kinds[max(0, at - 20) : at]:
        return "choose with statements: `if condition { ... } else { ... }`"
    if kind == "BAR" and tokens.texts[at + 1] == ">":
        return "call it as a step of its own: `z = g(y)`"
    if kind == "BAR" and machine.accepts(["RBRACE"]) and machine.accepts(["COMMA"]):
        return "write an enum without braces: `type Kind = math | code`"
    if kind == "COMMA" and machine.accepts(["AGENT", "TYPENAME"]) and before == "NAME":
        return "write a `use` for each module"
    if kind in ("LSQB", "LPAR", "OPT") and before == "NAME" and machine.accepts(["BAR"]) and machine.accepts(["AGENT"]):
        return "only records and enums have names: write other types where they are used"
    if kind in ("LSQB", "OPT") and before == "RPAR" and _ends_outputs(tokens, at - 1):
        mark = "[8]" if kind == "LSQB" else "?"
        return f"give the record a name, `type Item {{ ... }}`, and write `Item{mark}` here"
    if machine.accepts(["AGENT"]) and (kind in STATEMENTS | BLOCKS or kind in ("NAME", "ELSE")) and before == "RBRACE":
        return "statements stand in a flow: is the `}` before this one too many?"
    return None


def _ends_outputs(tokens: Tokens, at: int) -> bool:
    """Whether a `)` closes the outputs behind `->`."""
    depth = 0
    for number in range(at, 0, -1):
        depth += (tokens.kinds[number] == "RPAR") - (tokens.kinds[number] == "LPAR")
        if depth == 0:
            return tokens.kinds[number - 1] == "ARROW"
    return False
