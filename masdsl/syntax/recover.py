"""Recovery from syntax errors: every fault is reported once, and as much as can be is parsed.

An error is first treated as a slip of one token: a few changes of the tokens around it are tried, and the first after
which the parse goes on for several tokens is made. Otherwise the parser gives up the construct it is in (panic): it
skips to a token that can begin another one, or end the block, and drops what was begun. Both leave the parser in a
state that it could have been in, so one fault does not make others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from masdsl import limits
from masdsl.diagnostics.base import Diagnostic
from masdsl.diagnostics.syntax import NameStyle, ReservedName, Unclosed, Unexpected
from masdsl.node import Span
from masdsl.syntax.expect import expected_words, found_words
from masdsl.syntax.grammar import Language
from masdsl.syntax.lex import END, STRAY, Tokens

if TYPE_CHECKING:
    from masdsl.syntax.machine import Machine

AHEAD = 6
"""How many tokens after a change are tried."""
ENOUGH = 3
"""How many of them must fit."""

DECLARATIONS = frozenset({"USE", "TYPE", "TOOL", "AGENT", "FLOW", "BUDGET", "RECTIFY", "TEST"})
BLOCKS = frozenset({"LOOP", "FOR", "WITHIN", "IF", "MATCH"})
STATEMENTS = BLOCKS | {"UNTIL", "RETURN", "GIVEN", "EXPECT"}
EDITS = frozenset(
    {"SET", "BIND", "ADD", "DROP", "REPLACE", "AFTER", "BEFORE", "WRAP", "OTHERWISE", "RENAME", "REDO", "BUDGET"}
)
_LISTS = ("statement", "item", "arm", "given", "expect", "edit", "assignment")
_SPARE = frozenset({"COMMA", "RPAR", "RSQB", "DOT", "COLON", "EQUAL", "OPT", "STAR", "SLASH", "PLUS", "CMP", "BAR"})
"""Marks that are rather deleted where they do not fit than completed."""
_CLOSERS = {"LPAR": "RPAR", "LSQB": "RSQB", "LBRACE": "RBRACE"}


class Change(NamedTuple):
    """A change of the tokens: `drop` values go from the stack; `remove` tokens from number `at` on are replaced by
    `insert`, pairs of kind and text. `report` makes the diagnostic. `faulty`: the construct around it says something
    else than was written and is left out of the tree."""

    report: Diagnostic | None
    at: int
    remove: int = 0
    insert: tuple[tuple[str, str], ...] = ()
    drop: int = 0
    faulty: bool = False
    sure: bool = False
    """Whether it is right whatever follows."""


class Recovery:
    """The recoveries of one parse."""

    def __init__(self, text: str, language: Language, report: Callable[[Diagnostic], bool], silent: list[Span]) -> None:
        """`report` records a diagnostic and says whether there may be more. Errors at places in `silent`, and right
        after them, are not reported, for they follow from others."""
        self.text = text
        self.language = language
        words = language.lexicon.keywords
        self.reserved = frozenset(language.lexicon.reserved)
        self.spelled = {kind: text for text, kind in (words | language.lexicon.marks).items()}
        self.report = report
        self.silent = silent
        self.named: set[str] = set()
        """Names whose spelling has been reported."""
        self._expected: tuple[int, frozenset[str]] | None = None
        self._last_offset = -1
        self._last_kind = ""
        self._repeats = 0

    # -- the way in

    def recover(self, machine: Machine, at: int) -> int | None:
        """Deal with the token at which the machine cannot go on. Returns the token to go on at, None to give up."""
        tokens = machine.tokens
        offset = tokens.starts[at]
        self._repeats = self._repeats + 1 if offset <= self._last_offset else 0
        again = tokens.kinds[at] == self._last_kind == "GIVEN"  # a test whose `given` lines come too late
        silent = offset <= self._last_offset or again or self._is_silent(tokens, at)
        self._last_kind = tokens.kinds[at]
        self._last_offset = max(offset, self._last_offset)
        self._expected = None
        change, diagnostic = (None, None) if self._repeats > 3 else self._change(machine, at)
        if change is None and diagnostic is None:
            diagnostic = self.unexpected(machine, at)
        if diagnostic is not None and not silent and not self.report(diagnostic):
            return None
        if change is not None:
            return self._apply(machine, change)
        return _panic(machine, at, stuck=self._repeats > 3)

    def _is_silent(self, tokens: Tokens, at: int) -> bool:
        places = (tokens.starts[at], tokens.starts[at - 1] if at else 0)
        return any(span.start <= place <= span.end for span in self.silent for place in places)

    def _change(self, machine: Machine, at: int) -> tuple[Change | None, Diagnostic | None]:
        """The change that mends the error, if there is one, and what to report."""
        from masdsl.syntax.hints import another_language, explain, special_changes

        for change in special_changes(self, machine, at):
            if change.sure or self.fits(machine, change) >= ENOUGH:
                return change, change.report
        diagnostic = another_language(self, machine, at)
        if diagnostic is None:
            best = self._best_change(machine, at)
            if best is not None:
                return best, best.report
            diagnostic = explain(self, machine, at)
        return None, diagnostic

    def _best_change(self, machine: Machine, at: int) -> Change | None:
        best, best_score = None, ENOUGH - 1
        for change in self._general_changes(machine, at):
            score = self.fits(machine, change)
            if score > best_score:
                best, best_score = change, score
        return best or self._close_brackets(machine, at)

    def _close_brackets(self, machine: Machine, at: int) -> Change | None:
        """Close what is open where a line begins that cannot go on the line before, though it has a fault itself."""
        if not begins_line(machine, at):
            return None
        tokens = machine.tokens
        closers: list[str] = []
        while len(closers) < limits.BRACKET_DEPTH:
            closer = next((mark for mark in ("RPAR", "RSQB") if machine.accepts([*closers, mark]) > len(closers)), None)
            if closer is None:
                return None
            closers.append(closer)
            if machine.accepts([*closers, "RETURN"]) > len(closers):
                opener = self.opener(tokens, at, closers[0])
                if opener is None:
                    return None
                report = Unclosed(self.spelled[closers[0]], opener, span=tokens.span(at))
                return Change(report, at, insert=tuple((mark, self.spelled[mark]) for mark in closers))
        return None

    def fits(self, machine: Machine, change: Change) -> int:
        """How many tokens after the change could be parsed (as many as `AHEAD` if the text ends before)."""
        kinds = machine.tokens.kinds
        rest = kinds[change.at + change.remove : change.at + change.remove + AHEAD]
        if STRAY in rest:
            rest = [kind for kind in rest if kind != STRAY]
        accepted = machine.accepts([*(kind for kind, _ in change.insert), *rest], change.drop) - len(change.insert)
        return AHEAD if accepted == len(rest) else accepted

    def _apply(self, machine: Machine, change: Change) -> int:
        tokens = machine.tokens
        at, end = change.at, change.at + change.remove
        if change.drop:
            machine.pop(change.drop)
        if change.remove:
            start, stop = tokens.starts[at], tokens.ends[end - 1]
        else:
            start = stop = tokens.ends[at - 1] if at else tokens.starts[at]
        if change.faulty:
            machine.faulty.append(start)
        if isinstance(change.report, (ReservedName, NameStyle)):
            self.named.add(tokens.texts[at])
        tokens.replace(at, end, change.insert, Span(start, stop))
        return at

    # -- slips of one token

    def _general_changes(self, machine: Machine, at: int) -> Iterator[Change]:
        tokens = machine.tokens
        kind = tokens.kinds[at]
        gap = Span(tokens.ends[at - 1], tokens.ends[at - 1]) if at else Span(0, 0)
        fitting = self.expected(machine)
        for mark in ("RPAR", "RSQB", "COMMA", "COLON", "EQUAL", "LBRACE", "ARROW", "OF", "IN", "LPAR"):
            if mark not in fitting:
                continue
            text = self.spelled[mark]
            opener = self.opener(tokens, at, mark) if mark in ("RPAR", "RSQB") else None
            if mark in ("RPAR", "RSQB") and opener is None:
                continue
            if opener is not None:
                report: Diagnostic = Unclosed(text, opener, span=tokens.span(at) if kind != END else gap)
            else:
                title = f"write `{text}` before {found_words(kind, tokens.texts[at])}"
                written = f" {text}" if text[0].isalpha() or mark in ("EQUAL", "LBRACE", "ARROW") else text
                report = self.unexpected(machine, at, correction=(title, gap, written), expected=(f"`{text}`",))
            yield Change(report, at, insert=((mark, text),))
        correction = ("delete it", tokens.span(at), "")
        delete = Change(self.unexpected(machine, at, correction=correction), at, remove=1)
        if kind in _SPARE:
            yield delete
        for hole, text in (("NAME", "_"), ("INT", "1"), ("TYPENAME", "T"), ("STRING", '""'), ("NONE", "none")):
            if hole not in fitting:
                continue
            yield Change(self.unexpected(machine, at, missing=True), at, insert=((hole, text),), faulty=True)
        if kind != END and kind not in _SPARE:
            yield delete

    def opener(self, tokens: Tokens, at: int, closer: str) -> Span | None:
        """The bracket before token `at` that is still open and that `closer` would close."""
        open_ = []
        for number in range(self._phrase_start(tokens, at), at):
            kind = tokens.kinds[number]
            if kind in _CLOSERS:
                open_.append(number)
            elif open_ and kind == _CLOSERS[tokens.kinds[open_[-1]]]:
                open_.pop()
        if open_ and _CLOSERS[tokens.kinds[open_[-1]]] == closer:
            return tokens.span(open_[-1])
        return None

    @staticmethod
    def _phrase_start(tokens: Tokens, at: int) -> int:
        """Where a bracket that is open at `at` can have been opened: after the last brace, not too far away."""
        start = at
        while start > 0 and at - start < 2_000 and tokens.kinds[start - 1] not in ("LBRACE", "RBRACE"):
            start -= 1
        return start

    # -- words

    def expected(self, machine: Machine, drop: int = 0) -> frozenset[str]:
        """The kinds of tokens that could really come next, if the last `drop` values were not there."""
        if self._expected is None or self._expected[0] != drop:
            row = machine.language.tables.actions[machine.states[-1 - drop]]
            self._expected = drop, frozenset(kind for kind in row if machine.accepts([kind], drop))
        return self._expected[1]

    def unexpected(
        self,
        machine: Machine,
        at: int,
        *,
        hint: str | None = None,
        correction: tuple[str, Span, str] | None = None,
        expected: tuple[str, ...] | None = None,
        missing: bool = False,
    ) -> Diagnostic:
        """The general diagnostic for a token that does not fit. `missing`: for something is missing before it."""
        tokens = machine.tokens
        if expected is None:
            expected = expected_words(self.expected(machine), self.spelled)
        span = tokens.span(at)
        found = found_words(tokens.kinds[at], tokens.texts[at])
        if at and (missing or tokens.kinds[at] == END):
            span = Span(tokens.ends[at - 1], tokens.ends[at - 1])
            if tokens.kinds[at] != END and begins_line(machine, at):
                found = "the end of the line"
        return Unexpected(found, expected, hint, correction, span=span)


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


def _panic(machine: Machine, at: int, *, stuck: bool) -> int | None:
    """Skip to where something can begin or end, and drop what was begun. None if the text ends first."""
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
        elif _may_begin(machine, number, depth):
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


def _depth(kinds: list[str]) -> int:
    depth = 0
    for kind in kinds:
        depth = max(0, depth + (kind in ("LPAR", "LSQB")) - (kind in ("RPAR", "RSQB")))
    return depth


def begins_line(machine: Machine, number: int) -> bool:
    """Whether a token is the first of its line."""
    starts = machine.tokens.starts
    return number == 0 or "\n" in machine.recovery.text[starts[number - 1] : starts[number]]


def stands_out(machine: Machine, number: int) -> bool:
    """Whether a token is the first of a line that is not indented, or the end: surely not a part of a block."""
    start = machine.tokens.starts[number]
    return machine.tokens.kinds[number] == END or start == 0 or machine.recovery.text[start - 1] == "\n"


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
    return depth == 0 and begins_line(machine, number)  # a faulty statement, to be reported as such


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
    if number == at and before in ("EQUAL", "COMMA", "COLON", "LPAR", "LSQB", "RETURN", "TYPENAME", "ELSE"):
        return None  # braces in place of a value
    if "arm" in symbols:
        return ("NAME", "_"), ("LBRACE", "{")
    if "statement" in symbols:
        return ("IF", "if"), ("TRUE", "true"), ("LBRACE", "{")
    if "item" in symbols and (kinds[first] == "TEST" or before == "STRING"):
        return ("TEST", "test"), ("STRING", '""'), ("LBRACE", "{")
    if "item" in symbols and "LPAR" in kinds[first:number]:
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
