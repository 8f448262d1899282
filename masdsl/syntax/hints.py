"""What was probably meant: the usual slips of people and models, with the change or the words that help."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from masdsl import limits
from masdsl.diagnostics.base import Diagnostic
from masdsl.diagnostics.suggest import nearest
from masdsl.diagnostics.syntax import (
    BareCall,
    NameStyle,
    NoGap,
    OtherLanguage,
    ReservedName,
    StrayCharacter,
    Unclosed,
    Unexpected,
)
from masdsl.node import Span
from masdsl.syntax import foreign
from masdsl.syntax.expect import expected_words
from masdsl.syntax.lex import END, MISSPELT, STRAY, Tokens
from masdsl.syntax.recover import BLOCKS, DECLARATIONS, STATEMENTS, Change, begins_line, stands_out

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
_NUMBER_THEN = re.compile(r"([0-9]+)(_*)(\w*)")
_WORD_THEN = re.compile(r"([a-z]+)([0-9]+|_?[a-z]\w*)")


def special_changes(recovery: Recovery, machine: Machine, at: int) -> Iterator[Change]:
    """Yield the changes that may mend the error at token `at`, the likeliest first."""
    for changes in (
        _strays,
        _missing_braces,
        _missing,
        _reserved,
        _spelling,
        _values,
        _marks,
        _words,
        _labels,
        _declarations,
    ):
        yield from changes(recovery, machine, at)


def _sole(machine: Machine, at: int) -> bool:
    """Whether the last value on the stack is token `at` alone."""
    return bool(machine.starts) and at >= 0 and machine.starts[-1] == machine.tokens.starts[at]


def _adjacent(tokens: Tokens, at: int) -> bool:
    """Whether there is no gap between token `at` and the next."""
    return at + 1 < len(tokens.kinds) and tokens.ends[at] == tokens.starts[at + 1]


def _strays(recovery: Recovery, machine: Machine, at: int) -> Iterator[Change]:
    tokens = machine.tokens
    if tokens.kinds[at] != STRAY:
        return
    report = _stray(tokens, at)
    yield Change(report, at, remove=1)
    if tokens.texts[at] == ";":
        yield Change(report, at, remove=1, insert=(("COMMA", ","),))


def _stray(tokens: Tokens, at: int) -> Diagnostic:
    text, span = tokens.texts[at], tokens.span(at)
    if text == ";":
        return OtherLanguage(";", "delete it: statements need nothing between them", "", span=span)
    return StrayCharacter(text, _STRAY_HINTS.get(text, "delete it, or put it into a string"), span=span)


def _missing_braces(recovery: Recovery, machine: Machine, at: int) -> Iterator[Change]:
    tokens = machine.tokens
    kind = tokens.kinds[at]
    if kind == "ELSE" or (kind in ("LBRACE", "BAR") and _sole(machine, at - 1)):  # of an `if`; the next arm
        first, drop = (at, 0) if kind == "ELSE" else (at - 1, 1)
        report = Unclosed("}", _unclosed_block(recovery.text, tokens, first), span=tokens.span(first))
        yield Change(report, first, insert=(("RBRACE", "}"),), drop=drop)
    if kind != END and not (kind in DECLARATIONS and begins_line(machine, at)):
        return
    for count in range(1, limits.BLOCK_DEPTH + 1):
        if machine.accepts(["RBRACE"] * count + [kind]) > count:
            end = tokens.ends[at - 1]
            place = Span(end, end) if kind == END else tokens.span(at)
            report = Unclosed("}", _unclosed_block(recovery.text, tokens, at), span=place)
            yield Change(report, at, insert=(("RBRACE", "}"),) * count, sure=stands_out(machine, at))
            return


def _unclosed_block(text: str, tokens: Tokens, at: int) -> Span:
    """The `{` before token `at` that most likely lacks its `}`: one whose `}` is indented less than its line."""
    open_: list[int] = []
    suspect: int | None = None
    for number in range(at):
        if tokens.kinds[number] == "LBRACE":
            open_.append(number)
        elif tokens.kinds[number] == "RBRACE" and open_:
            opener = open_.pop()
            ours, its = _indent(text, tokens.starts[number]), _indent(text, tokens.starts[opener])
            if suspect is None and ours is not None and its is not None and ours < its:
                suspect = opener
        elif tokens.kinds[number] in DECLARATIONS and not open_:
            suspect = None
    found = suspect if suspect is not None else open_[-1] if open_ else max(at - 1, 0)
    return tokens.span(found)


def _indent(text: str, offset: int) -> int | None:
    """How far the line of an offset is indented; None if other text stands between a line's `}` and its begin."""
    start = text.rfind("\n", 0, offset) + 1
    line = text[start:offset]
    if text[offset : offset + 1] == "}" and line.strip(" \t"):
        return None
    return len(line) - len(line.lstrip(" \t"))


