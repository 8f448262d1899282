"""Which names of a flow are which Python variables.

A name of the language belongs to the block that binds it first; bound again in a nested block it is the same variable,
and names that all branches of a construct bind are one variable behind it. A variable of Python has one type in its
whole function, so that two variables share a name only where they have the same type and neither block is in the other.
"""

from __future__ import annotations

from typing import TypeAlias

from masdsl.check import program
from masdsl.check.program import Block, Flow, Rhs
from masdsl.check.relations import join
from masdsl.lower.layers import Layers
from masdsl.lower.names import Names
from masdsl.node import Node
from masdsl.types import List, Nothing, Optional, Record, Text, Type

Scope: TypeAlias = tuple[int, ...]
FRAME = "frame"


def erased(kind: Type) -> Type:
    """Return the type without sizes, as Python's type checkers see it. Nameless records keep them: each is a class."""
    match kind:
        case Text():
            return Text(0)
        case List():
            return List(erased(kind.element), 0, 1)
        case Optional():
            return Optional(erased(kind.inner))
        case _:
            return kind


def same_class(kind: Type) -> Type:
    """Return the type with the module of nameless records dropped: they are one class wherever they are written."""
    match kind:
        case Record(name=None):
            return Record(None, "", tuple((field, same_class(inner)) for field, inner in kind.fields))
        case List():
            return List(same_class(kind.element), kind.low, kind.high)
        case Optional():
            return Optional(same_class(kind.inner))
        case _:
            return kind


class Variable:
    """A Python variable. `type` is the type of all that is ever assigned to it, at `binds` places."""

    __slots__ = ("_same_as", "binds", "kind", "name", "original", "scope", "type")

    def __init__(self, original: str, scope: Scope, kind: str, type_: Type) -> None:
        self.original = original
        self.scope = scope
        self.kind = kind
        self.type = type_
        self.name = ""
        self.binds = 1
        self._same_as: Variable | None = None

    def root(self) -> Variable:
        """Return the variable that stands for all that are one with this one."""
        found = self
        while found._same_as is not None:
            found = found._same_as
        return found

    def unite(self, other: Variable) -> None:
        """Make two variables one."""
        a, b = self.root(), other.root()
        if a is b:
            return
        b._same_as = a
        a.binds += b.binds
        a.type = join(a.type, b.type) or a.type
        shared = 0
        while shared < min(len(a.scope), len(b.scope)) and a.scope[shared] == b.scope[shared]:
            shared += 1
        a.scope = a.scope[:shared]


Environment: TypeAlias = Layers[Variable]


