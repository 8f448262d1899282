"""What the parts of the checker share while they turn a module into a `Program`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeAlias, TypeVar

from masdsl.check.cursor import Watch
from masdsl.check.program import Agent, Extern, Flow, Param, Tool
from masdsl.check.relations import show
from masdsl.check.scope import Declared, ModuleScope, Names
from masdsl.config import Config
from masdsl.diagnostics.base import Diagnostic, Finding, Findings
from masdsl.node import Span
from masdsl.source import Source
from masdsl.syntax import ast
from masdsl.types import Enum, Record, Type


class Callee(NamedTuple):
    """Something that a step calls, resolved: kind is agent, tool or flow and `key` its key in the program's tables."""

    kind: str
    key: str
    name: str
    params: tuple[Param, ...]
    returns: Type

    @property
    def signature(self) -> str:
        """The signature as the language writes it."""
        return signature(self.name, self.params, self.returns)


def signature(name: str, params: tuple[Param, ...], returns: Type) -> str:
    """Return a callee's signature as the language writes it."""
    shown = ", ".join(f"{param.name}: {show(param.type)}" for param in params)
    return f"{name}({shown}) -> {show(returns)}"


Statics: TypeAlias = Mapping[str, "Type | int"]
Instantiate: TypeAlias = "Callable[[Context, Declared, Statics, dict[str, Callee], Span, Source], Flow | None]"
"""Gives the checked flow for static arguments (`flows.instance`). It is handed in: bodies hold calls, and calls need
bodies, so one of the two has to know the other by its type alone."""


K = TypeVar("K")
V = TypeVar("V")


class Context:
    """The state of one check: configuration, findings and the tables that grow while declarations are reached.

    `loaded` are the program's own module and all that are imported, in order of loading.
    """

    def __init__(
        self,
        config: Config,
        findings: Findings,
        loaded: tuple[ModuleScope, ...],
        instantiate: Instantiate,
        watch: Watch | None = None,
    ) -> None:
        self.config = config
        self.findings = findings
        self.loaded = loaded
        self.instantiate = instantiate
        self.watch = watch
        self.types: dict[int, Enum | Record] = {}
        self.records: dict[int, tuple[int, int]] = {}
        """Fields and levels of record types, by their `id`."""
        self.tools: dict[int, Tool] = {}
        self.agents: dict[tuple[int, tuple[tuple[str, Type | int], ...]], Agent] = {}
        self.flows: dict[object, Flow] = {}
        self.externs: dict[int, Extern] = {}
        self.statements = 0
        self._keys: set[str] = set()
        self._found: dict[tuple[int, object], tuple[Finding, ...]] = {}

    def once(self, table: dict[K, V], key: K, make: Callable[[], V]) -> V:
        """Return what a table has for a key, made at the first call.

        What is found while it is made is found again at every later call: a loop's body is checked several times, and
        what all rounds but the last report is forgotten.
        """
        if key in table:
            for source, diagnostic in self._found.get((id(table), key), ()):
                self.findings.add(source, diagnostic)
            return table[key]
        mark = self.findings.mark()
        table[key] = made = make()
        found = self.findings.since(mark)
        if found:
            self._found[id(table), key] = found
        return made

    def report_once(self, source: Source, diagnostic: Diagnostic) -> None:
        """Record a diagnostic unless there is one of its code already: a limit is exceeded once, however often."""
        if all(finding.diagnostic.code != diagnostic.code for finding in self.findings.sorted()):
            self.findings.add(source, diagnostic)

    def key(self, name: str) -> str:
        """Return `name`, or the first of `name_2`, `name_3`, ... that no other declaration has."""
        key, number = name, 1
        while key in self._keys:
            number += 1
            key = f"{name}_{number}"
        self._keys.add(key)
        return key


class Frame:
    """The flow (or test, or declaration) that is being checked: its module, what its static names mean, its loops."""

    def __init__(self, scope: ModuleScope, context: Context) -> None:
        self.scope = scope
        self.context = context
        self.current: Declared | None = None
        self.statics: Statics = {}
        self.callees: Mapping[str, Callee] = {}
        self.returns: Type | None = None
        self.returns_span: Span | None = None
        self.loops: list[list[Names]] = []
        self.in_test = False

    def report(self, diagnostic: Diagnostic) -> None:
        """Record a diagnostic about this frame's module."""
        self.context.findings.add(self.scope.source, diagnostic)

    def found(self, name: ast.Name, kind: Type) -> None:
        """Tell whoever watches the check the type of a name where it is bound."""
        if self.context.watch is not None:
            self.context.watch.binding(self, name, kind)
