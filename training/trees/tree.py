"""The trees of Collaborative Tree Optimization: what the meta-agents decided for a query, and what came of each choice.

    v_Q --generator--> v_G --implementer--> v_I [--rectifier--> v_R ...] --> v_F

A `Decision` is a node at which a meta-agent wrote something several times: its context c_v and the `Option`s written,
each of which leads to the next decision, to the end of a run (`Trajectory`), or, where a run was lost to an outage,
nowhere. A trajectory tau is a path from the root to such an end (7). One file holds many trees, a line of JSON each.

Source: MAS² (arXiv:2509.24323), section 3.2, equation (7). What the paper leaves open is decided like this:

- A role may be missing (the ablations without a generator, an implementer or a rectifier), but the order of roles
  holds, each but the rectifier decides once on a path, and a rectifier may decide again about what it repaired.
- A system is run once. Siblings share the context c_v to the letter, so the values of two of them may be compared.
- A rectifier's siblings are the patches sampled at the same state s_t. Leaving the run alone is one of them, with an
  empty patch, where it was tried.
- C(tau) is what the agents of the designed system took on the whole path: the prefix before a repair counts for every
  branch behind it, although it was paid once. What meta-agents took themselves is kept apart (`Option.spent`).
- Success R_p is a grader's verdict; for a score between 0 and 1 whoever makes the tree decides by a threshold.
- An emission that never ran (no program, refused by the checker) is a failed trajectory that was not executed.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Literal, NamedTuple, TypeAlias, cast

from masdsl.batch.base import NOTHING, Amount
from masdsl.batch.rows import rows_of
from training.stage.faults import TrainingFault

Role = Literal["generator", "implementer", "rectifier"]
ROLES: Final[tuple[Role, ...]] = ("generator", "implementer", "rectifier")
Trigger = Literal["", "cost", "failure"]
FORMAT: Final = 1
MOST_DECISIONS: Final = 16
"""Decisions on one path that are read; the paper's paths have two and a few repairs."""
MOST: Final = 10**30
"""The highest count of a measure: more than all money there is, in picodollars."""
_SHOWN: Final = 60


class BadTree(TrainingFault):
    """Data that are no tree; the text says where in it, what is wrong, and what belongs there."""


class Message(NamedTuple):
    """A message of a context, as chat templates have it."""

    role: str
    content: str


class Trajectory(NamedTuple):
    """The end v_F of a path: whether the answer was right, R_p(tau), and what the path took, C(tau).

    `executed` is False where there was no system to run: then it is a failure that took nothing. `run` is the run's id
    in its journal, `note` says for people how it ended.
    """

    success: bool
    cost: Amount = NOTHING
    executed: bool = True
    run: str = ""
    note: str = ""


class Option(NamedTuple):
    """A node v_G, v_I or v_R: what a meta-agent wrote (a_v), the system that resulted, and what followed.

    `action` is the reply as it is learned from; `program` the source of M_temp, M or M_(t+1), empty where none came of
    it. `spent` is what the meta-agent took. `then` is None where nobody knows what would have followed.
    """

    node: str
    action: str
    program: str = ""
    spent: Amount = NOTHING
    then: Decision | Trajectory | None = None


class Decision(NamedTuple):
    """A choice of a meta-agent in the context c_v, taken several times; `trigger` is what A_R fired for (5)."""

    role: Role
    context: tuple[Message, ...]
    options: tuple[Option, ...]
    trigger: Trigger = ""


class Tree(NamedTuple):
    """G_Q: all that was tried for one query."""

    name: str
    query: str
    root: Decision


Followed: TypeAlias = Decision | Trajectory | None


class Shape(NamedTuple):
    """How many options a tree should have. The defaults are K = 4 and N = 2 of the paper, the rest is ours."""

    templates: int = 4
    bindings: int = 2
    repairs: int = 2
    rounds: int = 3


# ---------------------------------------------------------------- walking


def decisions(tree: Tree) -> Iterator[Decision]:
    """Yield all decisions of a tree, a decision before those that follow from it."""
    waiting = [tree.root]
    while waiting:
        decision = waiting.pop()
        yield decision
        waiting += [one.then for one in reversed(decision.options) if isinstance(one.then, Decision)]


def paths(below: Decision, prefix: tuple[Option, ...] = ()) -> Iterator[tuple[tuple[Option, ...], Trajectory]]:
    """Yield the trajectories of T(v) for a decision v, each with the options that lead to it (7)."""
    for option in below.options:
        path = (*prefix, option)
        if isinstance(option.then, Trajectory):
            yield path, option.then
        elif option.then is not None:
            yield from paths(option.then, path)


def trajectories(option: Option) -> tuple[Trajectory, ...]:
    """Return T(v) for the node of an option."""
    if isinstance(option.then, Decision):
        return tuple(end for _, end in paths(option.then))
    return () if option.then is None else (option.then,)


