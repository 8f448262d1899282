"""The nodes, edges and routers of one flow's graph, and the keys of its state, as they are collected and written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from masdsl.check import program
from masdsl.check.program import Flow
from masdsl.emit.layout import INDENT, Atom, Bracket, Piece, statement
from masdsl.emit.literals import literal
from masdsl.emit.marks import Marks
from masdsl.interop.langgraph_values import GraphExpressions, locals_of, over_state
from masdsl.lower.names import Names
from masdsl.node import Span
from masdsl.types import Type

START, END = "START", "END"
RESULT, AT = "RESULT", "AT"
"""Keys of the state that no name of a program is: those have no capitals."""


class Exit(NamedTuple):
    """Where control leaves what has been written: nodes that have all run, or a way out of a router."""

    nodes: tuple[str, ...]
    way: str = ""


class Router(NamedTuple):
    """A conditional edge: its function, and where each of its ways leads."""

    function: str
    targets: dict[str, str]


class Nodes:
    """What has been written of a graph; `functions` are definitions of the exported file."""

    def __init__(
        self,
        flow: Flow,
        names: Names,
        expressions: GraphExpressions,
        marks: Marks,
    ) -> None:
        self.flow = flow
        self.functions: list[list[str]] = []
        self.state: dict[str, list[str]] = {}
        self.state_class = names.give_class(f"{_title(flow.key)}State")
        self.steps = 8
        """How many rounds of the graph's engine a run takes at most."""
        self._names = names
        self._expressions = expressions
        self._marks = marks
        self._keys = Names((RESULT, AT))
        self._nodes: dict[str, str] = {}
        self._edges: dict[tuple[str, ...], list[str]] = {}
        self._routers: dict[str, Router] = {}
        self._sends: dict[str, tuple[str, str, str]] = {}
        self._times = 1

    # ------------------------------------------------------------ state

    def _bind(self, name: str, kind: Type) -> str:
        return self._has(state_key(name), self._expressions.types.bare(kind))

    def _has(self, key: str, annotation: str) -> str:
        kinds = self.state.setdefault(key, [])
        if annotation not in kinds:
            kinds.append(annotation)
        return key

    def _place(self, name: str) -> str:
        return f"state[{literal(state_key(name))}]"

    def _value(self, expr: program.Expr, wanted: Type | None = None, local: Mapping[str, str] | None = None) -> Piece:
        places = {name: (local or {}).get(name) or self._place(name) for name in locals_of(expr)}
        return self._expressions.expression(over_state(expr, wanted, places))

    # ------------------------------------------------------------ nodes and edges

    def _unique(self, name: str) -> str:
        made, number = name, 1
        while made in self._nodes:
            number += 1
            made = f"{name}_{number}"
        return made

    def _function(self, path: str) -> str:
        return self._names.give(path.replace(".", "_"))

    def _add(self, name: str, exits: Iterable[Exit]) -> tuple[str, str]:
        """Add a node behind what leads there; return its name in the graph and the function's."""
        made = self._unique(name)
        function = self._nodes[made] = self._function(made)
        self.steps += self._times
        self._connect(exits, made)
        return made, function

    def _connect(self, exits: Iterable[Exit], target: str) -> None:
        for one in exits:
            if one.way:
                self._routers[one.nodes[0]].targets[one.way] = target
            else:
                self._edges.setdefault(one.nodes, []).append(target)

    def _node(
        self,
        name: str,
        before: Sequence[str],
        gives: Sequence[tuple[str, Piece]],
        exits: Iterable[Exit],
        span: Span,
        is_step: bool = False,
    ) -> Exit:
        made, function = self._add(name, exits)
        self._define(function, before, gives, span, is_step)
        return Exit((made,))

    def _define(
        self, function: str, before: Sequence[str], gives: Sequence[tuple[str, Piece]], span: Span, is_step: bool
    ) -> None:
        body = statement(INDENT, "return ", Bracket("{", list(gives), "}"), "", "")
        self.functions.append([*self._head(function, "dict[str, Any]", span, is_step), *before, *body])

    def _head(self, function: str, gives: str, span: Span, is_step: bool = False) -> list[str]:
        params: list[tuple[str, Piece]] = [("state: ", Atom(self.state_class))]
        if is_step:
            self._expressions.used.add("Runtime")
            params.append(("runtime: ", Atom("Runtime[Host]")))
        piece = Bracket(f"{function}(", params, ") -> ")
        return statement("", "async def " if is_step else "def ", piece, f"{gives}:", self._marks.at(span))

    def _source(self, exits: Sequence[Exit], path: str, span: Span) -> str:
        """Return a node whose ways on may depend on a condition: the one before, or one that does nothing."""
        if len(exits) == 1 and not exits[0].way and len(exits[0].nodes) == 1:
            source = exits[0].nodes[0]
            if (source,) not in self._edges and source not in self._routers and source not in self._sends:
                return source
        return self._node(path, [], [], exits, span).nodes[0]

    def _route(self, source: str, path: str, lines: Sequence[str], span: Span) -> None:
        function = self._function(f"{path}.way")
        self.functions.append([*self._head(function, "str", span), *lines])
        self._routers[source] = Router(function, {})

    # ------------------------------------------------------------ wiring

    def wiring(self) -> list[str]:
        """Return the statements that build the graph."""
        lines = [f"{INDENT}graph = StateGraph({self.state_class}, context_schema=Host)"]
        for name, function in self._nodes.items():
            lines += statement(INDENT, "", _called("graph.add_node(", literal(name), function), "", "")
        for sources, targets in self._edges.items():
            known = [_end(source) for source in sources]
            source = known[0] if len(known) == 1 else f"[{', '.join(known)}]"
            for target in targets:
                lines += statement(INDENT, "", _called("graph.add_edge(", source, _end(target)), "", "")
        for source, router in self._routers.items():
            ways = Bracket("{", [(f"{literal(way)}: ", Atom(_end(to))) for way, to in router.targets.items()], "}")
            parts: list[tuple[str, Piece]] = [("", Atom(_end(source))), ("", Atom(router.function)), ("", ways)]
            lines += statement(INDENT, "", Bracket("graph.add_conditional_edges(", parts, ")"), "", "")
        for source, (sender, worker, join) in self._sends.items():
            call = _called(
                "graph.add_conditional_edges(", literal(source), sender, f"[{literal(worker)}, {literal(join)}]"
            )
            lines += statement(INDENT, "", call, "", "")
        called = f"graph.compile(name={literal(self.flow.key)}).with_config(recursion_limit={self.steps})"
        return [*lines, f"{INDENT}return {called}"]


def state_key(name: str) -> str:
    """Return the key of a name in a graph's state: those with two underscores are LangGraph's own."""
    return f"U{name}" if name.startswith("__") else name


def _called(call: str, *parts: str) -> Piece:
    return Bracket(call, [("", Atom(part)) for part in parts], ")")


def _end(node: str) -> str:
    return node if node in (START, END) else literal(node)


def _title(key: str) -> str:
    return "".join(word.capitalize() for word in key.replace(".", "_").split("_"))