class Variables:
    """The variables of a flow.

    `bound` gives the variable that a node binds (`Bind`, `Append`, `For`, `Each`), by the node's identity: equal nodes
    may stand at several places. `rebound` are the Python variables that are assigned at several places.
    """

    def __init__(self, flow: Flow, outer: Names) -> None:
        self.bound: dict[int, Variable] = {}
        self.names = outer
        self.rebound: frozenset[str] = frozenset()
        self._frames: dict[int, Variable] = {}
        self._all: list[Variable] = []
        self._blocks = 0
        self.frame = outer.give("run")
        self.params = {param.name: self._new(param.name, (), same_class(param.type)) for param in flow.params}
        self._block(flow.body, Layers(None, dict(self.params)), ())
        self._name_all()

    def frame_of(self, node: program.Loop | program.For | program.Within) -> str:
        """Return the name of the frame in the body of a construct."""
        return self._frames[id(node)].name

    def originals(self) -> dict[str, str]:
        """Return the names in the program of the Python variables, by name."""
        return {variable.name: variable.original for variable in self._all if variable.kind != FRAME}

    def types(self) -> dict[str, Type]:
        """Return the types of the Python variables by name."""
        return {variable.name: variable.root().type for variable in self._all if variable.kind != FRAME}

    def fresh(self, name: str) -> str:
        """Return a new name for something that is generated."""
        return self.names.give(name)

    # ------------------------------------------------------------ scopes

    def _new(self, name: str, scope: Scope, kind: Type) -> Variable:
        made = Variable(name, scope, "", kind)
        self._all.append(made)
        return made

    def _inner(self, scope: Scope) -> Scope:
        self._blocks += 1
        return (*scope, self._blocks)

    def _block(self, block: Block, names: Layers[Variable], scope: Scope, inside: Scope | None = None) -> bool:
        """Walk a block; `names` becomes what is bound behind it. Say whether control never gets there.

        What it binds belongs to `scope`; blocks in it lie in `inside`, if that is another one.
        """
        inside = scope if inside is None else inside
        for node in block:
            match node:
                case program.Bind():
                    self._bind(node, node.name, same_class(node.type), names, scope)
                    self._rhs(node.value, inside)
                case program.Append():
                    self._bind(node, node.name, same_class(node.type), names, scope)
                case program.Return():
                    self._rhs(node.value, inside)
                    return True
                case program.Until():
                    pass
                case program.Loop() | program.For():
                    inner = self._inner(inside)
                    self._new_frame(node, inner)
                    body_names = names.layer()
                    if isinstance(node, program.For):
                        variable = self._new(node.var, inner, same_class(node.var_type))
                        self.bound[id(node)] = body_names[node.var] = variable
                    exits = self._block(node.body, body_names, inner)
                    for name, variable in body_names.own.items():
                        if name in names:
                            names[name].unite(variable)
                    if exits and isinstance(node, program.Loop) and not has_until(node.body):
                        return True
                case program.Within():
                    inner = self._inner(inside)
                    self._new_frame(node, inner)
                    if self._block(node.body, names, scope, inner):
                        return True
                case program.If() | program.Match():
                    if self._branches(ways_of(node), names, scope, inside):
                        return True
        return False

    def _branches(self, ways: tuple[Block, ...], names: Layers[Variable], scope: Scope, inside: Scope) -> bool:
        ends: list[Layers[Variable]] = []
        for way in ways:
            end = names.layer()
            if not self._block(way, end, self._inner(inside)):
                ends.append(end)
        for name in dict.fromkeys(name for end in ends for name in end.own):
            variable, *others = (end.get(name) for end in ends)
            if variable is None or None in others:
                continue
            for other in others:
                assert other is not None
                variable.unite(other)
            names[name] = variable
            if len(variable.root().scope) > len(scope):
                variable.root().scope = scope
        return not ends

    def _bind(self, node: Node, name: str, kind: Type, names: Layers[Variable], scope: Scope) -> None:
        known = names.get(name)
        if known is not None:
            common = join(known.root().type, kind)
            if common is not None:
                known.root().type = common
                known.root().binds += 1
                self.bound[id(node)] = known
                return
        self.bound[id(node)] = names[name] = self._new(name, scope, kind)

    def _rhs(self, rhs: Rhs, scope: Scope) -> None:
        if isinstance(rhs, program.Each):
            self.bound[id(rhs)] = self._new(rhs.var, self._inner(scope), same_class(rhs.var_type))

    def _new_frame(self, node: program.Loop | program.For | program.Within, scope: Scope) -> None:
        label = node.path.rpartition(".")[2]
        word, name = _FRAME_NAMES[type(node)]
        labelled = label != word and not label.removeprefix(f"{word}_").isdigit()
        frame = Variable(label if labelled else name, scope, FRAME, Nothing())
        self._frames[id(node)] = frame
        self._all.append(frame)

    # ------------------------------------------------------------ names

    def _name_all(self) -> None:
        """Name the values first: frames, being ours, make way for them."""
        named: dict[str, list[Variable]] = {}
        for frames in (False, True):
            for variable in self._all:
                root = variable.root()
                if (variable.kind == FRAME) == frames and not root.name:
                    root.name = self._shared(named, root) or self.names.give(root.original)
                    named.setdefault(root.original, []).append(root)
        binds: dict[str, int] = {}
        for variable in self._all:
            variable.name = variable.root().name
            if variable.root() is variable:
                binds[variable.name] = binds.get(variable.name, 0) + variable.binds
        self.rebound = frozenset(name for name, count in binds.items() if count > 1)

    def _shared(self, named: dict[str, list[Variable]], variable: Variable) -> str | None:
        candidates: dict[str, bool] = {}
        for other in named.get(variable.original, ()):
            alike = other.kind == variable.kind and erased(other.type) == erased(variable.type)
            shared = min(len(other.scope), len(variable.scope))
            apart = other.scope[:shared] != variable.scope[:shared]
            candidates[other.name] = candidates.get(other.name, True) and alike and apart
        return next((name for name, fits in candidates.items() if fits), None)


_FRAME_NAMES: dict[type[Node], tuple[str, str]] = {
    program.Loop: ("loop", "turn"),
    program.For: ("for", "visit"),
    program.Within: ("within", "part"),
}
"""How paths call a construct without a label, and the name of its frame."""


def ways_of(node: program.If | program.Match) -> tuple[Block, ...]:
    """Return the blocks of which exactly one runs."""
    if isinstance(node, program.If):
        return (*(branch.body for branch in node.branches), node.orelse)
    arms = tuple(arm.body for arm in node.arms)
    return arms if node.orelse is None else (*arms, node.orelse)


def has_until(block: Block) -> bool:
    """Say whether a block can leave the loop around it."""
    for node in block:
        match node:
            case program.Until():
                return True
            case program.Within():
                if has_until(node.body):
                    return True
            case program.If() | program.Match():
                if any(has_until(way) for way in ways_of(node)):
                    return True
            case _:
                pass
    return False
