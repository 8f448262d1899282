"""What a diagnostic is.

Every code is one class whose docstring is its page (`mas explain CODE`), whose `Bad` block is a program that gives
exactly this code and whose `Good` block is one that gives none; the tests run both. To add one: write the class in
the file of its range, raise it at one place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, NamedTuple

from masdsl.node import Node, Span
from masdsl.source import Source

ERROR = "error"
WARNING = "warning"


class Label(NamedTuple):
    """A remark at a place of the same source."""

    span: Span
    text: str


SAFE = "safe"
SUGGESTED = "suggested"


class Fix(NamedTuple):
    """A change that mends the fault: replacements of spans, to be applied together.

    `applicability` is `SAFE` where the program keeps its meaning or the fault is an obvious slip; `mas fix` applies
    such a change by itself. `SUGGESTED` is a guess, or changes what the program does: somebody should look at it.
    """

    title: str
    replacements: tuple[tuple[Span, str], ...]
    applicability: str = SUGGESTED


class Diagnostic(Node):
    """Base of all diagnostics. Subclasses add typed fields and say the four parts: what, where, why, next.

    `span` is the place. Class variables: `code` is stable for ever; `severity` is error or warning.
    """

    code: ClassVar[str] = ""
    severity: ClassVar[str] = ERROR

    def title(self) -> str:
        """What is wrong: one sentence without a full stop, names in backticks."""
        raise NotImplementedError

    def label(self) -> str:
        """What is wrong at this very place, a few words; may be empty."""
        return ""

    def help(self) -> str:
        """The one next action."""
        raise NotImplementedError

    def labels(self) -> tuple[Label, ...]:
        """Further places of the same source that matter, such as the first definition."""
        return ()

    def fix(self) -> Fix | None:
        """A change that a machine may apply, where one exists."""
        return None


class Finding(NamedTuple):
    """A diagnostic in the source that it is about."""

    source: Source
    diagnostic: Diagnostic


class Suppressed(NamedTuple):
    """A finding that the program or the configuration allows, and the reason that is given there.

    `external` says that the configuration allows it; otherwise a comment of the program does.
    """

    finding: Finding
    reason: str
    external: bool


class Findings:
    """Collects findings from all stages; `ok` while there is no error. At most one for the same code and place."""

    def __init__(self) -> None:
        self._findings: list[Finding] = []
        self._seen: set[tuple[str, str, Span]] = set()
        self.ok = True
        self.suppressed: list[Suppressed] = []
        """What was taken out because it is allowed, in order; it counts nowhere."""

    def add(self, source: Source, diagnostic: Diagnostic) -> None:
        """Record a diagnostic about `source`."""
        key = (source.name, diagnostic.code, diagnostic.span)
        if key in self._seen:
            return
        self._seen.add(key)
        self._findings.append(Finding(source, diagnostic))
        self.ok = self.ok and diagnostic.severity != ERROR

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._findings)

    def mark(self) -> int:
        """Return a mark for `rollback`."""
        return len(self._findings)

    def since(self, mark: int) -> tuple[Finding, ...]:
        """Return the findings since a mark."""
        return tuple(self._findings[mark:])

    def rollback(self, mark: int) -> None:
        """Forget all findings since the mark: a stage that has to look at something twice reports once."""
        for source, diagnostic in self._findings[mark:]:
            self._seen.discard((source.name, diagnostic.code, diagnostic.span))
        del self._findings[mark:]
        self.ok = all(finding.diagnostic.severity != ERROR for finding in self._findings)

    def suppress(self, allowed: Callable[[Finding], Suppressed | None]) -> None:
        """Move the findings that are allowed to `suppressed`: those for which `allowed` returns more than None."""
        kept: list[Finding] = []
        for finding in self._findings:
            taken = allowed(finding)
            if taken is None:
                kept.append(finding)
            else:
                self.suppressed.append(taken)
        self._findings = kept
        self.ok = all(finding.diagnostic.severity != ERROR for finding in kept)

    def sorted(self) -> tuple[Finding, ...]:
        """Return all findings by source (in order of appearance), then by place."""
        order = {
            name: number for number, name in enumerate(dict.fromkeys(finding.source.name for finding in self._findings))
        }
        return tuple(sorted(self._findings, key=lambda f: (order[f.source.name], f.diagnostic.span, f.diagnostic.code)))
