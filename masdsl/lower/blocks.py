"""From the statements of a checked flow to units: variables in the place of names, with types as Python sees them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from masdsl.check import program
from masdsl.check.relations import join
from masdsl.lower import ir
from masdsl.lower.layers import Layers
from masdsl.lower.units import (
    Attempt,
    Binding,
    Call,
    Choice,
    Draws,
    Leaving,
    Mapped,
    Matching,
    Options,
    Returning,
    Rounds,
    Slice,
    Unit,
    Value,
    Visits,
    Way,
    variables_in,
)
from masdsl.lower.values import Known, assigned, expression, fitted, narrowed
from masdsl.lower.variables import Environment, Variable, Variables, erased, has_until, same_class, ways_of
from masdsl.types import Enum, List, Nothing, Optional, Type


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


class _End(NamedTuple):
    """What is bound, and what is known of it, at the end of one way through a construct."""

    names: Layers[Variable]
    known: Layers[Type]


class UnitBuilder:
    """Makes the units of a flow's body. `known` is what Python knows of each variable, at the point that is reached."""

    def __init__(self, variables: Variables, callees: Callees, returns: Type) -> None:
        self._variables = variables
        self._callees = callees
        self._returns = same_class(returns)
        self._originals = variables.originals()

    def body(self, block: program.Block) -> list[Unit]:
        """Return the units of a flow's body."""
        params = self._variables.params
        known = {variable.name: variable.root().type for variable in params.values()}
        return self._block(block, Layers(None, dict(params)), Layers(None, known))[0]

    def _block(self, block: program.Block, names: Layers[Variable], known: Layers[Type]) -> tuple[list[Unit], bool]:
        """Return the units of a block, and whether control never gets behind it.

        `names` becomes what is bound behind it, `known` what is known of that. Statements that control never gets to
        are left out.
        """
        units: list[Unit] = []
        for node in block:
            unit = self._statement(node, names, known)
            unit.after = {name: known[name] for name in unit.writes if name in known}
            units.append(unit)
            if unit.endless:
                return units, True
        return units, False

    def _statement(self, node: program.Statement, names: Layers[Variable], known: Layers[Type]) -> Unit:
        """Return the unit of a statement; `names` and `known` become what holds behind it."""
        match node:
            case program.Bind():
                return self._binding(node, node.path, self._value(node.value, names, known), names, known)
            case program.Append():
                kind = same_class(node.type)
                old = expression(program.Local(node.name, kind, span=node.span), names, known)
                new = expression(node.value, names, known)
                longer = ir.Binary(fitted(old, kind), "+", fitted(new, kind), kind, span=node.span)
                return self._binding(node, "", longer, names, known)
            case program.Until():
                leaving = Leaving(node.span, expression(node.condition, names, known))
                leaving.read(variables_in(leaving.condition), known)
                known.own.update(narrowed(node.condition, names, known, False))
                return leaving
            case program.Return():
                value = self._value(node.value, names, known)
                if not isinstance(value, Call | Options | Draws | Mapped):
                    value = fitted(value, self._returns)
                returning = Returning(node.span, node.path, value, self._returns)
                returning.read(variables_in(value), known)
                returning.steps, returning.effects = _steps_of(value)
                returning.endless = True
                return returning
            case program.Loop():
                return self._loop(node, names, known)
            case program.For():
                return self._for(node, names, known)
            case program.Within():
                inner = known.layer()
                part = Slice(node.span, node.path, self._variables.frame_of(node), node.limits)
                part.body, part.endless = self._block(node.body, names, inner)
                self._collect(part, [part.body], names, known)
                known.own.update(inner.own)
                return part
            case program.If():
                return self._if(node, names, known)
            case program.Match():
                return self._match(node, names, known)

    def _binding(
        self,
        node: program.Bind | program.Append,
        path: str,
        value: Value,
        names: Layers[Variable],
        known: Layers[Type],
    ) -> Unit:
        variable = self._variables.bound[id(node)].root()
        if not isinstance(value, Call | Options | Draws | Mapped):
            value = fitted(value, variable.type)
        unit = Binding(node.span, path, variable.name, value)
        unit.read(variables_in(value), known)
        unit.writes = frozenset((variable.name,))
        unit.steps, unit.effects = _steps_of(value)
        names[node.name] = variable
        known[variable.name] = assigned(variable.type, value.type)
        return unit

    # ------------------------------------------------------------ constructs

    def _loop(self, node: program.Loop, names: Layers[Variable], known: Layers[Type]) -> Unit:
        widened = self._widened(node.body, names)
        unit = Rounds(node.span, node.path, self._variables.frame_of(node), node.times)
        unit.body, exits = self._block(node.body, names.layer(), known.layer(dict(widened)))
        unit.endless = exits and not has_until(node.body)
        self._collect(unit, [unit.body], names, known)
        known.own.update(widened)
        return unit

    def _for(self, node: program.For, names: Layers[Variable], known: Layers[Type]) -> Unit:
        items = expression(node.items, names, known)
        variable = self._variables.bound[id(node)].root()
        widened = self._widened(node.body, names)
        element = items.type.element if isinstance(items.type, List) else variable.type
        unit = Visits(node.span, node.path, self._variables.frame_of(node), variable.name, items)
        inner = known.layer(widened | {variable.name: element})
        unit.body, _ = self._block(node.body, names.layer({node.var: variable}), inner)
        self._collect(unit, [unit.body], names, known, items)
        known.own.update(widened)
        return unit

    def _if(self, node: program.If, names: Layers[Variable], known: Layers[Type]) -> Unit:
        unit = Choice(node.span, node.path)
        ends: list[_End] = []
        rest = known
        blocks = ((branch.span, branch.condition, branch.body) for branch in node.branches)
        for span, condition, block in (*blocks, (node.span, None, node.orelse)):
            way = Way(span, None if condition is None else expression(condition, names, rest), ())
            end = _End(names.layer(), rest.layer(narrowed(condition, names, rest, True) if condition else {}))
            way.body, endless = self._block(block, end.names, end.known)
            unit.ways.append(way)
            ends += [] if endless else [end]
            changes = narrowed(condition, names, rest, False) if condition else {}
            rest = rest.layer(changes) if changes else rest
        self._chosen(unit, names, known, ends, [way.condition for way in unit.ways])
        return unit

    def _match(self, node: program.Match, names: Layers[Variable], known: Layers[Type]) -> Unit:
        assert isinstance(node.subject.type, Enum)
        unit = Matching(node.span, node.path, expression(node.subject, names, known), node.subject.type)
        ends: list[_End] = []
        spans = [*(arm.span for arm in node.arms), node.span]
        words = [*(arm.words for arm in node.arms), ()]
        for span, way_words, block in zip(spans, words, ways_of(node), strict=False):
            way = Way(span, None, way_words)
            end = _End(names.layer(), known.layer())
            way.body, endless = self._block(block, end.names, end.known)
            unit.ways.append(way)
            ends += [] if endless else [end]
        self._chosen(unit, names, known, ends, [unit.subject])
        return unit

    def _chosen(
        self,
        unit: Choice | Matching,
        names: Layers[Variable],
        known: Layers[Type],
        ends: list[_End],
        heads: list[ir.Expr | None],
    ) -> None:
        """Finish a construct of which one way runs: with the names that all ways that go on have bound."""
        unit.endless = not ends
        for name in dict.fromkeys(name for end in ends for name in end.names.own):
            if all(name in end.names for end in ends):
                names[name] = ends[0].names[name].root()
        self._collect(unit, [way.body for way in unit.ways], names, known, *heads)
        for name in dict.fromkeys(name for end in ends for name in end.known.since(known)):
            kinds = [kind for end in ends if (kind := end.known.get(name)) is not None]
            if len(kinds) == len(ends) and kinds:
                known[name] = kinds[0]
                for kind in kinds[1:]:
                    known[name] = join(known[name], kind) or kind

    def _widened(self, body: program.Block, names: Environment) -> dict[str, Type]:
        """Return what is known at the start of every round of the variables that the body assigns: their types."""
        changes: dict[str, Type] = {}
        pending = [body]
        while pending:
            for node in pending.pop():
                match node:
                    case program.Bind() | program.Append():
                        variable = self._variables.bound[id(node)].root()
                        outer = names.get(node.name)
                        if outer is not None and outer.root() is variable:
                            changes[variable.name] = variable.type
                    case program.Loop() | program.For() | program.Within():
                        pending.append(node.body)
                    case program.If() | program.Match():
                        pending.extend(ways_of(node))
                    case _:
                        pass
        return changes

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
                unit.ways_out += inner.ways_out
        unit.writes = frozenset(name for name in writes if self._is_visible(name, names))
        unit.read((name for name in reads | unit.writes if name in before), before)

    def _is_visible(self, name: str, names: Environment) -> bool:
        """Say whether a Python variable is one that the program can name at this point."""
        variable = names.get(self._originals[name])
        return variable is not None and variable.root().name == name

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
        inner_names = names.layer({rhs.var: variable})
        inner = known.layer({variable.name: element})
        condition = None
        if rhs.condition is not None:
            condition = expression(rhs.condition, inner_names, inner)
            inner = inner.layer(narrowed(rhs.condition, inner_names, inner, True))
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
