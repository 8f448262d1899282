"""The rules of a library: kept as JSON lines, counted, and retired when they stop helping.

    rules.jsonl    a rule a line, and one line that counts the runs without any rule

A rule is retired

- after three failures in a row, or
- when it is no better than nothing: after at least five uses, where the greatest share of good runs that its counts
  still allow (the upper end of the Wilson interval at 95 %) is below the share of good runs without a rule.

A run is good for a rule if it gave an answer, and nothing had to be repaired for the cause that the rule is about. A
rule that is distilled again after it was retired begins anew.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, get_args

from masdsl.diagnostics.base import Findings
from masdsl.diagnostics.library import DamagedEntry
from masdsl.meta.immunity import Rule
from masdsl.meta.storage import locked, write_file
from masdsl.node import Span
from masdsl.rectify.base import Cause
from masdsl.source import Source

FILE: Final = "rules.jsonl"
FORM: Final = 1
MOST_BYTES: Final = 8 * 1024 * 1024
MOST_RULES: Final = 500
"""Rules that are kept; beyond that the oldest retired ones go, and then nothing more is learned."""
IN_A_ROW: Final = 3
"""Failures in a row after which a rule is retired."""
LEAST_USES: Final = 5
"""Uses, and runs without a rule, from which on shares are compared."""
Z: Final = 1.96
"""The normal quantile of a two-sided 95 % interval."""


class Book(NamedTuple):
    """The rules of a library, the oldest first, and how runs without any of them went: `good` of `runs`.

    `unread` are lines that nobody understands; they are kept as they are.
    """

    rules: tuple[Rule, ...] = ()
    runs: int = 0
    good: int = 0
    unread: tuple[str, ...] = ()

    @property
    def active(self) -> tuple[Rule, ...]:
        """The rules that are applied."""
        return tuple(rule for rule in self.rules if not rule.retired)


# ---------------------------------------------------------------- on disk


def read_book(folder: str, findings: Findings) -> Book:
    """Return the rules of a library; what cannot be read is a finding at its line, and left out."""
    path = os.path.join(folder, FILE)
    source = Source(path, "")
    try:
        with open(path, "rb") as file:
            data = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        return Book()
    except OSError as error:
        reason = (error.strerror or "it is no file").lower()
        findings.add(source, DamagedEntry(path, reason, "check the file, or remove it", span=Span(0, 0)))
        return Book()
    if len(data) > MOST_BYTES:
        reason = f"it has more than {MOST_BYTES:,} bytes"
        findings.add(source, DamagedEntry(path, reason, "remove lines, or the file", span=Span(0, 0)))
        return Book()
    return _book_of(Source(path, data.decode("utf-8", "replace")), findings)


def _book_of(source: Source, findings: Findings) -> Book:
    rules: dict[str, Rule] = {}
    unread: list[str] = []
    runs = good = at = 0
    for line in source.text.split("\n"):
        span = Span(at, at + len(line))
        at += len(line) + 1
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
            if "masdsl_runs" in entry:
                runs, good = _count(entry["masdsl_runs"]), _count(entry["good"])
            else:
                rule = rule_of(entry)
                rules[rule.name] = rule
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
            reason = str(error).splitlines()[0] if isinstance(error, ValueError) else "it is no rule"
            findings.add(source, DamagedEntry("this rule", reason, "mend the line, or remove it", span=span))
            unread.append(line)
    return Book(tuple(rules.values()), runs, min(good, runs), tuple(unread))


def rule_of(data: Mapping[str, Any]) -> Rule:
    """Return a rule from its JSON data. Raises ValueError, TypeError or LookupError for what is none."""
    if data["masdsl_rule"] != FORM:
        raise ValueError("it was written by a later masdsl")
    if data["cause"] not in get_args(Cause):
        raise ValueError("it has an unknown cause")
    guard, edits = data["guard"], data["edits"]
    own: dict[str, Any] = {name: data[name] for name in Rule._fields}
    counts = ("seen", "uses", "successes", "failures", "row")
    every = (*guard, *guard.values(), *edits, *(own[name] for name in own if name not in (*counts, "guard", "edits")))
    if not guard or not edits or not isinstance(edits, list) or not all(isinstance(one, str) for one in every):
        raise TypeError
    return Rule(**{**own, **{name: _count(own[name]) for name in counts}, "guard": dict(guard), "edits": tuple(edits)})


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise TypeError
    return value


def _text_of(book: Book) -> str:
    lines = [json.dumps({"masdsl_rule": FORM, **rule.to_json()}) for rule in book.rules]
    if book.runs:
        lines.append(json.dumps({"masdsl_runs": book.runs, "good": book.good}))
    return "".join(f"{line}\n" for line in (*book.unread, *lines))


def change(folder: str, changed: Callable[[Book], Book]) -> Book:
    """Change the rules of a library, alone among all processes, and return them. Raises LibraryError."""
    with locked(folder):
        before = read_book(folder, Findings())
        after = changed(before)
        if after != before:
            write_file(os.path.join(folder, FILE), _text_of(after))
    return after


# ---------------------------------------------------------------- counting


def learned(book: Book, rule: Rule) -> Book:
    """Return a book with a rule that was distilled: one more time, anew if it was retired, or for the first time."""
    for at, known in enumerate(book.rules):
        if known.name == rule.name:
            again = known._replace(seen=known.seen + 1)
            if known.retired:
                again = rule._replace(seen=known.seen + 1)
            return book._replace(rules=(*book.rules[:at], again, *book.rules[at + 1 :]))
    rules = book.rules
    if len(rules) >= MOST_RULES:
        oldest = next((at for at, known in enumerate(rules) if known.retired), None)
        if oldest is None:
            return book
        rules = (*rules[:oldest], *rules[oldest + 1 :])
    return book._replace(rules=(*rules, rule))


def counted(book: Book, used: Mapping[str, bool], good: bool) -> Book:
    """Return a book after a run: `used` says of the rules that changed its program whether it was good for them."""
    if not used:
        return book._replace(runs=book.runs + 1, good=book.good + good)
    rules = tuple(_after(rule, used[rule.name], book) if rule.name in used else rule for rule in book.rules)
    return book._replace(rules=rules)


def _after(rule: Rule, good: bool, book: Book) -> Rule:
    rule = rule._replace(
        uses=rule.uses + 1,
        successes=rule.successes + good,
        failures=rule.failures + (not good),
        row=0 if good else rule.row + 1,
    )
    return rule._replace(retired=rule.retired or why_retired(rule, book.runs, book.good))


def why_retired(rule: Rule, runs: int, good: int) -> str:
    """Return why a rule does not help any more; nothing where it may still do so."""
    if rule.row >= IN_A_ROW:
        return f"{rule.row} failures in a row"
    if rule.uses >= LEAST_USES and runs >= LEAST_USES and wilson_upper(rule.successes, rule.uses) < good / runs:
        return f"good in {rule.successes} of {rule.uses} uses, and {good} of {runs} runs were good without a rule"
    return ""


def wilson_upper(successes: int, uses: int) -> float:
    """Return the upper end of the Wilson score interval of a share at 95 % (Wilson, 1927); 1 for no uses."""
    if not uses:
        return 1.0
    share, spread = successes / uses, Z * Z / uses
    middle = share + spread / 2
    upper = (middle + Z * math.sqrt(share * (1 - share) / uses + spread / (4 * uses))) / (1 + spread)
    return min(max(upper, share), 1.0)