def spent_by_role(tree: Tree) -> dict[Role, Amount]:
    """Return what the meta-agents of a tree took themselves; no part of C(tau)."""
    spent: dict[Role, Amount] = dict.fromkeys(ROLES, NOTHING)
    for decision in decisions(tree):
        for option in decision.options:
            spent[decision.role] = spent[decision.role].plus(option.spent)
    return spent


# ---------------------------------------------------------------- structure


def faults_of(tree: Tree) -> tuple[str, ...]:
    """Return what makes a tree none, each with its place: order of roles, names of nodes, ends that cannot be."""
    names = Counter(option.node for decision in decisions(tree) for option in decision.options)
    faults = [
        f"the node `{name}` is there {count} times; names of nodes are unique"
        for name, count in names.items()
        if count > 1
    ]
    if not tree.name:
        faults.append("`tree` is empty; a tree has a name of its own")
    faults += _faults(tree.root, "root", ())
    return tuple(faults)


def _faults(decision: Decision, where: str, before: tuple[Role, ...]) -> Iterator[str]:
    repeats = before[-1:] == ("rectifier",) and decision.role == "rectifier"
    if before and not repeats and ROLES.index(decision.role) <= ROLES.index(before[-1]):
        yield f"{where}: {decision.role} after {before[-1]}; the order is {', '.join(ROLES)}, and only the last repeats"
    if len(before) >= MOST_DECISIONS:
        yield f"{where}: more than {MOST_DECISIONS} decisions on a path"
        return
    if not decision.options:
        yield f"{where}: it has no options; a decision was taken at least once"
    if not decision.context:
        yield f"{where}: its context is empty; it is the messages that the meta-agent was shown"
    if (decision.role == "rectifier") != bool(decision.trigger):
        yield f"{where}: `trigger` is cost or failure for a rectifier, and for nobody else"
    for number, option in enumerate(decision.options):
        at = f"{where}.options[{number}]"
        if not option.node:
            yield f"{at}: `node` is empty; a node has a name"
        if not all(0 <= measure <= MOST for measure in option.spent):
            yield f"{at}.spent: it is negative, or above 10^30"
        if isinstance(option.then, Decision):
            yield from _faults(option.then, f"{at}.then", (*before, decision.role))
        elif option.then is not None:
            end = option.then
            if not all(0 <= measure <= MOST for measure in end.cost):
                yield f"{at}.then.cost: it is negative, or above 10^30"
            if not end.executed and (end.success or end.cost != NOTHING):
                yield f"{at}.then: it was not executed, so it has no success and no cost"


def shape_faults(tree: Tree, shape: Shape = Shape()) -> tuple[str, ...]:  # noqa: B008  it is frozen
    """Return where a tree has fewer or more options than its shape asks for; such a tree can be used nevertheless."""
    faults = []
    wanted: Mapping[Role, int] = {
        "generator": shape.templates,
        "implementer": shape.bindings,
        "rectifier": shape.repairs,
    }

    def visit(decision: Decision, under: str, rounds: int) -> None:
        count, want = len(decision.options), wanted[decision.role]
        if count < want or (count > want and decision.role != "rectifier"):
            least = "at least " if decision.role == "rectifier" else ""
            faults.append(f"{under}: {count} options of the {decision.role}, where {least}{want} were asked for")
        rounds += decision.role == "rectifier"
        if rounds == shape.rounds + 1:
            faults.append(f"{under}: more than {shape.rounds} repairs on a path")
        for option in decision.options:
            if isinstance(option.then, Decision):
                visit(option.then, option.node, rounds)

    visit(tree.root, "the root", 0)
    return tuple(faults)


# ---------------------------------------------------------------- to JSON


def tree_to_json(tree: Tree) -> dict[str, Any]:
    """Return a tree as JSON data; `tree_from_json` gives it back."""
    return {"format": FORMAT, "tree": tree.name, "query": tree.query, "root": _followed_to_json(tree.root)}


def _followed_to_json(one: Followed) -> dict[str, Any] | None:
    if isinstance(one, Trajectory):
        return {**one._asdict(), "cost": one.cost._asdict()}
    if one is None:
        return None
    options = [
        {**option._asdict(), "spent": option.spent._asdict(), "then": _followed_to_json(option.then)}
        for option in one.options
    ]
    context = [message._asdict() for message in one.context]
    return {"role": one.role, "trigger": one.trigger, "context": context, "options": options}


def line_of(tree: Tree) -> str:
    """Return a tree as a line of a file, with its end of line. Raises BadTree for one with faults."""
    faults = faults_of(tree)
    if faults:
        raise BadTree(f"the tree `{tree.name}` cannot be kept: {faults[0]}")
    return json.dumps(tree_to_json(tree), ensure_ascii=True, allow_nan=False) + "\n"


# ---------------------------------------------------------------- from JSON


class BadLine(NamedTuple):
    """A line that holds no tree: its number from 1, and what is wrong with it."""

    number: int
    what: str


