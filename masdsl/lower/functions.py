"""From scheduled units to the statements of Python functions: a flow's own, and its helpers.

A helper is a local function. It captures nothing, so that it may run while the variables around it change: what it
needs are its parameters, and tasks that it waits for are parameters too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from masdsl.lower import ir
from masdsl.lower.schedule import Collect, Inline, Launch, schedule
from masdsl.lower.units import (
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
    variables_in,
)
from masdsl.lower.values import fitted
from masdsl.lower.variables import Variables, erased
from masdsl.node import Span
from masdsl.types import Bool, Enum, Nothing, Optional, Type

RESULT = "result"
LONGEST_CHAIN = 200
"""Branches of one `if` of Python, which gives up at a thousand."""


class _Level:
    """A block that is being written: what of it is still open at the unit where the writer is."""

    def __init__(self, units: Sequence[Unit], live: frozenset[str], is_round: bool) -> None:
        self.live = live
        self.is_round = is_round
        self.current: Unit | None = None
        self.open: dict[int, _Task] = {}
        self.rest = {id(unit): unit for unit in units}
        self._order = {id(unit): number for number, unit in enumerate(units)}
        self._last_read = {name: number for number, unit in enumerate(units) for name in unit.reads}

    def needed(self, unit: Unit) -> tuple[str, ...]:
        """Return the variables of a unit that somebody reads behind it, in a stable order."""
        number = self._order[id(unit)]
        return tuple(
            name for name in sorted(unit.writes) if name in self.live or self._last_read.get(name, -1) > number
        )

    def done(self, unit: Unit) -> None:
        """Note that nothing is left to do for a unit."""
        self.rest.pop(id(unit), None)


class _Task:
    """A task that has been started: its variable, what its value binds, the types of that, and where it comes from.

    `is_covered` means that another task waits for it, and is waited for wherever this one would be.
    """

    def __init__(self, name: str, names: tuple[str, ...], types: tuple[Type, ...], span: Span) -> None:
        self.name = name
        self.names = names
        self.types = types
        self.span = span
        self.is_covered = False


class FunctionWriter:
    """Writes the statements of a Python function. `frame` is its frame's variable, `prefix` that frame's address."""

    def __init__(
        self, variables: Variables, types: dict[str, Type], frame: str, prefix: str, assigned: Iterable[str]
    ) -> None:
        self._variables = variables
        self._types = types
        self._frame = frame
        self._prefix = prefix
        self._assigned = set(assigned)
        self._known: Mapping[str, Type] = types
        self._levels: list[_Level] = []

    def block(self, units: Sequence[Unit], live: frozenset[str], is_round: bool = False) -> list[ir.Statement]:
        """Return the statements of a block; `live` are the variables that somebody reads behind it."""
        level = _Level(units, live, is_round)
        self._levels.append(level)
        made: list[ir.Statement] = []
        for action in schedule(units, live):
            match action:
                case Inline(unit):
                    level.current = unit
                    made += self._inline(unit)
                    level.done(unit)
                case Launch():
                    made += self._launch(action, level)
                case Collect(unit):
                    task = level.open.pop(id(unit))
                    made += self._join(task, unit.span) if task.names or not task.is_covered else []
                    level.done(unit)
        self._levels.pop()
        return made

    # ------------------------------------------------------------ units on the spot

    def _inline(self, unit: Unit) -> list[ir.Statement]:
        self._known = unit.before
        made: list[ir.Statement]
        match unit:
            case Binding():
                return self._assign(unit.name, unit.name, unit.value, unit.span)
            case Leaving():
                body = (*self._settle_round(), ir.Break(span=unit.span))
                return [ir.If((ir.Branch(unit.condition, body, span=unit.span),), (), span=unit.span)]
            case Returning():
                return self._return(unit)
            case Rounds():
                step, outer = self._relative(unit.path), self._frame
                body = self._framed(unit.frame, unit.path, unit.body, unit.writes, True)
                made = [ir.Loop(unit.frame, outer, step, unit.times, body, span=unit.span)]
                return [*made, ir.Unreachable(span=unit.span)] if unit.endless else made
            case Visits():
                step, outer = self._relative(unit.path), self._frame
                self._assigned.add(unit.var)
                body = self._framed(unit.frame, unit.path, unit.body, unit.writes, True)
                return [ir.For(unit.frame, unit.var, outer, step, unit.items, body, span=unit.span)]
            case Slice():
                step, outer = self._relative(unit.path), self._frame
                body = self._framed(unit.frame, unit.path, unit.body, unit.writes, False)
                return [ir.Within(unit.frame, outer, step, unit.limits, body, span=unit.span)]
            case Choice():
                *guarded, last = [(way, tuple(self.block(way.body, unit.writes))) for way in unit.ways]
                branches = tuple(
                    ir.Branch(way.condition, body, span=way.span) for way, body in guarded if way.condition is not None
                )
                made = _chain(branches, last[1], self._variables.fresh, unit.span)
                return [*made, ir.Unreachable(span=unit.span)] if unit.endless and len(made) > 1 else made
            case Matching():
                arms = [(way, tuple(self.block(way.body, unit.writes))) for way in unit.ways]
                orelse = next((body for way, body in arms if not way.words), None)
                cases = tuple(ir.Arm(way.words, body, span=way.span) for way, body in arms if way.words)
                return [ir.Match(unit.subject, unit.type, cases, orelse, span=unit.span)]
        raise AssertionError(f"a unit of unknown kind: {unit}")

    def _framed(
        self, frame: str, prefix: str, units: Sequence[Unit], live: frozenset[str], is_round: bool
    ) -> tuple[ir.Statement, ...]:
        outer = self._frame, self._prefix
        self._frame, self._prefix = frame, prefix
        body = tuple(self.block(units, live, is_round))
        self._frame, self._prefix = outer
        return body

    def _return(self, unit: Returning) -> list[ir.Statement]:
        open_tasks = [task for level in self._levels for task in level.open.values() if not task.is_covered]
        joins = [ir.Join((), None, task.name, span=task.span) for task in open_tasks]
        if not isinstance(unit.value, Call | Options | Draws | Mapped):
            return [*joins, ir.Return((unit.value,), span=unit.span)]
        if not joins:
            return self._give(unit.value, unit.type, RESULT, unit.span)
        name = self._variables.fresh(RESULT)
        self._types[name] = unit.type
        return [
            *self._assign(name, RESULT, unit.value, unit.span),
            *joins,
            ir.Return((ir.Var(name, unit.type, span=unit.span),), span=unit.span),
        ]

    def _settle_round(self) -> list[ir.Statement]:
        """Return what is still to be done in the blocks of this round before it is left from where the writer is.

        Every task is waited for, but bound, like anything else, only as far as somebody reads it behind the loop.
        """
        first = max(number for number, level in enumerate(self._levels) if level.is_round)
        rest: list[tuple[Unit, _Task | None]] = []
        for level in self._levels[first:]:
            for unit in level.rest.values():
                if unit is level.current:
                    break
                rest.append((unit, level.open.get(id(unit))))
        needed = set(self._levels[first].live)
        made: list[list[ir.Statement]] = []
        for unit, task in reversed(rest):
            if task is not None and not needed.intersection(task.names):
                made.append([] if task.is_covered else [ir.Join((), None, task.name, span=task.span)])
            elif task is not None:
                made.append(self._join(task, unit.span))
            elif unit.writes & needed:
                assert not unit.steps, "every step before a way out has been started"
                needed |= unit.reads
                made.append(self._inline(unit))
        return [statement for statements in reversed(made) for statement in statements]

    # ------------------------------------------------------------ right-hand sides

    def _assign(self, name: str, label: str, value: Value, span: Span) -> list[ir.Statement]:
        """Bind a value to a variable."""
        match value:
            case Call() | Draws() | Mapped():
                made, awaitable = self._awaitable(value, label)
                return [*made, *self._bind_awaited(name, awaitable, value.type, span)]
            case Options(options=(Call() as first, second)) if not isinstance(first.type, Optional):
                body = tuple(self._assign(name, label, first, span))
                handler = tuple(self._assign(name, label, second, span))
                return [ir.Try(body, handler, span=span)]
            case Options():
                made, awaitable = self._awaitable(value, label)
                return [*made, *self._bind_awaited(name, awaitable, value.type, span)]
            case _:
                made_to_fit = fitted(value, self._types[name])
                declared = self._declared(name, self._inferred(name, made_to_fit))
                return [ir.Assign(name, declared, made_to_fit, span=span)]

    def _bind_awaited(self, name: str, awaitable: ir.Awaitable, kind: Type, span: Span) -> list[ir.Statement]:
        given, rest = self._target(name, kind, span)
        return [ir.Await((given,), self._declared(given, kind), awaitable, span=span), *rest]

    def _target(self, name: str, kind: Type, span: Span) -> tuple[str, list[ir.Statement]]:
        """Return the variable that takes a value of the type on its way to `name`, and what makes it fit that one."""
        value = ir.Var(name, kind, span=span)
        if fitted(value, self._types[name]) is value:
            return name, []
        passing = self._fresh(f"{name}_given")
        self._types[passing] = kind
        made = fitted(ir.Var(passing, kind, span=span), self._types[name])
        return passing, [ir.Assign(name, self._declared(name, self._inferred(name, made)), made, span=span)]

    def _give(self, value: Value, wanted: Type, label: str, span: Span) -> list[ir.Statement]:
        """Return a value of the wanted type from the function."""
        match value:
            case Options(options=(Call() as first, second)) if not isinstance(first.type, Optional):
                body, handler = (tuple(self._give(option, wanted, label, span)) for option in (first, second))
                return [ir.Try(body, handler, span=span)]
            case Options():
                made: list[ir.Statement] = []
                for option in value.options[:-1]:
                    made += self._give_if_any(option, wanted, label, span)
                return [*made, *self._give(value.options[-1], wanted, label, span)]
            case Call() | Draws() | Mapped():
                made, awaitable = self._awaitable(value, label)
                passing = ir.Var(label, value.type, span=span)
                if fitted(passing, wanted) is passing:
                    return [*made, ir.ReturnAwait(awaitable, span=span)]
                name = self._variables.fresh(label)
                self._types[name] = value.type
                given = fitted(ir.Var(name, value.type, span=span), wanted)
                bound = self._bind_awaited(name, awaitable, value.type, span)
                return [*made, *bound, ir.Return((given,), span=span)]
            case _:
                return [ir.Return((fitted(value, wanted),), span=span)]

    def _give_if_any(self, option: ir.Expr | Call, wanted: Type, label: str, span: Span) -> list[ir.Statement]:
        """Return the option's value from the function unless it fails or is none; then go on."""
        if isinstance(option.type, Nothing) and not isinstance(option, Call):
            return []
        if isinstance(option, Call) and not isinstance(option.type, Optional):
            return [ir.Try(tuple(self._give(option, wanted, label, span)), (), span=span)]
        name = self._fresh(f"{label}_found")
        self._types[name] = option.type
        found = ir.Var(name, option.type, span=span)
        there = ir.Binary(found, "!=", ir.Const(None, Nothing(), span=span), Bool(), span=span)
        inner = option.type.inner if isinstance(option.type, Optional) else option.type
        give = ir.Return((fitted(ir.Var(name, inner, span=span), wanted),), span=span)
        body = (
            *self._assign(name, label, option, span),
            ir.If((ir.Branch(there, (give,), span=span),), (), span=span),
        )
        return [ir.Try(body, (), span=span)] if isinstance(option, Call) else list(body)

    def _awaitable(self, value: Call | Options | Draws | Mapped, label: str) -> tuple[list[ir.Statement], ir.Awaitable]:
        """Return what can be awaited for a value, after the definition of the helper that it needs, if any."""
        match value:
            case Call():
                return [], self._step(value)
            case Options():
                return self._helper_for(value, f"{label}_attempt", label)
            case Draws():
                define, captured = self._one(value, label)
                step = ir.Sample(
                    self._frame, value.count, define.function.name, captured, _effect(value), span=value.span
                )
                return [define], step
            case Mapped():
                define, captured = self._one(value, label)
                items = value.items
                if value.condition is not None:
                    element = ir.Var(value.var, value.element, span=value.span)
                    items = ir.Select(value.var, items, value.condition, element, value.type, span=value.span)
                return [define], ir.Map(
                    self._frame, items, define.function.name, captured, _effect(value), span=value.span
                )

    def _step(self, call: Call) -> ir.Step:
        return ir.Step(self._frame, self._relative(call.path), call.callee, call.arguments, span=call.span)

    # ------------------------------------------------------------ helpers

    def _helper_for(self, value: Options, name: str, label: str) -> tuple[list[ir.Statement], ir.Awaitable]:
        name = self._fresh(name)
        captured = self._captured(variables_in(value))
        writer = FunctionWriter(self._variables, self._types, self._frame, self._prefix, variables_in(value))
        writer._known = self._known
        body = tuple(writer._give(value, value.type, label, value.span))
        function = ir.Function(name, self._frame, self._params(captured), (value.type,), body, span=value.span)
        return [ir.Define(function, span=value.span)], ir.Helper(self._frame, name, captured, span=value.span)

    def _one(self, value: Draws | Mapped, label: str) -> tuple[ir.Define, ir.Arguments]:
        """Return the function of one draw, or of one item, and the arguments that all share."""
        reads = variables_in(value.body)
        item: tuple[ir.Parameter, ...] = ()
        if isinstance(value, Mapped):
            reads -= {value.var}
            item = (ir.Parameter(value.var, (value.element,), False),)
        captured = self._captured(reads)
        frame = self._variables.frame
        inner = {*reads, value.var} if isinstance(value, Mapped) else reads
        writer = FunctionWriter(self._variables, self._types, frame, self._prefix, inner)
        writer._known = self._known
        name = self._fresh(f"{label}_one")
        body = tuple(writer._give(value.body, value.body.type, label, value.span))
        params = (*item, *self._params(captured))
        function = ir.Function(name, frame, params, (value.body.type,), body, span=value.span)
        return ir.Define(function, span=value.span), captured

    def _launch(self, launch: Launch, level: _Level) -> list[ir.Statement]:
        """Start a task."""
        unit = launch.unit
        self._known = unit.before
        names = level.needed(unit)
        types: tuple[Type, ...]
        if isinstance(unit, Binding):
            types = (unit.value.type,)
        else:
            types = tuple(unit.after[name] for name in names)
        if len(launch.work) == 1 and isinstance(unit, Binding):
            assert isinstance(unit.value, Call | Options | Draws | Mapped)
            made, awaitable = self._awaitable(unit.value, unit.label)
        else:
            made, awaitable = self._steps(launch, level, names, types)
        task = _Task(self._fresh(f"{unit.label}_task"), names, types, unit.span)
        level.open[id(unit)] = task
        for part in launch.work[:-1]:
            if isinstance(part, Collect):
                level.open[id(part.unit)].is_covered = True
            elif part.unit.steps:
                level.done(part.unit)
        return [*made, ir.Start(task.name, self._frame, awaitable, span=unit.span)]

    def _steps(
        self, launch: Launch, level: _Level, names: tuple[str, ...], types: tuple[Type, ...]
    ) -> tuple[list[ir.Statement], ir.Awaitable]:
        """Return the helper that does all parts of a launch and gives the values of the last."""
        unit = launch.unit
        waited = {id(part.unit): level.open[id(part.unit)] for part in launch.work if isinstance(part, Collect)}
        produced: set[str] = set()
        reads: dict[str, Type] = {}
        written = {name for part in launch.work for name in part.unit.writes}
        for part in launch.work:
            if isinstance(part, Inline):
                for name in sorted(part.unit.reads - produced):
                    declared = self._types[name]
                    reads.setdefault(name, declared if name in written else part.unit.before.get(name, declared))
            produced |= part.unit.writes
        captured = tuple((name, ir.Var(name, kind, span=unit.span)) for name, kind in reads.items())
        tasks = tuple((task.name, ir.Var(task.name, Nothing(), span=unit.span)) for task in waited.values())
        params = (
            *(ir.Parameter(task.name, task.types, True) for task in waited.values()),
            *(ir.Parameter(name, (kind,), False) for name, kind in reads.items()),
        )
        writer = FunctionWriter(self._variables, self._types, self._frame, self._prefix, reads)
        body: list[ir.Statement] = []
        for part in launch.work[:-1]:
            if isinstance(part, Collect):
                body += writer._join(waited[id(part.unit)], part.unit.span, inside=True)
            else:
                body += writer._inline(part.unit)
        writer._known = unit.before
        if isinstance(unit, Binding):
            body += writer._give(unit.value, unit.value.type, unit.label, unit.span)
            returns: tuple[Type, ...] = (unit.value.type,)
        else:
            body += writer._inline(unit)
            returns = types
            if names:
                values = tuple(ir.Var(name, kind, span=unit.span) for name, kind in zip(names, types, strict=True))
                body.append(ir.Return(values, span=unit.span))
        name = self._fresh(f"{unit.label}_steps")
        function = ir.Function(name, self._frame, params, returns, tuple(body), span=unit.span)
        helper = ir.Helper(self._frame, name, (*tasks, *captured), span=unit.span)
        return [ir.Define(function, span=unit.span)], helper

    def _join(self, task: _Task, span: Span, inside: bool = False) -> list[ir.Statement]:
        """Wait for a task and bind what it gives; `inside` another task, that is what covers it."""
        if not task.names:
            return [ir.Join((), None, task.name, span=span)]
        if len(task.names) == 1:
            given, rest = self._target(task.names[0], task.types[0], span)
            declared = self._declared(given, task.types[0])
            return [ir.Join((given,), declared, task.name, task.is_covered and not inside, span=span), *rest]
        made: list[ir.Statement] = []
        for name, kind in zip(task.names, task.types, strict=True):
            declared = self._declared(name, kind)
            if declared is not None:
                made.append(ir.Declare(name, declared, span=span))
        return [*made, ir.Join(task.names, None, task.name, span=span)]

    # ------------------------------------------------------------ names and types

    def _captured(self, names: Iterable[str]) -> ir.Arguments:
        return tuple((name, ir.Var(name, self._known.get(name) or self._types[name])) for name in sorted(names))

    @staticmethod
    def _params(captured: ir.Arguments) -> tuple[ir.Parameter, ...]:
        return tuple(ir.Parameter(name, (value.type,), False) for name, value in captured)

    def _declared(self, name: str, given: Type | None) -> Type | None:
        """Return the type to declare a variable with where it is first assigned, if Python would infer another."""
        if name in self._assigned:
            return None
        self._assigned.add(name)
        wanted = self._types[name]
        return None if given is not None and erased(given) == erased(wanted) else wanted

    def _inferred(self, name: str, value: ir.Expr) -> Type | None:
        """Return the type that Python infers for a variable from what it is first assigned; None where it cannot tell.

        From a bool or an enum that has been tested it infers nothing but that one value.
        """
        tested = not isinstance(value, ir.Const | ir.Binary | ir.Builtin)
        if tested and isinstance(value.type, Bool | Enum) and name in self._variables.rebound:
            return None
        return _inferred(value)

    def _fresh(self, name: str) -> str:
        """Return a new name for something generated; `input_` has the task `input_task`."""
        label, _, what = name.rpartition("_")
        return self._variables.fresh(f"{label.rstrip('_') or 'unnamed'}_{what}")

    def _relative(self, path: str) -> str:
        return path.removeprefix(f"{self._prefix}.")


