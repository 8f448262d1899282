"""The LALR(1) loop: shifts tokens and reduces rules over the grammar's tables, building the tree as it goes.

An error goes to `recover.py`, which changes the tokens or the stack and lets the loop go on.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

from masdsl.node import Span
from masdsl.syntax.build import BUILDERS, LEAVES, Site
from masdsl.syntax.grammar import Language
from masdsl.syntax.lex import Tokens
from masdsl.syntax.tables import ACCEPT

if TYPE_CHECKING:
    from masdsl.syntax.recover import Recovery

_DECLARED = (
    "use",
    "record_decl",
    "enum_decl",
    "tool",
    "agent",
    "variant",
    "extern",
    "budget",
    "rectify",
    "flow",
    "test",
)
_STATED = ("bind", "append", "until", "return_", "block", "choice", "match_", "elif", "else_", "arm")
_TESTED = ("given_value", "given_reply", "given_failure", "expect")
_EDITED = ("assignment", "set", "rebind", "add", "drop", "replace", "after", "before", "wrap")
_EDITED_TOO = ("otherwise", "rename", "redo", "rebudget")
DROPPABLE = frozenset((*_DECLARED, *_STATED, *_TESTED, *_EDITED, *_EDITED_TOO))
"""Rules whose value may be left out: what is faulty goes with the smallest of these around it."""


class Machine:
    """A parse in progress.

    `values[i]` is what was shifted or reduced to on the way from `states[i]` to `states[i + 1]`; it begins at the
    offset `starts[i]`. `faulty` holds offsets: what is built over one of them is left out, and `left_out` tells where
    that was.
    """

    def __init__(
        self, language: Language, tokens: Tokens, site: Site, recovery: Callable[[Language], Recovery]
    ) -> None:
        self.language = language
        self.tokens = tokens
        self.site = site
        self._recovery_of = recovery
        self.states = [language.tables.start]
        self.values: list[Any] = []
        self.starts: list[int] = []
        self.faulty: list[int] = []
        self.left_out: list[Span] = []

    @cached_property
    def recovery(self) -> Recovery:
        """What to do about errors; made with the first of them."""
        return self._recovery_of(self.language)

    def run(self) -> Any:
        """Parse all tokens. Returns the value of the start symbol, or None if recovery gives up."""
        kinds, texts, token_starts, token_ends, _ = self.tokens
        _, actions, gotos, rules = self.language.tables
        site, states, values, starts, faulty = self.site, self.states, self.values, self.starts, self.faulty
        leaves, builders = LEAVES, BUILDERS
        at = end = 0
        while True:
            kind = kinds[at]
            action = actions[states[-1]].get(kind)
            if action is None:
                # Whatever follows, what is complete is reduced, so that recovery finds it whole.
                action = self._only_reduction()
            while action is not None and action < 0:
                size, origin, builder = rules[~action]
                if not builder:
                    states[-1] = gotos[states[-2]][origin]
                else:
                    children: list[Any] = []
                    for value in values[-size:]:
                        if value is None:
                            continue
                        if value.__class__ is list:
                            if children:
                                children += value
                            else:
                                children = value
                        else:
                            children.append(value)
                    del states[-size:]
                    del values[-size:]
                    if size > 1:
                        del starts[1 - size :]
                    if builder == "*":
                        values.append(children)
                    else:
                        span = Span(starts[-1], end)
                        if faulty and builder in DROPPABLE and self._leave_out(span):
                            values.append(None)
                        else:
                            values.append(builders[builder](site, children, span))
                    states.append(gotos[states[-1]][origin])
                action = actions[states[-1]].get(kind)
                if action is None:
                    action = self._only_reduction()
            if action is None:
                row = actions[states[-1]]
                if "NAME" in row and kind in self.language.soft:
                    kinds[at] = "NAME"
                elif kind == "APPEND" and "PLUS" in row and "CMP" not in row:  # `x: text[3]+= []`
                    self.tokens.split(at, "PLUS", "+", "EQUAL", "=")
                else:
                    found = self.recovery.recover(self, at)
                    if found is None:
                        return None
                    at, end = found, token_ends[found - 1] if found else 0
                continue
            if action == ACCEPT:
                return values[-1]
            leaf = leaves.get(kind)
            start, end = token_starts[at], token_ends[at]
            states.append(action)
            starts.append(start)
            values.append(None if leaf is None else leaf(site, texts[at], Span(start, end)))
            at += 1

    def _only_reduction(self) -> int | None:
        """The reduction that the last state makes before any token, if it can do nothing else."""
        possible = set(self.language.tables.actions[self.states[-1]].values())
        action = possible.pop()
        return action if action < 0 and not possible else None

    def _leave_out(self, span: Span) -> bool:
        inside = [offset for offset in self.faulty if span.start <= offset <= span.end]
        for offset in inside:
            self.faulty.remove(offset)
        if inside:
            self.left_out.append(span)
        return bool(inside)

    def accepts(self, kinds: list[str], drop: int = 0) -> int:
        """How many of these tokens could come next, one after the other, if the last `drop` values were not there."""
        _, actions, gotos, rules = self.language.tables
        soft, states = self.language.soft, self.states
        base = len(states) - drop
        over: list[int] = []  # the stack is states[:base] + over
        for number, kind in enumerate(kinds):
            while True:
                row = actions[over[-1] if over else states[base - 1]]
                action = row.get(kind)
                if action is None and kind in soft and "NAME" in row:
                    kind = "NAME"
                    continue
                if action is None:
                    return number
                if action >= 0:
                    break
                size, origin, _ = rules[~action]
                if size <= len(over):
                    del over[len(over) - size :]
                else:
                    base -= size - len(over)
                    over.clear()
                over.append(gotos[over[-1] if over else states[base - 1]][origin])
            if action == ACCEPT:
                return len(kinds)
            over.append(action)
        return len(kinds)

    def pop(self, count: int) -> None:
        """Drop the last values."""
        if count:
            del self.states[-count:]
            del self.values[-count:]
            del self.starts[-count:]
