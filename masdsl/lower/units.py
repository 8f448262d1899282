"""A flow's body as units: statements over Python variables, each with what the schedule has to know about it.

A unit is a statement with everything in it. It reads and writes variables of the blocks around it, it may have steps
(something to wait for), effects (whose order counts) and ways out (`return`, or `until` of a loop around it). `endless`
means that control never gets behind it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from masdsl.check import program
from masdsl.check.program import Limits
from masdsl.check.relations import join
from masdsl.check.types import Enum, List, Nothing, Optional, Type
from masdsl.lower import ir
from masdsl.lower.values import Known, assigned, expression, fitted, narrowed
from masdsl.lower.variables import Environment, Variable, Variables, erased, has_until, same_class, ways_of
from masdsl.node import Node, Span

# ---------------------------------------------------------------- right-hand sides


class Call(Node):
    """A call of an agent, a tool or a flow under Python names. `effect`: it changes the world."""

    path: str
    callee: str
    arguments: ir.Arguments
    type: Type
    effect: bool


class Options(Node):
    """The first of the options that neither fails nor is none; at least one of them is a call."""

    options: tuple[ir.Expr | Call, ...]
    type: Type


Attempt: TypeAlias = ir.Expr | Call | Options


class Draws(Node):
    """`count` times the same attempt, with steps."""

    count: int
    body: Call | Options
    type: List


class Mapped(Node):
    """The attempt for every item that satisfies the condition, with steps. `element` is the items' type in the body."""

    var: str
    element: Type
    items: ir.Expr
    condition: ir.Expr | None
    body: Call | Options
    type: List


Value: TypeAlias = Attempt | Draws | Mapped

# ---------------------------------------------------------------- units


class Unit:
    """A statement; see the module docstring. `before` and `after` are the types that Python knows around it."""

    __slots__ = ("after", "before", "effects", "endless", "exits", "reads", "span", "steps", "writes")

    def __init__(self, span: Span, before: Known) -> None:
        self.span = span
        self.before = before
        self.after = before
        self.reads: frozenset[str] = frozenset()
        self.writes: frozenset[str] = frozenset()
        self.steps = False
        self.effects = False
        self.exits = False
        self.endless = False

    @property
    def label(self) -> str:
        """What helpers for this unit are called after."""
        raise NotImplementedError


class Binding(Unit):
    """`name = value`."""

    __slots__ = ("name", "path", "value")

    def __init__(self, span: Span, before: Known, path: str, name: str, value: Value) -> None:
        super().__init__(span, before)
        self.path = path
        self.name = name
        self.value = value

    @property
    def label(self) -> str:
        """What helpers for this unit are called after."""
        return self.name


class Leaving(Unit):
    """`until condition`."""

    __slots__ = ("condition",)

    def __init__(self, span: Span, before: Known, condition: ir.Expr) -> None:
        super().__init__(span, before)
        self.condition = condition
        self.exits = True


class Returning(Unit):
    """`return value`."""

    __slots__ = ("path", "value")

    def __init__(self, span: Span, before: Known, path: str, value: Value) -> None:
        super().__init__(span, before)
        self.path = path
        self.value = value
        self.exits = True


class Construct(Unit):
    """A statement with blocks. `path` is its address."""

    __slots__ = ("path",)

    def __init__(self, span: Span, before: Known, path: str) -> None:
        super().__init__(span, before)
        self.path = path

    @property
    def label(self) -> str:
        """What helpers for this unit are called after."""
        return self.path.rpartition(".")[2]


class Rounds(Construct):
    """`loop times`."""

    __slots__ = ("body", "frame", "times")

    def __init__(self, span: Span, before: Known, path: str, frame: str, times: int, body: list[Unit]) -> None:
        super().__init__(span, before, path)
        self.frame = frame
        self.times = times
        self.body = body


