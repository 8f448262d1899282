"""Labels: what a value was touched by, and how it came about.

A label is a set of taints, each with the reason why it is there. There are three kinds of taints: `model` (written by a
model), `untrusted` (touched by text of an untrusted source) and `secret:NAME` (tells something about a secret of the
host's policy). No taint is the label of what the author of the program and the user of the run say. Labels are joined,
and nothing in a program ever takes a taint away: the lattice of Denning (1976), with CaMeL's levels (Debenedetti and
others, 2025, arXiv:2503.18813) as its integrity part.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple, TypeAlias

from masdsl.node import Span

MODEL: Final = "model"
UNTRUSTED: Final = "untrusted"
SECRET: Final = "secret:"
"""What the taints of secrets begin with; the secret's name follows."""

INTEGRITY: Final = frozenset((MODEL, UNTRUSTED))

GIVEN: Final = "given"
"""The kind of a reason that lies with whoever calls the flow: `name` is the parameter, or a part of the context."""
CONTROL, STOPPED, STARVED = "(control)", "(stopped)", "(starved)"
"""The parts of a context that are no parameter: what decides whether a call happens, what may stop it half way, what
decides whether the budget has room for it."""


class Reason(NamedTuple):
    """One step of how a taint came to a value; `before` is the step before it, None at the source.

    `kind` is `source`, `lends` (an agent may use the source: `name` is both), `input`, `model` or `kept` (an
    earlier version of the program had it), where it begins; `agent`, `tool` or `flow` (what it went through), `bind`
    (the name that holds it), `asks` (a condition that it decides), `fails` (a step whose failure it decides), `budget`
    (it decides what is left of a budget), `late` (it decides who is late when this step fails), or `given`. `module` is
    that of the text that `span` is about.
    """

    kind: str
    name: str
    span: Span
    module: str
    before: Reason | None = None


Label: TypeAlias = Mapping[str, Reason]
"""Taints, each with its reason. Never changed once it is made."""

CLEAN: Final[Label] = {}


def join(*labels: Label) -> Label:
    """Return the taints of all labels; the first reason of each stays."""
    joined: Label = CLEAN
    for label in labels:
        if not joined:
            joined = label
        elif label and not label.keys() <= joined.keys():
            joined = {**label, **joined}
    return joined


def through(label: Label, kind: str, name: str, span: Span, module: str) -> Label:
    """Return a label whose taints came one step further."""
    return {taint: Reason(kind, name, span, module, reason) for taint, reason in label.items()}


class Value(NamedTuple):
    """The label of a value. `label` is about the value as a whole: whether it is there, how many items it has, and all
    that is in it where there are no `parts`. A part is a field of a record, or `ITEM` for the items of a list, and has
    the taints of the whole as well.
    """

    label: Label = CLEAN
    parts: Mapping[str, Value] = {}

    def under(self, label: Label) -> Value:
        """Return the value where something decides which one it is."""
        return self if label.keys() <= self.label.keys() else Value(join(self.label, label), self.parts)

    def part(self, name: str) -> Value:
        """Return a field, or the items under `ITEM`."""
        if name not in self.parts:
            return Value(self.label)
        return self.parts[name].under(self.label)

    def all(self) -> Label:
        """Return the taints of the value and of everything in it."""
        label = self.label
        for part in self.parts.values():
            label = join(label, part.all())
        return label

    def shape(self) -> tuple[object, ...]:
        """Return what tells values apart, whatever the reasons are."""
        parts = tuple((name, part.shape()) for name, part in sorted(self.parts.items()))
        return frozenset(self.label), parts


ITEM: Final = "[]"
PLAIN: Final = Value()


def either(one: Value, other: Value) -> Value:
    """Return the value that is one of two."""
    if one is other:
        return one
    if not one.parts and not other.parts:
        return one if other.label.keys() <= one.label.keys() else Value(join(one.label, other.label))
    names = one.parts.keys() | other.parts.keys()
    parts = {name: either(_inner(one, name), _inner(other, name)) for name in sorted(names)}
    return Value(join(one.label, other.label), parts)


def _inner(value: Value, name: str) -> Value:
    return value.parts.get(name, PLAIN)


def one_of(values: Iterable[Value]) -> Value:
    """Return the value that is one of several; without taints where there is none."""
    found = PLAIN
    for value in values:
        found = either(found, value)
    return found