def _chain(
    branches: tuple[ir.Branch, ...], orelse: ir.Block, fresh: Callable[[str], str], span: Span
) -> list[ir.Statement]:
    """Return an `if` with its branches; one with very many goes on in further ones, since Python nests every `elif`."""
    if len(branches) <= LONGEST_CHAIN:
        return [ir.If(branches, orelse, span=span)]
    found = ir.Var(fresh("found"), Bool(), span=span)
    made: list[ir.Statement] = []
    for first in range(0, len(branches), LONGEST_CHAIN):
        group = branches[first : first + LONGEST_CHAIN]
        is_last = first + LONGEST_CHAIN >= len(branches)
        missed: ir.Block = (ir.Assign(found.name, None, ir.Const(False, Bool(), span=span), span=span),)
        body: ir.Block = (
            ir.Assign(found.name, None, ir.Const(True, Bool(), span=span), span=span),
            ir.If(group, orelse if is_last else missed, span=span),
        )
        unless_found = ir.Branch(ir.Unary("not", found, Bool(), span=span), body, span=span)
        made += [ir.If((unless_found,), (), span=span)] if first else body
    return made


def _effect(value: Draws | Mapped) -> bool:
    options = value.body.options if isinstance(value.body, Options) else (value.body,)
    return any(isinstance(option, Call) and option.effect for option in options)


def _inferred(value: ir.Expr) -> Type | None:
    """Return the type that Python infers for an expression on its own; None where it cannot tell."""
    match value:
        case ir.MakeList(items=items, type=kind):
            exact = [_inferred(item) for item in items]
            alike = all(item is not None and erased(item) == erased(kind.element) for item in exact)
            return kind if items and alike else None
        case ir.Const(value=None | ()):
            return None
        case ir.Otherwise() | ir.Select() | ir.Repeat():
            return value.type
        case _:
            return value.type