def read_trees(path: str) -> Iterator[Tree | BadLine]:
    """Yield the trees of a file of JSON lines (`.gz` too), and for a line that is none what is wrong with it.

    A name that was there before is a fault of the later line: two trees of one name cannot be told apart in what is
    made of them. Raises `masdsl.batch.rows.DataFault` for a file that cannot be read.
    """
    seen: dict[str, int] = {}
    for row in rows_of(path):
        if row.fault:
            yield BadLine(row.number, row.fault)
            continue
        try:
            tree = tree_from_json(row.columns)
        except BadTree as fault:
            yield BadLine(row.number, str(fault))
            continue
        first = seen.setdefault(tree.name, row.number)
        if first == row.number:
            yield tree
        else:
            yield BadLine(row.number, f"`tree` is {_show(tree.name)}, as in line {first}; names of trees are unique")


def tree_from_json(data: Any) -> Tree:
    """Return the tree that JSON data describe. Raises BadTree, which says what is wrong where."""
    fields = _object(data, "the tree", ("format", "tree", "query", "root"))
    if type(fields["format"]) is not int or fields["format"] != FORMAT:
        raise BadTree(f"`format` is {_show(fields['format'])}, and this version knows {FORMAT}")
    root = _decision(fields["root"], "root", 1)
    tree = Tree(_text(fields, "tree", "the tree"), _text(fields, "query", "the tree"), root)
    faults = faults_of(tree)
    if faults:
        raise BadTree(faults[0])
    return tree


def _decision(data: Any, where: str, depth: int) -> Decision:
    if depth > MOST_DECISIONS:
        raise BadTree(f"{where}: more than {MOST_DECISIONS} decisions on a path")
    fields = _object(data, where, ("role", "trigger", "context", "options"))
    role, trigger = _text(fields, "role", where), _text(fields, "trigger", where)
    if role not in ROLES:
        raise BadTree(f"{where}: `role` is {_show(role)}; it is one of {', '.join(ROLES)}")
    if trigger not in ("", "cost", "failure"):
        raise BadTree(f"{where}: `trigger` is {_show(trigger)}; it is cost, failure or empty")
    context = []
    for at, one in _list(fields, "context", where):
        message = _object(one, at, ("role", "content"))
        context.append(Message(_text(message, "role", at), _text(message, "content", at)))
    options = tuple(_option(one, at, depth) for at, one in _list(fields, "options", where))
    return Decision(role, tuple(context), options, cast("Trigger", trigger))


def _option(data: Any, where: str, depth: int) -> Option:
    fields = _object(data, where, ("node", "action", "program", "spent", "then"))
    node, action, program = (_text(fields, name, where) for name in ("node", "action", "program"))
    spent = _amount(fields["spent"], f"{where}.spent")
    then, at = fields["then"], f"{where}.then"
    if then is None:
        return Option(node, action, program, spent)
    if isinstance(then, Mapping) and "options" in then:
        return Option(node, action, program, spent, _decision(then, at, depth + 1))
    ended = _object(then, at, Trajectory._fields)
    return Option(
        node,
        action,
        program,
        spent,
        Trajectory(
            success=_flag(ended, "success", at),
            cost=_amount(ended["cost"], f"{at}.cost"),
            executed=_flag(ended, "executed", at),
            run=_text(ended, "run", at),
            note=_text(ended, "note", at),
        ),
    )


def _amount(data: Any, where: str) -> Amount:
    fields = _object(data, where, Amount._fields)
    for name, value in fields.items():
        if type(value) is not int or not 0 <= value <= MOST:
            raise BadTree(f"{where}: `{name}` is {_show(value)}; it is a whole number from 0 to 10^30")
    return Amount(**fields)


def _object(data: Any, where: str, names: Iterable[str]) -> Mapping[str, Any]:
    if not isinstance(data, Mapping):
        raise BadTree(f"{where}: it is {_show(data)}, and an object is needed")
    missing = next((name for name in names if name not in data), None)
    if missing is not None:
        raise BadTree(f"{where}: `{missing}` is missing")
    unknown = next((name for name in data if name not in names), None)
    if unknown is not None:
        raise BadTree(f"{where}: `{unknown[:_SHOWN]}` is unknown; it has {', '.join(names)}")
    return data


def _list(fields: Mapping[str, Any], name: str, where: str) -> Iterator[tuple[str, Any]]:
    value = fields[name]
    if not isinstance(value, list):
        raise BadTree(f"{where}: `{name}` is {_show(value)}, and a list is needed")
    return ((f"{where}.{name}[{number}]", one) for number, one in enumerate(value))


def _text(fields: Mapping[str, Any], name: str, where: str) -> str:
    value = fields[name]
    if not isinstance(value, str):
        raise BadTree(f"{where}: `{name}` is {_show(value)}, and a text is needed")
    return value


def _flag(fields: Mapping[str, Any], name: str, where: str) -> bool:
    value = fields[name]
    if not isinstance(value, bool):
        raise BadTree(f"{where}: `{name}` is {_show(value)}; it is true or false")
    return value


def _show(value: Any) -> str:
    shown = json.dumps(value)
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}.."
