"""Static parameters: what the types, sizes, counts and agents of a flow or an agent are in a call, and its instances.

Types and sizes are learned from the arguments, and from what the agents that are passed give. An agent, or a flow, that
is generic itself is taken last: by then it is known what it will be given, and its own parameters follow from that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import NamedTuple, TypeAlias

from masdsl.check.callables import is_function, report_uncallable
from masdsl.check.context import Callee, Frame, Statics
from masdsl.check.declarations import agent, callee_of, head_of, tool
from masdsl.check.expressions import typed
from masdsl.check.relations import fits, join, show
from masdsl.check.resolve import resolve, visible
from masdsl.check.scope import Declared, Names
from masdsl.diagnostics.types import BadAgentArgument, BadStatic, CannotInfer, MissingArgument
from masdsl.limits import STATIC_INTEGER
from masdsl.node import Span
from masdsl.syntax import ast
from masdsl.syntax.walk import find_all
from masdsl.types import List, Opaque, Optional, Record, Text, Type, Unknown

Head: TypeAlias = "ast.Agent | ast.Tool | ast.Flow"
Learned: TypeAlias = "dict[str, Type | int]"
Callees: TypeAlias = "dict[str, Callee]"


class Given(NamedTuple):
    """The arguments of a call, by parameter: values, agents, and whole numbers passed by name."""

    values: Mapping[str, ast.Expr]
    agents: Mapping[str, ast.Expr]
    integers: Mapping[str, ast.Expr]


class _Passed(NamedTuple):
    """A declaration that is passed where an agent is taken, as the module `frame` knows it."""

    frame: Frame
    declared: Declared
    head: Head
    span: Span


MAX_ROUNDS = 3
_Waiting: TypeAlias = "tuple[ast.Param, _Passed]"


def statics_of(head: Head) -> tuple[ast.Static, ...]:
    """Return the static parameters of something that can be called."""
    return () if isinstance(head, ast.Tool) else head.statics


def is_generic(head: Head) -> bool:
    """Say whether something has to be instantiated: it has static parameters or takes agents."""
    return bool(statics_of(head)) or any(isinstance(param.type, ast.AgentType) for param in head.params)


def infer(
    frame: Frame, names: Names, node: ast.Call, declared: Declared, head: Head, given: Given
) -> tuple[Statics, Callees] | None:
    """Return what the static parameters and the agent parameters are in a call; None, with a report, after a fault."""
    inference = _Inference(frame, declared.node.name.text, node.span, declared, head)
    return (inference.statics, inference.callees) if inference.from_call(names, given) else None


def instance(
    frame: Frame, declared: Declared, head: Head, statics: Statics, callees: Callees, at: Span
) -> Callee | None:
    """Return what a declaration is for these static arguments; None, with a report, where an agent does not fit."""
    if isinstance(head, ast.Tool):
        return callee_of(tool(frame, declared))
    if isinstance(head, ast.Agent):
        return callee_of(agent(frame, declared, statics))
    home = Frame(declared.home, frame.context)
    home.statics = statics
    for param in head.params:
        if isinstance(param.type, ast.AgentType):
            fault = _misfit(home, param.type, callees[param.name.text])
            if fault:
                shown = ", ".join(show(resolve(home, kind)) for kind in param.type.params)
                expected = f"agent({shown}) -> {show(resolve(home, param.type.returns))}"
                frame.report(BadAgentArgument(param.name.text, expected, fault, span=at))
                return None
    made = frame.context.instantiate(frame.context, declared, statics, callees, at, frame.scope.source)
    return None if made is None else Callee("flow", made.key, head.name.text, made.params, made.returns)


def opaque_statics(head: Head) -> dict[str, Type | int]:
    """Return static arguments for what nothing calls: types that are nothing but a name, the default or 1."""
    return {
        static.name.text: Opaque(static.name.text)
        if static.name.text[:1].isupper()
        else 1
        if static.default is None
        else static.default
        for static in statics_of(head)
    }


def default_agent(frame: Frame, param: ast.Param) -> Callee | _Passed | None:
    """Return the agent that a parameter has where none is passed; None, with a report, where that is none."""
    assert param.default is not None and isinstance(param.type, ast.AgentType)
    return _passed(frame, param.name.text, param.default, param.type)


class _Inference:
    """What one call of something generic says, or one place that it is passed to.

    `name` is the declaration's, `span` the place of the call or the argument, for messages.
    """

    def __init__(self, frame: Frame, name: str, span: Span, declared: Declared, head: Head) -> None:
        self._frame = frame
        self._name = name
        self._span = span
        self._declared = declared
        self._home = Frame(declared.home, frame.context)
        self._head = head
        self._open = {static.name.text for static in statics_of(head)}
        self._later: list[_Waiting] = []
        self._missing: list[str] = []
        self._ok = True
        self.statics: Learned = {}
        self.callees: Callees = {}

    def from_call(self, names: Names, given: Given) -> bool:
        """Learn from the arguments of a call; a fault is reported, and gives False."""
        for name, value in given.integers.items():
            number = _static_argument(self._frame, name, value)
            if number is None:
                self._ok = False
            else:
                self.statics[name] = number
        for param in self._head.params:
            name = param.name.text
            if isinstance(param.type, ast.AgentType):
                self._agent(param, param.type, given.agents.get(name))
            elif name in given.values:
                self._value(param, names, given.values[name])
            elif param.default is None and not isinstance(param.type, ast.OptionalType):
                self._missing.append(name)
        missing = self._finish()
        if missing and self._missing:
            shown = f"{self._name}({', '.join(param.name.text for param in self._head.params)})"
            self._frame.report(MissingArgument(self._name, tuple(self._missing), shown, span=self._span))
        elif missing:
            self._frame.report(CannotInfer(self._name, missing, span=self._span))
        return self._ok and not missing

    def from_types(self, kinds: Sequence[Type | None]) -> str:
        """Learn from what will be given; return why that is not enough, or nothing.

        None, and Unknown inside of a type, is what is not known yet.
        """
        for param, kind in zip_longest(self._head.params, kinds[: len(self._head.params)]):
            if isinstance(param.type, ast.AgentType):
                if param.default is None:
                    return f"`{self._name}` takes an agent that is not known here"
                self._agent(param, param.type, None)
            elif kind is not None and param.type is not None:
                _unify(param.type, kind, self._open, self.statics)
        for name in [name for name, kind in self.statics.items() if not isinstance(kind, int) and _is_unknown(kind)]:
            del self.statics[name]
        missing = self._finish()
        return f"`{missing}` of `{self._name}` cannot be told from what it is given" if missing else ""

    @property
    def is_sound(self) -> bool:
        """Whether nothing was reported."""
        return self._ok

    def _finish(self) -> str:
        """Take the agents that are generic themselves; return a static parameter that is not known, or nothing."""
        for static in statics_of(self._head):
            if static.default is not None:
                self.statics.setdefault(static.name.text, static.default)
        self._take_generic_agents()
        unknown = (static.name.text for static in statics_of(self._head) if static.name.text not in self.statics)
        return next(unknown, "") if self._ok else ""

    def _value(self, param: ast.Param, names: Names, value: ast.Expr) -> None:
        if param.type is None or isinstance(param.type, ast.AgentType):
            return
        before = self._frame.context.findings.mark()
        given = typed(self._frame, names, value).type
        if isinstance(given, Unknown):  # its fault is reported already, and there is nothing to learn from it
            self._ok = False
            return
        self._frame.context.findings.rollback(before)
        _unify(param.type, given, self._open, self.statics)

    def _agent(self, param: ast.Param, wanted: ast.AgentType, value: ast.Expr | None) -> None:
        """Take an agent that is passed, or the default; one that is generic is taken later."""
        name = param.name.text
        if value is not None:
            passed = _passed(self._frame, name, value, wanted)
        elif param.default is not None:
            passed = default_agent(self._home, param)
        else:
            self._frame.report(MissingArgument(self._name, (name,), f"{name}: {_shown(wanted)}", span=self._span))
            passed = None
        if passed is None:
            self._ok = False
        elif isinstance(passed, _Passed):
            self._later.append((param, passed))
        else:
            self.callees[name] = passed
            _unify(wanted.returns, passed.returns, self._open, self.statics)

    def _take_generic_agents(self) -> None:
        """Take them as far as what they will be given is known: what one gives may be what another one is given."""
        waiting = list(self._later)
        while waiting and self._ok:
            taken = self._next_generic_agent(waiting)
            waiting = [one for one in waiting if one is not taken]
        for _ in range(MAX_ROUNDS):  # what one gives may widen what an earlier one is given
            before = dict(self.statics)
            for param, passed in self._later:
                if self._ok:
                    self._generic_agent(param, passed, False)
            if self.statics == before:
                break

    def _next_generic_agent(self, waiting: Sequence[_Waiting]) -> _Waiting | None:
        """Take the first of which everything is known, else of which enough is known; else report them all."""
        problems: list[str] = []
        for needs_all in (True, False):
            problems = []
            for one in waiting:
                problems.append(self._generic_agent(*one, needs_all))
                if not problems[-1]:
                    return one
        for (param, passed), problem in zip(waiting, problems, strict=True):
            assert isinstance(param.type, ast.AgentType)
            passed.frame.report(BadAgentArgument(param.name.text, _shown(param.type), problem, span=passed.span))
        self._ok = False
        return None

    def _generic_agent(self, param: ast.Param, passed: _Passed, needs_all: bool) -> str:
        """Take an agent that is generic; return what is not known yet of what it will be given, or nothing."""
        wanted = param.type
        assert isinstance(wanted, ast.AgentType)
        unknown = self._open - set(self.statics)
        self._home.statics = {**self.statics, **{name: Unknown() for name in unknown if name[:1].isupper()}}
        sizes = {name for name in unknown if name[:1].islower()}
        kinds = [
            None if sizes.intersection(name.text for name in find_all(node, ast.Name)) else resolve(self._home, node)
            for node in wanted.params
        ]
        if needs_all and any(kind is None or _is_unknown(kind) for kind in kinds):
            return "not all is known"
        inner = _Inference(passed.frame, passed.declared.name, passed.span, passed.declared, passed.head)
        problem = inner.from_types(kinds)
        callee = None
        if not problem and inner.is_sound:
            callee = instance(passed.frame, passed.declared, passed.head, inner.statics, inner.callees, passed.span)
        if callee is not None:
            self.callees[param.name.text] = callee
            _unify(wanted.returns, callee.returns, self._open, self.statics)
        elif not problem:
            self._ok = False
        return problem


def _shown(wanted: ast.AgentType) -> str:
    return f"agent({', '.join('..' for _ in wanted.params)}) -> .."


def _passed(frame: Frame, name: str, value: ast.Expr, wanted: ast.AgentType) -> Callee | _Passed | None:
    """Return what is passed as an agent: as what is called, or as it is declared where that is generic.

    Anything else is reported, and gives None.
    """
    if isinstance(value, ast.Var):
        passed = value.name.text
        if passed in frame.callees:
            return frame.callees[passed]
        declared = frame.scope.names.get(passed)
        if is_function(frame, passed):
            problem = f"`{passed}` is a function; a flow may return what it gives"
            frame.report(BadAgentArgument(name, _shown(wanted), problem, span=value.span))
            return None
        if declared is None:
            report_uncallable(frame, Names(), value.name)
            return None
        if not isinstance(declared.node, ast.RecordDecl | ast.EnumDecl):
            if not visible(frame, declared, value.span):
                return None
            head = head_of(frame, declared)
            if head is None:
                return None
            if is_generic(head):
                return _Passed(frame, declared, head, value.span)
            return instance(frame, declared, head, {}, {}, value.span)
    frame.report(BadAgentArgument(name, _shown(wanted), "this is a value", span=value.span))
    return None


def _static_argument(frame: Frame, name: str, value: ast.Expr) -> int | None:
    number: object = None
    if isinstance(value, ast.IntLit):
        number = value.value
    elif isinstance(value, ast.Var):
        number = frame.statics.get(value.name.text)
    if not isinstance(number, int):
        frame.report(BadStatic(name, "has to be known at compile time", span=value.span))
        return None
    if not 0 <= number <= STATIC_INTEGER:
        problem = f"is {number}, but must be from 0 to {STATIC_INTEGER}"
        frame.report(BadStatic(name, problem, span=value.span))
        return None
    return number


# ---------------------------------------------------------------- learning


def _unify(node: ast.TypeExpr, given: Type, static_names: Iterable[str], statics: Learned) -> None:
    """Learn static parameters from a written type and the type that meets it."""
    match node, given:
        case ast.OptionalType(), Optional():
            _unify(node.inner, given.inner, static_names, statics)
        case ast.OptionalType(), _:
            _unify(node.inner, given, static_names, statics)
        case ast.ListType(), List():
            if isinstance(node.cap, ast.Name) and node.cap.text in static_names:
                _learn_int(node.cap.text, given.high, statics)
            if given.high > 0:
                _unify(node.element, given.element, static_names, statics)
        case ast.RecordType(), Record():
            for field in node.fields:
                kind = given.field(field.name.text)
                if kind is not None and field.type is not None:
                    _unify(field.type, kind, static_names, statics)
        case ast.NamedType(), Unknown():
            if node.name.text in static_names:
                statics.setdefault(node.name.text, given)
        case ast.NamedType(), _ if node.name.text in static_names:
            known = statics.get(node.name.text)
            if known is None:
                statics[node.name.text] = given
            elif not isinstance(known, int):
                statics[node.name.text] = join(known, given) or known
        case ast.NamedType(size=ast.Name(text=size)), Text() if size in static_names:
            _learn_int(size, given.cap, statics)
        case _:
            pass


def _is_unknown(kind: Type) -> bool:
    """Say whether a type is not known, or has a part that is not."""
    match kind:
        case Unknown():
            return True
        case List():
            return _is_unknown(kind.element)
        case Optional():
            return _is_unknown(kind.inner)
        case Record():
            return any(_is_unknown(inner) for _, inner in kind.fields)
        case _:
            return False


def _learn_int(name: str, number: int, statics: Learned) -> None:
    known = statics.get(name)
    statics[name] = max(known, number) if isinstance(known, int) else number


def _misfit(home: Frame, wanted: ast.AgentType, callee: Callee) -> str:
    """Return why a callee does not fit an agent type, or nothing."""
    kinds = [resolve(home, kind) for kind in wanted.params]
    required = [param for param in callee.params if not param.optional]
    if len(kinds) < len(required) or len(kinds) > len(callee.params):
        return f"`{callee.signature}` takes another number of inputs"
    for kind, param in zip(kinds, callee.params, strict=False):
        if not fits(kind, param.type):
            return f"`{callee.signature}` takes `{show(param.type)}` where `{show(kind)}` comes"
    returns = resolve(home, wanted.returns)
    if not fits(callee.returns, returns):
        return f"`{callee.signature}` gives `{show(callee.returns)}`"
    return ""
