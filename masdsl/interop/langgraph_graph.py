"""A flow as a graph of LangGraph's: its nodes as functions over the state, its edges, its routers.

Each step is a node that is called like its address. Conditions are conditional edges of the node before them; a loop
has a node that begins it and one that begins each round; `n of` and `each` are sent to a worker (`Send`) and gathered
behind it; neighbouring steps that do not need each other are branches that meet again. What is computed between steps
is one node.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from masdsl.check import program
from masdsl.check.program import Block, Each, Fallback, Flow, Invoke, Rhs, Sample, Statement
from masdsl.check.uses import invokes
from masdsl.emit.layout import INDENT, Affix, Atom, Bracket, Piece, Row, statement
from masdsl.emit.literals import literal
from masdsl.emit.marks import Marks
from masdsl.interop.langgraph_nodes import AT, END, RESULT, START, Exit, Nodes, state_key
from masdsl.interop.langgraph_values import GraphExpressions, locals_of
from masdsl.lower.names import Names, python_name
from masdsl.node import Span
from masdsl.types import List, Type

_DEEPER = INDENT * 2


class Callee(NamedTuple):
    """What a step calls: the constant's name in the exported file, and the types of its parameters."""

    name: str
    params: Mapping[str, Type]
    effect: bool


class FlowGraph(Nodes):
    """Writes one flow. `functions` are the definitions, `wiring` the statements that build the graph."""

    def __init__(
        self,
        flow: Flow,
        callees: Mapping[tuple[str, str], Callee],
        names: Names,
        expressions: GraphExpressions,
        marks: Marks,
    ) -> None:
        super().__init__(flow, names, expressions, marks)
        self._callees = callees
        self._breaks: list[list[Exit]] = []
        for param in flow.params:
            self._bind(param.name, param.type)
        self._write()

    def _write(self) -> None:
        exits = [Exit((START,))]
        optional = [param for param in self.flow.params if param.optional]
        if optional:
            parts = []
            for param in optional:
                key = literal(state_key(param.name))
                default = self._expressions.value(param.default, param.type).flat
                parts.append((f"{key}: ", Atom(f"state.get({key}, {default})")))
            exits = [self._node(f"{self.flow.key}.inputs", [], parts, exits, self.flow.span)]
        for one in self._block(self.flow.body, exits):
            self._connect([one], END)

    # ------------------------------------------------------------ blocks

    def _block(self, block: Block, exits: list[Exit]) -> list[Exit]:
        """Write a block behind its exits; return its own."""
        at = 0
        while at < len(block):
            computed = _computed_first(block[at:])
            together = self._side_by_side(block[at:])
            if computed:
                exits = [self._computed(block[at : at + computed], exits)]
                exits = [] if isinstance(block[at + computed - 1], program.Return) and self._ended(exits) else exits
                at += computed
            elif together > 1:
                exits = self._branches(block[at : at + together], exits)
                at += together
            else:
                exits = self._statement(block[at], exits)
                at += 1
        return exits

    def _ended(self, exits: list[Exit]) -> bool:
        self._connect(exits, END)
        return True

    def _computed(self, block: Sequence[Statement], exits: list[Exit]) -> Exit:
        """Write what is computed between steps as one node."""
        local: dict[str, str] = {}
        taken = Names(("state", *self._names.given))
        lines: list[str] = []
        gives: dict[str, Piece] = {}
        path = ""
        for node in block:
            match node:
                case program.Append():
                    sum_ = program.Binary(program.Local(node.name, node.type), "+", node.value, node.type)
                    name, value, path = (
                        node.name,
                        self._value(sum_, None, local),
                        path or f"{self.flow.key}.{node.name}",
                    )
                    self._bind(name, node.type)
                case program.Bind():
                    name, value, path = node.name, self._pure(node.value, node.type, local), path or node.path
                    self._bind(name, node.type)
                case program.Return():
                    name, value, path = "", self._pure(node.value, node.type, local), path or node.path
                    self._has(RESULT, self._expressions.types.bare(node.type))
                case _:
                    raise AssertionError(f"{node} is not computed")
            key = state_key(name) if name else RESULT
            if node is block[-1]:
                gives[literal(key)] = value
                continue
            local[name] = local.get(name) or taken.give(python_name(name))
            lines += statement(INDENT, f"{local[name]} = ", value, "", "")
            gives[literal(key)] = Atom(local[name])
        parts = [(f"{key}: ", piece) for key, piece in gives.items()]
        return self._node(path, lines, parts, exits, block[0].span)

    def _pure(self, value: Rhs, wanted: Type, local: Mapping[str, str] | None) -> Piece:
        """Return a right side without steps."""
        match value:
            case Sample():
                return Row("[", self._pure(value.body, value.type.element, local), f"] * {value.count}")
            case Each():
                inner = {**(local or {}), value.var: python_name(value.var, ("state", *self._names.given))}
                items = self._value(value.items, None, local)
                head: list[Piece | str] = ["[", self._pure(value.body, value.type.element, inner)]
                head += [f" for {inner[value.var]} in ", items]
                if value.condition is not None:
                    head += [" if ", self._value(value.condition, None, inner)]
                return Row(*head, "]")
            case Fallback():
                *options, last = value.options
                assert not isinstance(last, Invoke)
                self._expressions.used.add("otherwise")
                piece = self._value(last, wanted, local)
                for option in reversed(options):
                    assert not isinstance(option, Invoke)
                    piece = Bracket("otherwise(", [("", self._value(option, None, local)), ("", piece)], ")")
                return piece
            case Invoke():
                raise AssertionError("a step is not computed")
            case _:
                return self._value(value, wanted, local)

    # ------------------------------------------------------------ steps

    def _attempt(self, value: Invoke | Fallback, local: Mapping[str, str] | None = None) -> Piece:
        """Return a step with what follows where it fails, as something to await."""
        if isinstance(value, Invoke):
            return self._call(value, local)
        options: list[tuple[str, Piece]] = []
        for option in value.options:
            piece = self._call(option, local) if isinstance(option, Invoke) else self._value(option, None, local)
            options.append(("", Affix("lambda: ", piece, "")))
        self._expressions.used.add("either")
        return Bracket("either(", options, ")")

    def _call(self, step: Invoke, local: Mapping[str, str] | None) -> Piece:
        callee = self._callees[step.kind, step.callee]
        inputs = [
            (f"{literal(self._input(step, name))}: ", self._value(value, callee.params[name], local))
            for name, value in step.arguments
        ]
        function = {"agent": "ask", "tool": "use", "flow": "call"}[step.kind]
        self._expressions.used.add(function)
        parts: list[tuple[str, Piece]] = [("", Atom(callee.name)), ("", Atom("runtime.context"))]
        return Bracket(f"{function}(", [*parts, ("", Bracket("{", inputs, "}"))], ")")

    def _input(self, step: Invoke, name: str) -> str:
        return state_key(name) if step.kind == "flow" else name

    def _effects(self, value: Rhs) -> bool:
        return any(self._callees[step.kind, step.callee].effect for step in invokes(value))

    def _step(self, path: str, key: str, value: Rhs, exits: list[Exit], span: Span) -> list[Exit]:
        """Write a right side with a step, whose value becomes `key` of the state."""
        if isinstance(value, Invoke | Fallback):
            piece = Affix("await ", self._attempt(value), "")
            return [self._node(path, [], [(f"{literal(key)}: ", piece)], exits, span, is_step=True)]
        assert isinstance(value, Sample | Each)
        assert isinstance(value.body, Invoke | Fallback)
        if self._effects(value.body):
            return [self._one_by_one(path, key, value, exits, span)]
        return [self._sent(path, key, value, exits, span)]

    def _items(self, value: Sample | Each, var: str) -> list[Piece | str]:
        """Return `for var in items if condition` of a sample or a map."""
        if isinstance(value, Sample):
            return [f"for {var} in range({value.count})"]
        found: list[Piece | str] = [f"for {var} in ", self._value(value.items)]
        if value.condition is not None:
            found += [" if ", self._value(value.condition, None, {value.var: var})]
        return found

    def _one_by_one(self, path: str, key: str, value: Sample | Each, exits: list[Exit], span: Span) -> Exit:
        var = python_name(value.var, ("state", "runtime", *self._names.given)) if isinstance(value, Each) else "_"
        assert isinstance(value.body, Invoke | Fallback)
        body = self._attempt(value.body, {value.var: var} if isinstance(value, Each) else None)
        piece = Row("[await ", body, " ", *self._items(value, var), "]")
        return self._node(path, [], [(f"{literal(key)}: ", piece)], exits, span, is_step=True)

    def _sent(self, path: str, key: str, value: Sample | Each, exits: list[Exit], span: Span) -> Exit:
        """Write a sample or a map: a node that begins, a worker to which all is sent, and one that gathers."""
        assert isinstance(value.body, Invoke | Fallback)
        parts = self._has(self._keys.give(f"{key}_PARTS"), "Annotated[list[tuple[int, Any]], collected]")
        self._has(AT, "int")
        self._expressions.used |= {"collected", "in_order"}
        [begin] = self._node(path, [], [(f"{literal(parts)}: ", Atom("None"))], exits, span).nodes
        worker, function = self._add(f"{path}.each", [])
        if isinstance(value, Each):
            self._bind(value.var, value.var_type)
        part = Bracket("(", [("", Atom(f'state["{AT}"]')), ("", Affix("await ", self._attempt(value.body), ""))], ")")
        self._define(function, [], [(f"{literal(parts)}: ", Bracket("[", [("", part)], "]"))], span, True)
        gathered = Atom(f"in_order(state[{literal(parts)}])")
        join = self._node(f"{path}.all", [], [(f"{literal(key)}: ", gathered)], [Exit((worker,))], span)
        sender = self._function(f"{path}.sent")
        var = python_name(value.var, ("state", "at", *self._names.given)) if isinstance(value, Each) else "at"
        sent: list[tuple[str, Piece]] = [("", Atom("**state")), (f"{literal(AT)}: ", Atom("at"))]
        if isinstance(value, Each):
            sent.append((f"{literal(state_key(value.var))}: ", Atom(var)))
            items = Row("[", var, " ", *self._items(value, var), "]")
            source = Bracket(
                "enumerate(", [("", items if value.condition is not None else self._value(value.items))], ")"
            )
            lines = statement(INDENT, f"for at, {var} in ", source, ":", "")
        else:
            lines = [f"{INDENT}for at in range({value.count}):"]
        send = Bracket("Send(", [("", Atom(literal(worker))), ("", Bracket("{", sent, "}"))], ")")
        lines = [
            f"{INDENT}sends: list[Send | str] = []",
            *lines,
            *statement(_DEEPER, "sends.append(", send, ")", ""),
            f"{INDENT}return sends or [{literal(join.nodes[0])}]",
        ]
        self.functions.append([*self._head(sender, "list[Send | str]", span), *lines])
        self._sends[begin] = (sender, worker, join.nodes[0])
        return join

    # ------------------------------------------------------------ side by side

    def _side_by_side(self, block: Sequence[Statement]) -> int:
        """Return how many of the next statements are steps that do not need each other."""
        written: set[str] = set()
        for count, node in enumerate(block):
            if not isinstance(node, program.Bind) or not isinstance(node.value, Invoke | Fallback):
                return count
            if self._effects(node.value):
                return count
            if written & {node.name, *locals_of(node.value)}:
                return count
            written.add(node.name)
        return len(block)

    def _branches(self, block: Sequence[Statement], exits: list[Exit]) -> list[Exit]:
        first = block[0]
        assert isinstance(first, program.Bind)
        if len(exits) != 1 or exits[0].way or len(exits[0].nodes) != 1 or exits[0].nodes[0] in self._sends:
            exits = [self._node(f"{first.path}.fork", [], [], exits, first.span)]
        nodes: list[str] = []
        for node in block:
            assert isinstance(node, program.Bind)
            [way] = self._step(node.path, self._bind(node.name, node.type), node.value, exits, node.span)
            nodes += way.nodes
        self.steps -= self._times * (len(block) - 1)
        return [Exit(tuple(nodes))]

    # ------------------------------------------------------------ statements

    def _statement(self, node: Statement, exits: list[Exit]) -> list[Exit]:
        match node:
            case program.Bind():
                return self._step(node.path, self._bind(node.name, node.type), node.value, exits, node.span)
            case program.Return():
                key = self._has(RESULT, self._expressions.types.bare(node.type))
                self._connect(self._step(node.path, key, node.value, exits, node.span), END)
                return []
            case program.If():
                return self._if(node, exits)
            case program.Match():
                return self._match(node, exits)
            case program.Loop():
                return self._loop(node, exits)
            case program.For():
                return self._for(node, exits)
            case program.Until():
                return self._until(node, exits)
            case _:
                raise AssertionError(f"{node} does not translate; `masdsl.interop.subset` has let it through")

    def _if(self, node: program.If, exits: list[Exit]) -> list[Exit]:
        source = self._source(exits, node.path, node.span)
        lines: list[str] = []
        ways = ["then", *(f"elif_{number}" for number in range(2, len(node.branches) + 1))]
        for way, branch in zip(ways, node.branches, strict=True):
            lines += statement(INDENT, "if ", self._value(branch.condition), ":", "")
            lines.append(f"{_DEEPER}return {literal(way)}")
        self._route(source, node.path, [*lines, f'{INDENT}return "else"'], node.span)
        found: list[Exit] = []
        bodies = [*(branch.body for branch in node.branches), node.orelse]
        for way, body in zip([*ways, "else"], bodies, strict=True):
            found += self._block(body, [Exit((source,), way)])
        return found

    def _match(self, node: program.Match, exits: list[Exit]) -> list[Exit]:
        source = self._source(exits, node.path, node.span)
        kind = node.subject.type
        lines = statement(INDENT, "subject = ", self._value(node.subject), "", "")
        arms = [(arm.words[0], arm.words, arm.body) for arm in node.arms]
        last: tuple[str, Block] | None = None if node.orelse is None else ("else", node.orelse)
        if last is None:
            last = (arms[-1][0], arms[-1][2])
            arms.pop()
        for way, words, _ in arms:
            known = [("", Atom(self._expressions.types.word(kind, word))) for word in words]  # type: ignore[arg-type]
            lines += statement(INDENT, "if subject in ", Bracket("[", known, "]"), ":", "")
            lines.append(f"{_DEEPER}return {literal(way)}")
        lines.append(f"{INDENT}return {literal(last[0])}")
        self._route(source, node.path, lines, node.span)
        found: list[Exit] = []
        for way, body in [*((way, body) for way, _, body in arms), last]:
            found += self._block(body, [Exit((source,), way)])
        return found

    def _loop(self, node: program.Loop, exits: list[Exit]) -> list[Exit]:
        key = self._has(self._keys.give(f"{node.path.rpartition('.')[2]}_ROUND"), "int")
        place = f"state[{literal(key)}]"
        begin = self._node(node.path, [], [(f"{literal(key)}: ", Atom("0"))], exits, node.span)
        self._times *= node.times + 1
        again = self._node(f"{node.path}.next", [], [(f"{literal(key)}: ", Atom(f"{place} + 1"))], [begin], node.span)
        found = self._rounds(node, again.nodes[0], f"{place} <= {node.times}")
        self._times //= node.times + 1
        return found

    def _for(self, node: program.For, exits: list[Exit]) -> list[Exit]:
        kind = node.items.type
        assert isinstance(kind, List)
        label = node.path.rpartition(".")[2]
        at = self._has(self._keys.give(f"{label}_AT"), "int")
        items = self._has(self._keys.give(f"{label}_ITEMS"), self._expressions.types.bare(kind))
        var = self._bind(node.var, node.var_type)
        parts = [(f"{literal(items)}: ", self._value(node.items)), (f"{literal(at)}: ", Atom("-1"))]
        begin = self._node(node.path, [], parts, exits, node.span)
        self._times *= kind.high + 1
        made, function = self._add(f"{node.path}.next", [begin])
        place, listed = f"state[{literal(at)}]", f"state[{literal(items)}]"
        self.functions.append(
            [
                *self._head(function, "dict[str, Any]", node.span),
                f"{INDENT}at = {place} + 1",
                *statement(INDENT, "if ", Row(f"at < len({listed})"), ":", ""),
                f"{_DEEPER}return {{{literal(at)}: at, {literal(var)}: {listed}[at]}}",
                f"{INDENT}return {{{literal(at)}: at}}",
            ]
        )
        found = self._rounds(node, made, f"{place} < len({listed})")
        self._times //= kind.high + 1
        return found

    def _rounds(self, node: program.Loop | program.For, again: str, condition: str) -> list[Exit]:
        lines = [f"{INDENT}if {condition}:", f'{_DEEPER}return "round"', f'{INDENT}return "done"']
        self._route(again, f"{node.path}.next", lines, node.span)
        self._breaks.append([])
        self._connect(self._block(node.body, [Exit((again,), "round")]), again)
        return [Exit((again,), "done"), *self._breaks.pop()]

    def _until(self, node: program.Until, exits: list[Exit]) -> list[Exit]:
        source = self._source(exits, f"{self.flow.key}.until", node.span)
        lines = statement(INDENT, "if ", self._value(node.condition), ":", "")
        self._route(
            source, f"{source}.until", [*lines, f'{_DEEPER}return "leave"', f'{INDENT}return "stay"'], node.span
        )
        self._breaks[-1].append(Exit((source,), "leave"))
        return [Exit((source,), "stay")]


def _computed_first(block: Sequence[Statement]) -> int:
    for count, node in enumerate(block):
        if not _is_computed(node):
            return count
    return len(block)


def _is_computed(node: Statement) -> bool:
    """Whether a statement binds or returns a value without any step."""
    match node:
        case program.Append():
            return True
        case program.Bind() | program.Return():
            return not any(True for _ in invokes(node.value))
        case _:
            return False
