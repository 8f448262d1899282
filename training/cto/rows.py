"""Preference rows as they are trained on: read, checked, weighted, and in the forms that the other losses take.

A row is one of `python -m training.pairs`: prompt, chosen and rejected as messages, `value_gap`, and `provenance` with
the value of both actions in every tree. What the papers leave open about the comparisons is decided like this:

- Score-DPO (ScoreFlow, arXiv:2502.04306) has scores from 0 to 1, and V (MAS² 9) may be above 1. A score is V divided by
  the highest V among the rows where that is above 1, else V. Pairs are drawn with replacement, in proportion to
  (s_w - s_l)^3, as many as there are rows unless somebody says otherwise (ScoreFlow: 2,000).
- KTO (arXiv:2402.01306) takes actions alone. One is desirable whose V is above the mean of the actions in the same
  context, undesirable below; at the mean it is left out. A mean over all contexts would tell easy queries from hard.
- Clipping and normalising Delta V are options of `training.pairs`. Here they are the same functions, for a file that
  was made without them; of one that was made with them they are refused.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from fractions import Fraction
from random import Random
from typing import Any, Final, NamedTuple

from masdsl.batch.rows import DataFault, rows_of
from training.pairs.preferences import Normal, clipped, with_mean_one
from training.trees.tree import ROLES, Message, Role

_FIRST: Final = 5
"""Damaged rows that are told."""


class Origin(NamedTuple):
    """What a tree says about a row: the value V of both actions, by what identifies them."""

    tree: str
    values: Mapping[str, Fraction]


class Row(NamedTuple):
    """A preference; `weight` is Delta V. `won` and `lost` identify the actions where there is provenance."""

    role: Role
    prompt: tuple[Message, ...]
    chosen: str
    rejected: str
    weight: Fraction
    won: str = ""
    lost: str = ""
    origins: tuple[Origin, ...] = ()

    @property
    def values(self) -> tuple[Fraction, Fraction]:
        """Mean V over trees, of the chosen and of the rejected action."""
        return _mean([one.values[self.won] for one in self.origins]), _mean(
            [one.values[self.lost] for one in self.origins]
        )

    def messages(self) -> dict[str, Any]:
        """Return it as TRL's conversational preference, with the weight."""
        return {
            "prompt": [one._asdict() for one in self.prompt],
            "chosen": [{"role": "assistant", "content": self.chosen}],
            "rejected": [{"role": "assistant", "content": self.rejected}],
            "value_gap": float(self.weight),
        }


class Judged(NamedTuple):
    """An action alone, and whether it is desirable."""

    prompt: tuple[Message, ...]
    action: str
    label: bool

    def messages(self) -> dict[str, Any]:
        """Return it as TRL's conversational unpaired preference."""
        return {
            "prompt": [one._asdict() for one in self.prompt],
            "completion": [{"role": "assistant", "content": self.action}],
            "label": self.label,
        }


def _mean(values: Sequence[Fraction]) -> Fraction:
    return sum(values, Fraction(0)) / len(values)


# ---------------------------------------------------------------- reading


def read_preferences(path: str) -> tuple[Row, ...]:
    """Return the rows of a file, of all roles. Raises DataFault for damaged ones, and where there are none."""
    rows: list[Row] = []
    faults: list[str] = []
    for line in rows_of(path):
        try:
            if line.fault:
                raise ValueError(line.fault)
            rows.append(_row(line.columns))
        except ValueError as fault:
            faults.append(f"{path}:{line.number}: {fault}")
    if faults:
        more = f"\nand {len(faults) - _FIRST} rows more" if len(faults) > _FIRST else ""
        raise DataFault("\n".join(faults[:_FIRST]) + f"{more}\nmake the file again with `python -m training.pairs`")
    if not rows:
        raise DataFault(f"{path} has no rows, so nothing can be learned; make it with `python -m training.pairs`")
    return tuple(rows)


def of_role(rows: Sequence[Row], role: Role, path: str) -> tuple[Row, ...]:
    """Return the rows of a role. Raises DataFault where it has none, or where all its gaps are 0."""
    found = tuple(row for row in rows if row.role == role)
    if not found:
        told = ", ".join(f"{sum(row.role == one for row in rows)} of the {one}" for one in ROLES)
        raise DataFault(f"{path} has no rows of the {role} ({told}); name another role, or grow more trees")
    if not any(row.weight for row in found):
        raise DataFault(
            f"{path}: `value_gap` is 0 in all {len(found)} rows of the {role}, so L_CTO is 0 whatever the model does; "
            "take trees whose options differ in value"
        )
    return found


def _row(data: Mapping[str, Any]) -> Row:
    role = data.get("role")
    if role not in ROLES:
        raise ValueError(f"`role` is {json.dumps(role)[:60]}; it is one of {', '.join(ROLES)}")
    gap = data.get("value_gap")
    if isinstance(gap, bool) or not isinstance(gap, int | float) or gap < 0:
        raise ValueError(f"`value_gap` is {json.dumps(gap)[:60]}; it is a number from 0 on")
    prompt = _messages(data, "prompt")
    chosen, rejected = (_action(data, name) for name in ("chosen", "rejected"))
    row = Row(role, prompt, chosen, rejected, Fraction(gap))
    return row if data.get("provenance") is None else _with_origins(row, data["provenance"])