def _reserved(recovery: Recovery, machine: Machine, at: int) -> Iterator[Change]:
    for number, drop in ((at, 0), (at - 1, 1)):
        if drop and (not _sole(machine, number) or machine.tokens.kinds[number] == "GIVEN"):
            continue  # after `given` it is rather the name that is missing
        word = machine.tokens.texts[number]
        if machine.tokens.kinds[number] == recovery.language.lexicon.keywords.get(word) and word in recovery.reserved:
            report = _once(recovery, word, ReservedName(word, span=machine.tokens.span(number)))
            yield Change(report, number, remove=1, insert=(("NAME", word),), drop=drop)


def _once(recovery: Recovery, word: str, report: Diagnostic) -> Diagnostic | None:
    """A name with a fault may be used many times; it is enough to say so once."""
    return None if word in recovery.named else report


def _spelling(recovery: Recovery, machine: Machine, at: int) -> Iterator[Change]:
    tokens = machine.tokens
    kind, text = tokens.kinds[at], tokens.texts[at]
    if kind in (MISSPELT, "NAME"):
        for insert, instead in _parts(recovery, text):
            yield Change(NoGap(text, instead, span=tokens.span(at)), at, remove=1, insert=insert)
    if kind in (MISSPELT, "TYPENAME", "NAME"):
        for wanted, styled in (("NAME", snake(text)), ("TYPENAME", camel(text))):
            if wanted != kind and styled and machine.accepts([wanted]):
                report = _once(recovery, text, NameStyle(text, styled, span=tokens.span(at)))
                yield Change(report, at, remove=1, insert=((wanted, styled),))
    if at and tokens.kinds[at - 1] == "TYPENAME" and _sole(machine, at - 1):
        text = tokens.texts[at - 1]
        if text not in foreign.VALUES:
            report = _once(recovery, text, NameStyle(text, snake(text), span=tokens.span(at - 1)))
            yield Change(report, at - 1, remove=1, insert=(("NAME", snake(text)),), drop=1)


def _parts(recovery: Recovery, text: str) -> Iterator[tuple[tuple[tuple[str, str], ...], str | None]]:
    """Ways to read a run of letters and digits that is no word: tokens, and how to write them."""
    keywords = recovery.language.lexicon.keywords
    number = _NUMBER_THEN.fullmatch(text)
    if number:
        digits, _, rest = number.groups()
        if rest in keywords:
            yield (("INT", digits), (keywords[rest], rest)), f"{digits} {rest}"
        elif text.replace("_", "").isdigit():
            yield (("INT", text.replace("_", "")),), text.replace("_", "")
        elif rest in ("K", "m"):
            yield (("SCALED", f"{digits}{rest.swapcase()}"),), f"{digits}{rest.swapcase()}"
        yield (("INT", digits),), None
        return
    word = _WORD_THEN.fullmatch(text)
    if word:
        for length in range(len(text) - 1, 1, -1):
            head, rest = text[:length], text[length:]
            if head in keywords and (rest.isdigit() or rest[0].isalpha()):
                yield ((keywords[head], head), ("INT" if rest.isdigit() else "NAME", rest)), f"{head} {rest}"