class Visits(Construct):
    """`for var in items`."""

    __slots__ = ("body", "frame", "items", "var")

    def __init__(
        self, span: Span, before: Known, path: str, frame: str, var: str, items: ir.Expr, body: list[Unit]
    ) -> None:
        super().__init__(span, before, path)
        self.frame = frame
        self.var = var
        self.items = items
        self.body = body


class Slice(Construct):
    """`within limits`."""

    __slots__ = ("body", "frame", "limits")

    def __init__(self, span: Span, before: Known, path: str, frame: str, limits: Limits, body: list[Unit]) -> None:
        super().__init__(span, before, path)
        self.frame = frame
        self.limits = limits
        self.body = body


class Way:
    """A guarded block: the condition's or the words', and where it stands. `endless`: control never gets behind it."""

    __slots__ = ("body", "condition", "endless", "span", "words")

    def __init__(self, span: Span, condition: ir.Expr | None, words: tuple[str, ...]) -> None:
        self.span = span
        self.condition = condition
        self.words = words
        self.body: list[Unit] = []
        self.endless = False


class Choice(Construct):
    """`if`: the ways in order, the last without a condition (an empty one stands for no `else`)."""

    __slots__ = ("ways",)

    def __init__(self, span: Span, before: Known, path: str, ways: list[Way]) -> None:
        super().__init__(span, before, path)
        self.ways = ways


class Matching(Construct):
    """`match`: the ways by their words; one without words is the `else`."""

    __slots__ = ("subject", "type", "ways")

    def __init__(self, span: Span, before: Known, path: str, subject: ir.Expr, kind: Enum, ways: list[Way]) -> None:
        super().__init__(span, before, path)
        self.subject = subject
        self.type = kind
        self.ways = ways


# ---------------------------------------------------------------- variables in expressions


def variables_in(node: object) -> frozenset[str]:
    """Return the variables that an expression or a right-hand side reads."""
    found: set[str] = set()
    bound: set[str] = set()
    pending: list[object] = [node]
    while pending:
        part = pending.pop()
        if isinstance(part, ir.Var):
            found.add(part.name)
        elif isinstance(part, tuple):
            pending.extend(part)
        elif isinstance(part, Node) and not isinstance(part, ir.Const):
            if isinstance(part, ir.Select | Mapped):
                bound.add(part.var)
            pending.extend(getattr(part, field) for field in part._fields if field != "type")
    return frozenset(found - bound)


class Callees:
    """What the units of all flows share: Python names of callees, types of their parameters, which change the world."""

    def __init__(
        self,
        names: Mapping[tuple[str, str], str],
        params: Mapping[tuple[str, str], Mapping[str, tuple[str, Type]]],
        effects: Iterable[tuple[str, str]],
    ) -> None:
        self.names = names
        self.params = params
        self.effects = frozenset(effects)


# ---------------------------------------------------------------- from statements to units


