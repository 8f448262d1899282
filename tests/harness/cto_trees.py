"""Trees of Collaborative Tree Optimization for tests: the one that is worked out by hand, and random ones."""

from __future__ import annotations

from itertools import count

from hypothesis import strategies as st

from masdsl.batch.base import Amount
from training.trees.tree import Decision, Message, Option, Role, Trajectory, Tree

ASKED = (Message("system", "You design."), Message("user", "What is 6 * 7?"))


def end(success: bool, picodollars: int, tokens: int = 0) -> Trajectory:
    return Trajectory(success, Amount(1, tokens, picodollars))


def option(node: str, then: Decision | Trajectory | None = None, action: str = "") -> Option:
    return Option(node, action or f"I write {node}.", "", Amount(1, 10, 3), then)


def decided(role: Role, *options: Option) -> Decision:
    context = (Message("user", f"{role} of {', '.join(sorted(one.node for one in options))}"),)
    return Decision(role, context, options, "failure" if role == "rectifier" else "")


def worked() -> Tree:
    """Return the tree of two templates, two bindings each, and one pair of repairs. `end(success, cost)`:

    v_Q -+- g1 -+- g1a              right, cost 2
         |      +- g1b -+- r1       right, cost 6
         |              +- r2       wrong, cost 4
         +- g2 -+- g2a              wrong, cost 4
                +- g2b              right, cost 4
    """
    repaired = decided("rectifier", option("r1", end(True, 6)), option("r2", end(False, 4)))
    first = decided("implementer", option("g1a", end(True, 2)), option("g1b", repaired))
    second = decided("implementer", option("g2a", end(False, 4)), option("g2b", end(True, 4)))
    root = Decision("generator", ASKED, (option("g1", first), option("g2", second)))
    return Tree("worked", "What is 6 * 7?", root)


@st.composite
def trees(draw: st.DrawFn, *, ended: bool = False) -> Tree:
    """Draw a tree of any shape that is allowed; with `ended`, every path ends in a run that was executed."""
    numbers = count()
    amounts = st.builds(Amount, st.integers(0, 9), st.integers(0, 30), st.integers(0, 30))
    ran = st.tuples(st.booleans(), amounts).map(lambda one: Trajectory(*one))
    others = () if ended else (st.none(), st.just(Trajectory(False, executed=False, note="refused")))
    ends = st.one_of(ran, *others)

    def draw_decision(role: Role, rounds: int) -> Decision:
        made = []
        for _ in range(draw(st.integers(1, 3))):
            node = f"n{next(numbers)}"
            words = draw(st.sampled_from(["", "the same words", "other  words", "other words"]))
            below: dict[Role, tuple[Role, ...]] = {
                "generator": ("implementer", "rectifier"),
                "implementer": ("rectifier",),
                "rectifier": ("rectifier",) if rounds else (),
            }
            following = below[role]
            step = draw(st.sampled_from([None, *following]))
            then = draw(ends) if step is None else draw_decision(step, rounds - (step == "rectifier"))
            made.append(option(node, then, words))
        return decided(role, *made)

    root = draw_decision(draw(st.sampled_from(["generator", "generator", "implementer"])), 2)
    return Tree(f"tree {draw(st.integers(0, 99))}", draw(st.text(max_size=5)), root)


def reversed_tree(tree: Tree) -> Tree:
    """Return the tree with all siblings in the opposite order."""

    def turn(decision: Decision) -> Decision:
        turned = [
            one._replace(then=turn(one.then)) if isinstance(one.then, Decision) else one for one in decision.options
        ]
        return decision._replace(options=tuple(reversed(turned)))

    return tree._replace(root=turn(tree.root))


def dearer(tree: Tree, times: int) -> Tree:
    """Return the tree with all costs of runs multiplied."""

    def scale(decision: Decision) -> Decision:
        options = []
        for one in decision.options:
            then = one.then
            if isinstance(then, Decision):
                then = scale(then)
            elif then is not None:
                then = then._replace(cost=Amount(*(times * measure for measure in then.cost)))
            options.append(one._replace(then=then))
        return decision._replace(options=tuple(options))

    return tree._replace(root=scale(tree.root))
