"""What was probably meant: the usual slips of people and models, each with the change that mends it."""

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
    Unclosed,
    Unexpected,
)
from masdsl.node import Span
from masdsl.syntax import foreign
from masdsl.syntax.expect import expected_words
from masdsl.syntax.explain import stray
from masdsl.syntax.heads import head_changes
from masdsl.syntax.lex import END, MISSPELT, STRAY, Tokens
from masdsl.syntax.looks import DECLARATIONS, STATEMENTS, adjacent, begins_line, camel, snake, sole, stands_out
from masdsl.syntax.recover import Change

if TYPE_CHECKING:
    from masdsl.syntax.machine import Machine
    from masdsl.syntax.recover import Recovery

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
        _prefix,
        _words,
        _labels,
        head_changes,
        _declarations,
    ):
        yield from changes(recovery, machine, at)


def _strays(recovery: Recovery, machine: Machine, at: int) -> Iterator[Change]:
    tokens = machine.tokens
    if tokens.kinds[at] != STRAY:
        return
    report = stray(tokens, at)
    yield Change(report, at, remove=1)
    if tokens.texts[at] == ";":
        yield Change(report, at, remove=1, insert=(("COMMA", ","),))


def _missing_braces(recovery: Recovery, machine: Machine, at: int) -> Iterator[Change]:
    tokens = machine.tokens
    kind = tokens.kinds[at]
    if kind == "ELSE" or (kind in ("LBRACE", "BAR") and sole(machine, at - 1)):  # of an `if`; the next arm
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
        if drop and (not sole(machine, number) or machine.tokens.kinds[number] == "GIVEN"):
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
    if at and tokens.kinds[at - 1] == "TYPENAME" and sole(machine, at - 1):
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


def _values(recovery: Recovery, machine: Machine, at: int) -> Iterator[Change]:
    tokens = machine.tokens
    text = tokens.texts[at - 1] if at else ""
    if text in foreign.VALUES and sole(machine, at - 1):
        kind, instead = foreign.VALUES[text]
        report = OtherLanguage(text, f"write `{instead}`", instead, span=tokens.span(at - 1))
        yield Change(report, at - 1, remove=1, insert=((kind, instead),), drop=1)


def _marks(recovery: Recovery, machine: Machine, at: int) -> Iterator[Change]:
    """Operators of other languages, and those of this one at a wrong place."""
    tokens = machine.tokens
    kind, text, span = tokens.kinds[at], tokens.texts[at], tokens.span(at)
    before = tokens.kinds[at - 1] if at else ""
    pair = text + tokens.texts[at + 1] if adjacent(tokens, at) else ""
    last_pair = tokens.texts[at - 1] + text if at and adjacent(tokens, at - 1) else ""
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
    if last_pair == ":=" and before == "COLON" and at > 1 and sole(machine, at - 1):
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


def _prefix(recovery: Recovery, machine: Machine, at: int) -> Iterator[Change]:
    """`f"..."` and the like: a name that touches a string."""
    tokens = machine.tokens
    word = tokens.texts[at - 1] if at else ""
    if tokens.kinds[at] == "STRING" and word in ("f", "r", "b", "u", "rf", "fr") and adjacent(tokens, at - 1):
        report = OtherLanguage(f'{word}"..."', "delete the prefix; `+` joins texts", "", span=tokens.span(at - 1))
        yield Change(report, at - 1, remove=1, drop=1)


def _words(recovery: Recovery, machine: Machine, at: int) -> Iterator[Change]:
    """A word at the begin of a statement that has been taken for a name."""
    tokens = machine.tokens
    if not (at and tokens.kinds[at - 1] == "NAME" and sole(machine, at - 1)):
        return
    word, place = tokens.texts[at - 1], tokens.span(at - 1)
    if word == "case" and machine.accepts(["NAME", "LBRACE"], 1) == 2:
        yield Change(OtherLanguage(word, foreign.STATEMENTS[word], "", span=place), at - 1, remove=1, drop=1)
    if not machine.accepts(["RETURN"], 1):
        return
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
    if not (at > 1 and tokens.kinds[at - 1] == "COLON" and sole(machine, at - 1) and machine.accepts(["LOOP"])):
        return
    span = tokens.span(at - 1)
    name = ("NAME", tokens.texts[at - 2])
    for number in range(at, min(at + 10, len(tokens.kinds))):
        if tokens.kinds[number] == "EQUAL":
            place = Span(tokens.ends[at - 2], tokens.ends[number - 1])
            report = OtherLanguage("types of steps", "leave it out: the type follows from the value", "", span=place)
            yield Change(report, at - 2, remove=number - at + 2, insert=(name,), drop=2)
            break
        if begins_line(machine, number):
            break
    report = OtherLanguage("`:` before a value", "write `=`", "=", span=span)
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
    if tokens.kinds[at] in ("EQUAL", "APPEND", "COLON") and sole(machine, at - 1) and begins_line(machine, at - 1):
        expected = expected_words(recovery.expected(machine, 1), recovery.spelled)
        place = Span(tokens.ends[at - 2], tokens.ends[at - 2]) if at > 1 else tokens.span(at - 1)
        report = Unexpected("the end of the line", expected, None, None, span=place)
        yield Change(report, at - 1, insert=(("NONE", "none"),), drop=1, faulty=True)
