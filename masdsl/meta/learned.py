"""What a session takes from the user's library, and gives back to it.

It takes the modules as examples, the rules that earlier repairs have taught, and the records by which self-consistency
may be preferred. Afterwards the rules that changed its program are counted, and a repair after which its run finished
is distilled into a rule.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime

from masdsl.diagnostics.base import Findings
from masdsl.meta.fallback import choice_by
from masdsl.meta.fitting import declared_tools, granted_to
from masdsl.meta.host import NAME, Host, within
from masdsl.meta.immunity import Rule, apply, distil
from masdsl.meta.library import entries, folder_of, known_systems
from masdsl.meta.outcome import Attempt, Seams, Solved
from masdsl.meta.rulebook import Book, change, counted, learned, read_book
from masdsl.meta.storage import LibraryError
from masdsl.meta.task import Task
from masdsl.patch.patching import apply_patch
from masdsl.rectify.base import Intervention
from masdsl.source import Source


def seams_of(host: Host) -> Seams:
    """Return what the user's library gives to a session: nothing where there is none, or none that can be read."""
    try:
        folder = folder_of(host.config)
    except LibraryError:
        return Seams()
    rules = read_book(folder, Findings()).active

    def ended(task: Task, solved: Solved) -> None:
        with suppress(LibraryError):  # nothing can be learned where nothing can be written; the answer stands
            learn(folder, bool(rules), task, solved, host)

    found = entries(folder, Findings())
    return Seams(known_systems(found), tuple(AppliedRule(rule) for rule in rules), choice_by(found), ended)


class AppliedRule:
    """A rule, as a session applies it."""

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self.name = rule.name

    def apply(self, system: str, task: Task, host: Host) -> str | None:
        """Return the program after the rule; None where it has nothing to say about it, or may not be applied."""
        done = apply(self._rule, system, host)
        return None if done is None else done.text


def learn(folder: str, has_rules: bool, task: Task, solved: Solved, host: Host) -> None:
    """Count the rules that a session used, and keep those that it teaches. Raises LibraryError."""
    if solved.designed is None or not solved.attempts or solved.stopped:
        return
    system, first = solved.designed.system, solved.attempts[0]
    host = granted_to(host, declared_tools(task))
    host = host._replace(config=within(host.config, task.budget))
    found = () if first.failed else tuple(lessons(system.text, first.interventions, host, solved.session))
    if not found and not has_rules:
        return
    used = {rule.name for rule in read_book(folder, Findings()).rules if rule.name in system.rules}
    causes = _repaired(first)

    def changed(book: Book) -> Book:
        good = {rule.name: not first.failed and rule.cause not in causes for rule in book.rules if rule.name in used}
        book = counted(book, good, not first.failed and not causes)
        for rule in found:
            book = learned(book, rule)
        return book

    change(folder, changed)


def lessons(text: str, asked: Sequence[Intervention], host: Host, origin: str) -> Iterator[Rule]:
    """Yield what the interventions of a run teach that began with a program and finished."""
    for before, one in repairs(text, asked):
        rule = distil(before, one, host, origin=f"{origin}, {one.who}", made=now())
        if isinstance(rule, Rule):
            yield rule


def now() -> str:
    """Return when something is learned: ISO 8601, UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def repairs(text: str, asked: Sequence[Intervention]) -> Iterator[tuple[str, Intervention]]:
    """Yield the accepted interventions of a run that began with a program, each with the program that it changed."""
    for one in asked:
        if not one.accepted or not one.patch:
            continue
        yield text, one
        patched = apply_patch(Source("<patch>", one.patch), Source(NAME, text), Findings())
        if patched is None:
            return
        text = patched.source.text


def _repaired(attempt: Attempt) -> set[str]:
    """Return the causes for which a run was patched."""
    return {one.trigger.cause for one in attempt.interventions if one.accepted}