def _messages(data: Mapping[str, Any], name: str) -> tuple[Message, ...]:
    found = data.get(name)
    if not isinstance(found, list) or not found:
        raise ValueError(f"`{name}` is no list of messages")
    for one in found:
        if not isinstance(one, dict) or not all(isinstance(one.get(key), str) for key in Message._fields):
            raise ValueError(f"`{name}` holds {json.dumps(one)[:60]}; a message has `role` and `content`")
    return tuple(Message(one["role"], one["content"]) for one in found)


def _action(data: Mapping[str, Any], name: str) -> str:
    messages = _messages(data, name)
    if len(messages) != 1 or messages[0].role != "assistant" or not messages[0].content:
        raise ValueError(f"`{name}` is one message of the assistant that says something")
    return messages[0].content


def _with_origins(row: Row, provenance: Any) -> Row:
    """Return a row with what its trees say. Of a row whose trees contradict one another, the higher mean won."""
    origins = []
    try:
        for one in provenance:
            sides = {one[side]["identity"]: Fraction(one[side]["value"]) for side in ("chosen", "rejected")}
            origins.append(Origin(one["tree"], sides))
        first, second = origins[0].values
        if any(set(one.values) != {first, second} for one in origins):
            raise ValueError
    except (TypeError, KeyError, ValueError, IndexError, OverflowError):
        raise ValueError(
            "`provenance` is not that of `training.pairs`: a list of trees with the values of the same two actions"
        ) from None
    won, lost = sorted((first, second), key=lambda name: -_mean([one.values[name] for one in origins]))
    return row._replace(won=won, lost=lost, origins=tuple(origins))


# ---------------------------------------------------------------- weights


def weighted(rows: Sequence[Row], clip: Fraction | None, normalise: Normal) -> tuple[Row, ...]:
    """Return rows with weights that are clipped, then divided by their mean; both are off in the paper."""
    weights = [clipped(row.weight, clip) for row in rows]
    if normalise == "mean":
        weights = with_mean_one(weights)
    return tuple(row._replace(weight=weight) for row, weight in zip(rows, weights, strict=True))


def refuse_twice(path: str, clip: Fraction | None, normalise: Normal) -> None:
    """Raise DataFault where the card beside a file says that its gaps were clipped or normalised already."""
    try:
        with open(f"{path}.card.json", encoding="utf-8") as file:
            made = json.load(file)["settings"]
            before = {"clip": made["clip"], "normalise": made["normalise"]}
    except FileNotFoundError:
        return
    except (OSError, ValueError, KeyError, TypeError):
        raise DataFault(
            f"{path}.card.json is damaged, so nobody can tell how the gaps were made; make the pairs again"
        ) from None
    both = [
        name
        for name, is_asked, none in (("clip", clip is not None, None), ("normalise", normalise != "none", "none"))
        if is_asked and before[name] != none
    ]
    if both:
        raise DataFault(
            f"{os.path.basename(path)} was made with --{both[0]} {before[both[0]]}; take [data] {both[0]} out of the "
            "configuration, or make the pairs without it"
        )


# ---------------------------------------------------------------- other losses


def needs_values(rows: Sequence[Row], path: str) -> None:
    """Raise DataFault where the values of the actions are not known."""
    without = sum(not row.origins for row in rows)
    if without:
        raise DataFault(
            f"{path}: {without} rows have no `provenance`, and this loss needs the value of each action; "
            "make the file with `python -m training.pairs`, or take the loss cto or dpo"
        )


def scores(rows: Sequence[Row]) -> list[tuple[float, float]]:
    """Return s_w and s_l of each row, from 0 to 1."""
    highest = max((max(row.values) for row in rows), default=Fraction(0))
    unit = max(highest, Fraction(1))
    return [(float(won / unit), float(lost / unit)) for won, lost in (row.values for row in rows)]


def drawn(rows: Sequence[Row], draws: int | None, seed: int) -> tuple[tuple[Row, tuple[float, float]], ...]:
    """Return rows with their scores, drawn with replacement in proportion to (s_w - s_l)^3 (ScoreFlow)."""
    scored = list(zip(rows, scores(rows), strict=True))
    weights = [(won - lost) ** 3 for _, (won, lost) in scored]
    return tuple(Random(seed).choices(scored, weights, k=draws or len(rows)))


def judged(rows: Sequence[Row], path: str, seed: int) -> tuple[Judged, ...]:
    """Return the actions of rows, each once, as desirable or not. Raises DataFault where one kind is missing.

    They are shuffled: TRL's KTO takes them in order, and compares each with its neighbours.
    """
    words: dict[tuple[tuple[Message, ...], str], str] = {}
    values: dict[tuple[Message, ...], dict[str, dict[str, Fraction]]] = defaultdict(lambda: defaultdict(dict))
    for row in rows:
        for name, text in ((row.won, row.chosen), (row.lost, row.rejected)):
            known = words.setdefault((row.prompt, name), text)
            words[row.prompt, name] = min(known, text, key=lambda one: (len(one), one))
            for origin in row.origins:
                values[row.prompt][name][origin.tree] = origin.values[name]
    found = []
    for prompt, actions in values.items():
        means = {name: _mean(list(by_tree.values())) for name, by_tree in actions.items()}
        middle = _mean(list(means.values()))
        found += [
            Judged(prompt, words[prompt, name], value > middle) for name, value in means.items() if value != middle
        ]
    if len({one.label for one in found}) < 2:
        raise DataFault(f"{path}: KTO needs actions above and below the mean of their context, and there is one kind")
    Random(seed).shuffle(found)
    return tuple(found)