def snake(text: str) -> str:
    """A name in the style of values: `writeDraft` is `write_draft`, `MAX_N` is `max_n`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", text).lower()


def camel(text: str) -> str:
    """A name in the style of types: `my_review` is `MyReview`."""
    return "".join(part[:1].upper() + part[1:] for part in text.split("_"))


def _values(recovery: Recovery, machine: Machine, at: int) -> Iterator[Change]:
    tokens = machine.tokens
    text = tokens.texts[at - 1] if at else ""
    if text in foreign.VALUES and _sole(machine, at - 1):
        kind, instead = foreign.VALUES[text]
        report = OtherLanguage(text, f"write `{instead}`", instead, span=tokens.span(at - 1))
        yield Change(report, at - 1, remove=1, insert=((kind, instead),), drop=1)


def _marks(recovery: Recovery, machine: Machine, at: int) -> Iterator[Change]:
    """Operators of other languages, and those of this one at a wrong place."""
    tokens = machine.tokens
    kind, text, span = tokens.kinds[at], tokens.texts[at], tokens.span(at)
    before = tokens.kinds[at - 1] if at else ""
    pair = text + tokens.texts[at + 1] if _adjacent(tokens, at) else ""
    last_pair = tokens.texts[at - 1] + text if at and _adjacent(tokens, at - 1) else ""
    wide = Span(span.start, tokens.ends[at + 1]) if pair else span
    whole = Span(tokens.starts[at - 1], span.end) if at else span

    def other(found: str, instead: str, place: Span, why: str = "") -> Diagnostic:
        return OtherLanguage(found, f"write `{instead}`{why}", instead, span=place)

    if pair == "=>":
        yield Change(other("=>", "->", wide), at, remove=2, insert=(("ARROW", "->"),))
    if pair == "||":
        yield Change(other("||", "or", wide), at, remove=2, insert=(("OR", "or"),))
    if kind == "DOT" and pair and tokens.kinds[at + 1] == "INT":
        yield Change(other(pair, f"0{pair}", wide), at, remove=2, insert=(("FLOAT", f"0{pair}"),))
    if last_pair == ":=" and before == "COLON" and at > 1 and _sole(machine, at - 1):
        insert = (("NAME", tokens.texts[at - 2]), ("EQUAL", "="))
        yield Change(other(":=", "=", whole), at - 2, remove=3, insert=insert, drop=2)
    if last_pair in ("===", "!=="):
        yield Change(other(last_pair, last_pair[:2], whole), at, remove=1)
    if last_pair == "<>":
        yield Change(other("<>", "!=", whole), at, remove=1)
    if text == "==":
        bind = Unexpected(
            "`==`", ("`=`",), "write `=` to bind a name; `==` compares", ("write `=`", span, "="), span=span
        )
        yield Change(bind, at, remove=1, insert=(("EQUAL", "="),))
    if kind == "EQUAL":
        colon = Unexpected("`=`", ("`:`",), "write `name: value`", ("write `:`", span, ":"), span=span)
        yield Change(colon, at, remove=1, insert=(("COLON", ":"),))
        compare = Unexpected("`=`", ("`==`",), "write `==` to compare", ("write `==`", span, "=="), span=span)
        yield Change(compare, at, remove=1, insert=(("CMP", "=="),))
    if kind == "COLON":
        yield Change(other(":", "->", span, " before the output"), at, remove=1, insert=(("ARROW", "->"),))
    if kind == "RBRACE" and machine.accepts(["AGENT"]):
        report = recovery.unexpected(
            machine, at, hint="it closes nothing: delete it", correction=("delete it", span, "")
        )
        yield Change(report, at, remove=1, sure=before == "RBRACE")


def _words(recovery: Recovery, machine: Machine, at: int) -> Iterator[Change]:
    """A word at the begin of a statement that has been taken for a name."""
    tokens = machine.tokens
    if not (at and tokens.kinds[at - 1] == "NAME" and _sole(machine, at - 1) and machine.accepts(["RETURN"], 1)):
        return
    word, place = tokens.texts[at - 1], tokens.span(at - 1)
    if word in foreign.DROPPED:
        report = OtherLanguage(word, foreign.STATEMENTS[word], "", span=place)
        yield Change(report, at - 1, remove=1, drop=1)
    if word not in foreign.STATEMENTS:
        yield from _nearest_word(recovery, machine, at - 1, drop=1)
        if tokens.kinds[at] == "LPAR":
            insert = (("NAME", "_"), ("EQUAL", "="))
            yield Change(BareCall(word, span=place), at - 1, insert=insert, drop=1, faulty=True)


def _nearest_word(recovery: Recovery, machine: Machine, at: int, drop: int) -> Iterator[Change]:
    words = {
        recovery.spelled[kind]: kind for kind in recovery.expected(machine, drop) if kind in STATEMENTS | DECLARATIONS
    }
    word = machine.tokens.texts[at]
    near = nearest(word, sorted(words)) if len(word) > 2 else None
    if near:
        place = machine.tokens.span(at)
        report = Unexpected(
            f"`{word}`", (f"`{near}`",), f"did you mean `{near}`?", (f"write `{near}`", place, near), span=place
        )
        yield Change(report, at, remove=1, insert=((words[near], near),), drop=drop)


def _labels(recovery: Recovery, machine: Machine, at: int) -> Iterator[Change]:
    """`x: text = ...` and `x: f()`, read as a label."""
    tokens = machine.tokens
    if not (at > 1 and tokens.kinds[at - 1] == "COLON" and _sole(machine, at - 1) and machine.accepts(["LOOP"])):
        return
    span = tokens.span(at - 1)
    name = ("NAME", tokens.texts[at - 2])
    for number in range(at, min(at + 10, len(tokens.kinds))):
        if tokens.kinds[number] == "EQUAL":
            place = Span(tokens.ends[at - 2], tokens.ends[number - 1])
            report = OtherLanguage("type of a step", "leave it out: the type follows from the value", "", span=place)
            yield Change(report, at - 2, remove=number - at + 2, insert=(name,), drop=2)
            break
        if begins_line(machine, number):
            break
    report = OtherLanguage(":` before a value", "write `=`", "=", span=span)
    yield Change(report, at - 2, remove=2, insert=(name, ("EQUAL", "=")), drop=2)


def _declarations(recovery: Recovery, machine: Machine, at: int) -> Iterator[Change]:
    tokens = machine.tokens
    word, span = tokens.texts[at], tokens.span(at)
    if not word.isidentifier() or not machine.accepts(["AGENT"]):
        return
    if word in foreign.DECLARATIONS:
        kind, instead = foreign.DECLARATIONS[word]
        report = OtherLanguage(word, f"write `{instead}`", instead, span=span)
        yield Change(report, at, remove=1, insert=((kind, instead),))
    if tokens.kinds[at] == "NAME":
        yield from _nearest_word(recovery, machine, at, drop=0)


def _missing(recovery: Recovery, machine: Machine, at: int) -> Iterator[Change]:
    """A value is missing at the end of a line, and the name on the next line has been taken for it."""
    tokens = machine.tokens
    if tokens.kinds[at] in ("EQUAL", "APPEND", "COLON") and _sole(machine, at - 1) and begins_line(machine, at - 1):
        expected = expected_words(recovery.expected(machine, 1), recovery.spelled)
        place = Span(tokens.ends[at - 2], tokens.ends[at - 2]) if at > 1 else tokens.span(at - 1)
        report = Unexpected("the end of the line", expected, None, None, span=place)
        yield Change(report, at - 1, insert=(("NONE", "none"),), drop=1, faulty=True)


# ---------------------------------------------------------------- words for what no change mends


def another_language(recovery: Recovery, machine: Machine, at: int) -> Diagnostic | None:
    """The diagnostic for a construct of another language, which is not mended but left out; None if there is none."""
    tokens = machine.tokens
    kind, text, span = tokens.kinds[at], tokens.texts[at], tokens.span(at)
    before, word = (tokens.kinds[at - 1], tokens.texts[at - 1]) if at else ("", "")
    if kind == STRAY:
        return _stray(tokens, at)
    if kind == MISSPELT:
        return NoGap(text, None, span=span) if text[0].isdigit() else NameStyle(text, snake(text), span=span)
    if before == "NAME" and word in foreign.STATEMENTS and _sole(machine, at - 1) and machine.accepts(["RETURN"], 1):
        return OtherLanguage(word, foreign.STATEMENTS[word], None, span=tokens.span(at - 1))
    if kind == "COLON" and machine.accepts(["LBRACE"]):
        return OtherLanguage(":` before a block", "put the block between `{` and `}`", None, span=span)
    if kind == "FOR" and not begins_line(machine, at):
        return recovery.unexpected(machine, at, hint=foreign.OPERATORS["for"])
    hint = _hint(machine, at, kind, before)
    return recovery.unexpected(machine, at, hint=hint) if hint else None


def explain(recovery: Recovery, machine: Machine, at: int) -> Diagnostic | None:
    """The diagnostic for an error that nothing mends, where other words than the expected ones help; None elsewhere."""
    text = machine.tokens.texts[at]
    if text in foreign.OPERATORS and machine.tokens.kinds[at] != "STRING":
        return recovery.unexpected(machine, at, hint=foreign.OPERATORS[text])
    return None


def _hint(machine: Machine, at: int, kind: str, before: str) -> str | None:
    tokens = machine.tokens
    if kind == "GIVEN" and machine.accepts(["EXPECT"]):
        return "the `given` lines of a test stand before its statements"
    if kind == "LBRACE" and before == "TYPENAME":
        return "write a record with parentheses: `Review(ok: true)`"
    if kind == "LBRACE" and before in ("EQUAL", "COMMA", "COLON", "LPAR", "RETURN"):
        return "write a record with parentheses, `(name: value)`; there are no maps"
    if kind == "LPAR" and before == "NAME" and at > 1 and tokens.kinds[at - 2] == "DOT":
        return f"there are no methods: write `{tokens.texts[at - 1]}(value)`"
    if kind == "ELSE" and machine.accepts(["LBRACE"]) and "IF" in tokens.kinds[max(0, at - 20) : at]:
        return "choose with statements: `if condition { ... } else { ... }`"
    if kind == "LBRACE" and machine.accepts(["AGENT"]):
        return "a block belongs to a flow or a test"
    if machine.accepts(["AGENT"]) and (kind in STATEMENTS | BLOCKS or kind in ("NAME", "ELSE")) and before == "RBRACE":
        return "statements stand in a flow: is the `}` before this one too many?"
    return None
