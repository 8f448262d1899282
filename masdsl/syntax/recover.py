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
from masdsl.diagnostics.syntax import NameStyle, OtherLanguage, ReservedName, Unclosed, Unexpected
from masdsl.node import Span
from masdsl.syntax.expect import expected_words, found_words
from masdsl.syntax.grammar import Language
from masdsl.syntax.lex import END, STRAY, Tokens
from masdsl.syntax.looks import begins_line
from masdsl.syntax.panic import ENOUGH, brace_by_indentation, panic

if TYPE_CHECKING:
    from masdsl.syntax.machine import Machine

AHEAD = 6
"""How many tokens after a change are tried; `ENOUGH` of them must fit."""
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
        if tokens.kinds[at] == "COLON" and tokens.kinds[at + 1] != "LBRACE" and machine.accepts(["LBRACE"]):
            brace_by_indentation(machine, at)
            action = "put the block between `{` and `}`"
            block = OtherLanguage("`:` before a block", action, " {", span=tokens.span(at))
            return at if silent or self.report(block) else None
        change, diagnostic = (None, None) if self._repeats > 3 else self._change(machine, at)
        if change is None and diagnostic is None:
            diagnostic = self.unexpected(machine, at)
        if diagnostic is not None and not silent and not self.report(diagnostic):
            return None
        if change is not None:
            return self._apply(machine, change)
        return panic(machine, at, stuck=self._repeats > 3)

    def _is_silent(self, tokens: Tokens, at: int) -> bool:
        places = (tokens.starts[at], tokens.starts[at - 1] if at else 0)
        return any(span.start <= place <= span.end for span in self.silent for place in places)

    def _change(self, machine: Machine, at: int) -> tuple[Change | None, Diagnostic | None]:
        """The change that mends the error, if there is one, and what to report."""
        from masdsl.syntax.explain import another_language, explain
        from masdsl.syntax.hints import special_changes

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
        for mark in ("LBRACE", "RPAR", "RSQB", "COMMA", "COLON", "EQUAL"):
            if mark in fitting and kind != END:
                text = self.spelled[mark]
                correction = (f"write `{text}`", tokens.span(at), text)
                report = self.unexpected(machine, at, correction=correction, expected=(f"`{text}`",))
                yield Change(report, at, remove=1, insert=((mark, text),))

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