class UnitBuilder:
    """Makes the units of a flow's body. `known` is what Python knows of each variable, at the point that is reached."""

    def __init__(self, variables: Variables, callees: Callees, returns: Type) -> None:
        self._variables = variables
        self._callees = callees
        self._returns = same_class(returns)

    def body(self, block: program.Block, names: dict[str, Variable]) -> list[Unit]:
        """Return the units of a flow's body."""
        known = {variable.name: variable.root().type for variable in names.values()}
        units, _, _ = self._block(block, names, known)
        return units

    def _block(self, block: program.Block, names: dict[str, Variable], known: Known) -> tuple[list[Unit], Known, bool]:
        """Return the units of a block, what is known behind it, and whether control never gets there.

        `names` becomes what is bound behind it. Statements that control never gets to are left out.
        """
        units: list[Unit] = []
        for node in block:
            unit, known, endless = self._statement(node, names, known)
            unit.after = known
            unit.endless = endless
            units.append(unit)
            if endless:
                return units, known, True
        return units, known, False

    def _statement(self, node: program.Statement, names: dict[str, Variable], known: Known) -> tuple[Unit, Known, bool]:
        match node:
            case program.Bind():
                value = self._value(node.value, names, known)
                return self._binding(node, node.path, value, names, known)
            case program.Append():
                kind = same_class(node.type)
                old = expression(program.Local(node.name, kind, span=node.span), names, known)
                new = expression(node.value, names, known)
                longer = ir.Binary(fitted(old, kind), "+", fitted(new, kind), kind, span=node.span)
                return self._binding(node, "", longer, names, known)
            case program.Until():
                condition = expression(node.condition, names, known)
                leaving = Leaving(node.span, known, condition)
                leaving.reads = variables_in(condition)
                return leaving, narrowed(node.condition, names, known, False), False
            case program.Return():
                value = self._value(node.value, names, known)
                if not isinstance(value, Call | Options | Draws | Mapped):
                    value = fitted(value, self._returns)
                unit = Returning(node.span, known, node.path, value)
                unit.reads = variables_in(value)
                unit.steps, unit.effects = _steps_of(value)
                return unit, known, True
            case program.Loop():
                return self._loop(node, names, known)
            case program.For():
                return self._for(node, names, known)
            case program.Within():
                body, after, endless = self._block(node.body, names, known)
                part = Slice(node.span, known, node.path, self._variables.frame_of(node), node.limits, body)
                self._collect(part, [body], names, known)
                return part, after, endless
            case program.If():
                return self._if(node, names, known)
            case program.Match():
                return self._match(node, names, known)

    def _binding(
        self, node: program.Bind | program.Append, path: str, value: Value, names: dict[str, Variable], known: Known
    ) -> tuple[Unit, Known, bool]:
        variable = self._variables.bound[id(node)].root()
        if not isinstance(value, Call | Options | Draws | Mapped):
            value = fitted(value, variable.type)
        unit = Binding(node.span, known, path, variable.name, value)
        unit.reads = variables_in(value)
        unit.writes = frozenset((variable.name,))
        unit.steps, unit.effects = _steps_of(value)
        names[node.name] = variable
        return unit, {**known, variable.name: assigned(variable.type, value.type)}, False

    # ------------------------------------------------------------ constructs

    def _loop(self, node: program.Loop, names: dict[str, Variable], known: Known) -> tuple[Unit, Known, bool]:
        start = self._widened(node.body, names, known)
        body, _, exits = self._block(node.body, dict(names), start)
        unit = Rounds(node.span, known, node.path, self._variables.frame_of(node), node.times, body)
        self._collect(unit, [body], names, known)
        return unit, start, exits and not has_until(node.body)

    def _for(self, node: program.For, names: dict[str, Variable], known: Known) -> tuple[Unit, Known, bool]:
        items = expression(node.items, names, known)
        variable = self._variables.bound[id(node)].root()
        start = self._widened(node.body, names, known)
        inner = {**start, variable.name: items.type.element if isinstance(items.type, List) else variable.type}
        body, _, _ = self._block(node.body, {**names, node.var: variable}, inner)
        unit = Visits(node.span, known, node.path, self._variables.frame_of(node), variable.name, items, body)
        self._collect(unit, [body], names, known, items)
        return unit, start, False

    def _if(self, node: program.If, names: dict[str, Variable], known: Known) -> tuple[Unit, Known, bool]:
        ways: list[Way] = []
        ends: list[Known] = []
        rest = known
        names_behind: list[dict[str, Variable]] = []
        blocks = ((branch.span, branch.condition, branch.body) for branch in node.branches)
        for span, condition, block in (*blocks, (node.span, None, node.orelse)):
            way = Way(span, None if condition is None else expression(condition, names, rest), ())
            inside = rest if condition is None else narrowed(condition, names, rest, True)
            way_names = dict(names)
            way.body, end, way.endless = self._block(block, way_names, inside)
            ways.append(way)
            if not way.endless:
                ends.append(end)
                names_behind.append(way_names)
            if condition is not None:
                rest = narrowed(condition, names, rest, False)
        unit = Choice(node.span, known, node.path, ways)
        conditions = tuple(way.condition for way in ways)
        return self._chosen(unit, ways, names, names_behind, known, ends, conditions)

    def _match(self, node: program.Match, names: dict[str, Variable], known: Known) -> tuple[Unit, Known, bool]:
        subject = expression(node.subject, names, known)
        assert isinstance(node.subject.type, Enum)
        ways: list[Way] = []
        ends: list[Known] = []
        names_behind: list[dict[str, Variable]] = []
        spans = [*(arm.span for arm in node.arms), node.span]
        words = [*(arm.words for arm in node.arms), ()]
        for span, way_words, block in zip(spans, words, ways_of(node), strict=False):
            way = Way(span, None, way_words)
            way_names = dict(names)
            way.body, end, way.endless = self._block(block, way_names, known)
            ways.append(way)
            if not way.endless:
                ends.append(end)
                names_behind.append(way_names)
        unit = Matching(node.span, known, node.path, subject, node.subject.type, ways)
        return self._chosen(unit, ways, names, names_behind, known, ends, (subject,))

    def _chosen(
        self,
        unit: Unit,
        ways: list[Way],
        names: dict[str, Variable],
        names_behind: list[dict[str, Variable]],
        known: Known,
        ends: list[Known],
        heads: tuple[ir.Expr | None, ...],
    ) -> tuple[Unit, Known, bool]:
        """Finish a construct of which one way runs: with the names that all ways that go on have bound."""
        if not ends:
            self._collect(unit, [way.body for way in ways], names, known, *heads)
            return unit, known, True
        for name, variable in names_behind[0].items():
            if all(name in other for other in names_behind):
                names[name] = variable.root()
        self._collect(unit, [way.body for way in ways], names, known, *heads)
        after: dict[str, Type] = {}
        for name in ends[0]:
            if all(name in end for end in ends):
                kinds = [end[name] for end in ends]
                kind = kinds[0]
                for other in kinds[1:]:
                    kind = join(kind, other) or kind
                after[name] = kind
        return unit, after, False

    def _widened(self, body: program.Block, names: Environment, known: Known) -> Known:
        """Return what is known at the start of every round: of a variable that the body assigns, only its type."""
        changes: dict[str, Type] = {}
        by_name = {variable.root().name: variable.root() for variable in names.values()}
        pending = [body]
        while pending:
            for node in pending.pop():
                match node:
                    case program.Bind() | program.Append():
                        variable = self._variables.bound[id(node)].root()
                        if variable.name in by_name and by_name[variable.name] is variable:
                            changes[variable.name] = variable.type
                    case program.Loop() | program.For() | program.Within():
                        pending.append(node.body)
                    case program.If() | program.Match():
                        pending.extend(ways_of(node))
                    case _:
                        pass
        return {**known, **changes} if changes else known

    def _collect(
        self, unit: Unit, blocks: list[list[Unit]], names: Environment, before: Known, *heads: ir.Expr | None
    ) -> None:
        """Fill in what a construct reads and writes of the variables around it, and what is in it.

        A variable that it may leave as it was counts as read: its old value passes through.
        """
        reads = set().union(*(variables_in(head) for head in heads if head is not None))
        writes: set[str] = set()
        for block in blocks:
            for inner in block:
                reads |= inner.reads
                writes |= inner.writes
                unit.steps = unit.steps or inner.steps
                unit.effects = unit.effects or inner.effects
                unit.exits = unit.exits or _leaves(unit, inner)
        visible = {variable.root().name for variable in names.values()}
        unit.writes = frozenset(writes & visible)
        unit.reads = frozenset((reads | unit.writes) & before.keys())

    # ------------------------------------------------------------ right-hand sides

    def _value(self, rhs: program.Rhs, names: Environment, known: Known) -> Value:
        match rhs:
            case program.Sample():
                body = self._attempt(rhs.body, names, known)
                kind = List(body.type, rhs.type.low, rhs.type.high)
                if isinstance(body, Call | Options):
                    return Draws(rhs.count, body, kind, span=rhs.span)
                return ir.Repeat(rhs.count, body, kind, span=rhs.span)
            case program.Each():
                return self._each(rhs, names, known)
            case _:
                return self._attempt(rhs, names, known)

    def _each(self, rhs: program.Each, names: Environment, known: Known) -> Value:
        items = expression(rhs.items, names, known)
        variable = self._variables.bound[id(rhs)].root()
        element = items.type.element if isinstance(items.type, List) else variable.type
        inner_names = {**names, rhs.var: variable}
        inner: Known = {**known, variable.name: element}
        condition = None
        if rhs.condition is not None:
            condition = expression(rhs.condition, inner_names, inner)
            inner = narrowed(rhs.condition, inner_names, inner, True)
        body = self._attempt(rhs.body, inner_names, inner)
        kind = List(body.type, rhs.type.low, rhs.type.high)
        if isinstance(body, Call | Options):
            return Mapped(variable.name, inner[variable.name], items, condition, body, kind, span=rhs.span)
        return ir.Select(variable.name, items, condition, body, kind, span=rhs.span)

    def _attempt(self, attempt: program.Attempt, names: Environment, known: Known) -> Attempt:
        if not isinstance(attempt, program.Fallback):
            return self._operand(attempt, names, known)
        options = tuple(self._operand(option, names, known) for option in attempt.options)
        wanted = same_class(attempt.type)
        made = tuple(option if isinstance(option, Call) else _option(option, wanted) for option in options)
        if any(isinstance(option, Call) for option in made):
            return Options(made, wanted, span=attempt.span)
        return ir.Otherwise(tuple(option for option in made if not isinstance(option, Call)), wanted, span=attempt.span)

    def _operand(self, node: program.Expr | program.Invoke, names: Environment, known: Known) -> ir.Expr | Call:
        if not isinstance(node, program.Invoke):
            return expression(node, names, known)
        key = (node.kind, node.callee)
        params = self._callees.params[key]
        arguments = tuple(
            (params[name][0], fitted(expression(value, names, known), params[name][1]))
            for name, value in node.arguments
        )
        effect = key in self._callees.effects
        return Call(node.path, self._callees.names[key], arguments, same_class(node.type), effect, span=node.span)


def _option(option: ir.Expr, wanted: Type) -> ir.Expr:
    """Fit an option of a fallback; one that may be none is fitted as far as the value goes that is taken from it."""
    if isinstance(option.type, Optional | Nothing) or erased(option.type) == erased(wanted):
        return option
    return fitted(option, wanted)


def _steps_of(value: Value) -> tuple[bool, bool]:
    """Say whether a right-hand side has steps, and whether they change the world."""
    match value:
        case Call():
            return True, value.effect
        case Options():
            return True, any(isinstance(option, Call) and option.effect for option in value.options)
        case Draws() | Mapped():
            return True, _steps_of(value.body)[1]
        case _:
            return False, False


def _leaves(construct: Unit, inner: Unit) -> bool:
    """Say whether a unit inside a construct may lead out of the construct: `until` only leads out of a loop."""
    if not isinstance(construct, Rounds | Visits):
        return inner.exits
    return returns(inner)


def returns(unit: Unit) -> bool:
    """Say whether a unit may end the flow."""
    match unit:
        case Returning():
            return True
        case Rounds() | Visits() | Slice():
            return any(returns(inner) for inner in unit.body)
        case Choice() | Matching():
            return any(returns(inner) for way in unit.ways for inner in way.body)
        case _:
            return False
