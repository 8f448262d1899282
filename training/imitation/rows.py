"""Rows of supervised fine-tuning for any role, made of trees: what was written at a decision and led to success.

    {"prompt": c_v, "completion": a_v, "provenance": {"role": .., "tree": .., "node": .., "successes": .., ..}}

MAS-GPT (arXiv:2503.03686) has such rows for the generator alone, and MAS² (arXiv:2509.24323) begins CTO from a model
that needs none. A small model does: it learns from trees whose players are rules (or a large model) what a binding or
a patch looks like, before preferences tell it which one is worth more. An action is taken where some trajectory behind
it succeeded, as MAS-GPT keeps the solved, whatever it cost; actions that lead to the same program are one
(`training.pairs.preferences.identity_of`). Leaving a run alone is no patch, and is not imitated.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from masdsl.batch.rows import DataFault
from masdsl.meta.extract import extract
from training.data.pools import write_text
from training.pairs.preferences import identity_of
from training.stage.faults import NothingMade
from training.trees.tree import BadLine, Option, Role, Tree, decisions, read_trees, trajectories


def imitated(trees: Iterable[Tree], role: Role) -> list[dict[str, Any]]:
    """Return the rows of a role, in the order of the trees: each action in each context once."""
    found: dict[tuple[Any, str], dict[str, Any]] = {}
    for tree in trees:
        for decision in decisions(tree):
            for option in decision.options if decision.role == role else ():
                ends = trajectories(option)
                right = sum(end.success for end in ends)
                if not right or not option.program or (role == "rectifier" and _leaves_alone(option)):
                    continue
                row = {
                    "prompt": [message._asdict() for message in decision.context],
                    "completion": [{"role": "assistant", "content": option.action}],
                    "provenance": {"role": role, "tree": tree.name, "node": option.node}
                    | {"successes": right, "trajectories": len(ends)},
                }
                found.setdefault((decision.context, identity_of(option)), row)
    return list(found.values())


def _leaves_alone(option: Option) -> bool:
    return not any(line.strip() for line in extract(option.action, "patch").text.splitlines()[1:])


def write_imitated(paths: Sequence[str], role: Role, out: str) -> int:
    """Write the rows of a role of files of trees; return how many.

    Raises NothingMade where there are none, DataFault, OSError.
    """
    trees = []
    for path in paths:
        for one in read_trees(path):
            if isinstance(one, BadLine):
                raise DataFault(f"{path}:{one.number}: {one.what}; mend the line, or take it out")
            trees.append(one)
    rows = imitated(trees, role)
    if not rows:
        raise NothingMade(
            f"nothing that the {role} wrote in {', '.join(paths)} led to success, so there is nothing to imitate; grow "
            "more trees, or trees of easier queries"
        )
    write_text(out, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return len(rows)
