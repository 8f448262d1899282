"""What a check found out about a program, kept for questions: types at places, what steps call, bounds.

It is kept for programs with errors as well, as far as the checker came.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from masdsl.bounds.requests import Counts, Prices
from masdsl.bounds.result import Bounds, FlowBound
from masdsl.check.context import Callee, Frame
from masdsl.check.cursor import Watch
from masdsl.check.program import Flow, Program
from masdsl.check.scope import ModuleScope, Names
from masdsl.node import Span
from masdsl.syntax import ast
from masdsl.types import Type, Unknown

if TYPE_CHECKING:
    from collections.abc import Mapping


class Facts(Watch):
    """The facts of one check. With an `offset`, `names` are those that a statement around that place could use."""

    def __init__(self, offset: int | None = None) -> None:
        self._offset = offset
        self.own: ModuleScope | None = None
        self.imported: tuple[ModuleScope, ...] = ()
        self.types: dict[Span, Type] = {}
        self.calls: dict[Span, Callee] = {}
        self.names: dict[str, Type] = {}
        self.program: Program | None = None
        self.bounds: Bounds | None = None
        self.prices: Prices = {}
        self.counts: Counts = {}

    def scopes(self, own: ModuleScope, imported: tuple[ModuleScope, ...]) -> None:
        """Keep the declarations."""
        self.own, self.imported = own, imported

    def statement(
        self, frame: Frame, node: ast.Statement, names: Names, bound_here: frozenset[str], exits: bool
    ) -> None:
        """Keep the names in front of the innermost statement around the offset."""
        if self._offset is not None and not frame.scope.name and node.span.start <= self._offset <= node.span.end:
            self.names = {name: names[name] for name in reversed(list(names))}

    def binding(self, frame: Frame, name: ast.Name, kind: Type) -> None:
        """Keep the type of a name where it is bound."""
        self._keep(frame, name.span, kind)

    def expression(self, frame: Frame, node: ast.Expr, kind: Type) -> None:
        """Keep the type of an expression."""
        self._keep(frame, node.span, kind)

    def _keep(self, frame: Frame, span: Span, kind: Type) -> None:
        if not frame.scope.name and not (isinstance(kind, Unknown) and span in self.types):
            self.types[span] = kind

    def call(self, frame: Frame, node: ast.Call, callee: Callee) -> None:
        """Keep what a step calls, by the place of its callee's name."""
        if not frame.scope.name:
            self.calls[node.callee.span] = callee

    def bounded(self, program: Program, bounds: Bounds, prices: Prices, counts: Counts) -> None:
        """Keep the program and its bounds."""
        self.program, self.bounds, self.prices, self.counts = program, bounds, prices, counts

    # ------------------------------------------------------------ questions

    def module(self, name: str) -> ModuleScope | None:
        """Return a module by its dotted name; the program's own is called ``""``."""
        if not name:
            return self.own
        return next((scope for scope in self.imported if scope.name == name), None)

    def flow_bounds(self) -> Mapping[Span, tuple[Flow, FlowBound]]:
        """Return the flows of the program's own module with their bounds, by their places.

        Of several instances of one flow it is the dearest.
        """
        found: dict[Span, tuple[Flow, FlowBound]] = {}
        if self.program is None or self.bounds is None:
            return found
        for flow in self.program.flows:
            bound = self.bounds.flows.get(flow.key)
            if flow.module or bound is None:
                continue
            known = found.get(flow.span)
            if known is None or known[1].most < bound.most:
                found[flow.span] = (flow, bound)
        return found
