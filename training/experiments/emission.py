"""The language against Python: the same tiny model, queries, systems and steps, programs in one or the other.

MAS-GPT (arXiv:2503.03686) has its model write Python; what that costs in tokens and validity it does not compare.
"""

from __future__ import annotations

import json
import os
from statistics import fmean
from typing import Any, Final

from masdsl.batch.statistics import mean_interval
from masdsl.meta.host import Host
from masdsl.meta.queries import wait
from masdsl.runtime.models.transformers_model import TransformersModel
from training.data.pools import write_text
from training.experiments.parts.chain import (
    WORLD,
    Chain,
    Tell,
    examples,
    loaded,
    read_kept,
    trained,
    trained_on,
)
from training.experiments.parts.python_emission import measure_all, python_row
from training.experiments.parts.reports import Cell, Picture, Point, Report, Series, Size, Table
from training.rates.measuring import Measured

LONGEST = 1_024
"""Tokens of a row of Python at most: the context of the model."""
LONGER: Final = 3
"""How many times the steps the second model of Python has."""
_MOST: Final[dict[Size, int]] = {"small": 1, "full": 20}
_STEPS: Final[dict[Size, tuple[int, int]]] = {"small": (3, 4), "full": (100, 8)}
"""Queries that are asked; steps and examples of a step, fewer than elsewhere: rows of Python are long."""


def run(size: Size, out: str, tell: Tell) -> Report:
    """Train both arms, and measure what they emit for held-out queries."""
    (steps, batch), chain = _STEPS[size], Chain.beside(out, size, tell)
    scale = chain.scale._replace(steps=steps, batch=batch)
    made = examples(chain.pool(), "query")
    host = chain.host()
    rows = os.path.join(out, "python", "rows.jsonl")
    os.makedirs(os.path.dirname(rows), exist_ok=True)
    if not os.path.exists(rows):
        write_text(rows, "".join(json.dumps(python_row(one, host), ensure_ascii=False) + "\n" for one in made))
    model = trained(made, os.path.join(out, "masdsl"), scale, tell)
    python = trained_on(rows, os.path.join(out, "python"), scale, tell, max_length=LONGEST)
    asked = chain.asked("held-out.jsonl", limit=_MOST[size])
    found: dict[str, tuple[Measured, ...]] = {}
    for name, decoder in (("masdsl", False), ("masdsl, decoder", True)):
        kept = os.path.join(out, f"{name}.jsonl")
        found[name] = chain.written(loaded(model), asked, kept, decoder=decoder)
    found["Python"] = _python(python, asked, host, os.path.join(out, "Python.jsonl"))
    more = scale._replace(steps=LONGER * steps)
    longer = trained_on(rows, os.path.join(out, "python-longer"), more, tell, max_length=LONGEST)
    told = f"Python {LONGER} x the steps"
    found[told] = _python(longer, asked, host, os.path.join(out, "Python-longer.jsonl"))
    manifests = {
        told: _manifest(os.path.dirname(longer)),
        "masdsl": _manifest(os.path.dirname(model)),
        "Python": _manifest(os.path.dirname(python)),
    }
    table: list[tuple[str, tuple[Cell, ...]]] = []
    for name, one in found.items():
        card = manifests[name.split(",")[0]]
        table.append((name, (*_rates(one), round(fmean(each.tokens_out for each in one)), *_of(card))))
    columns = ("parses (%)", "valid (%)", "runs (%)", "right (%)", "tokens", "tokens of a row", "rows", "SFT seconds")
    stages = ("parses", "fits", "ran", "score")
    picture = Picture(
        "stage",
        "share of queries",
        tuple(Series(name, tuple(Point(stage, _share(one, stage)) for stage in stages)) for name, one in found.items()),
    )
    return Report(
        question="Does a small model emit systems better in masdsl or in Python?",
        world=WORLD,
        over="held-out queries",
        tables=(Table("What is emitted after the same steps on the same systems", columns, tuple(table)),),
        picture=picture,
        facts={"scale": scale._asdict(), "queries": len(asked), "longest row": LONGEST},
        raw={name: [one.to_json() for one in each] for name, each in found.items()},
        reading=(
            "Valid is: it parses, checks and fits (masdsl); it compiles, is verified and loads (Python). Each arm has "
            "a tokenizer learned from its own rows, and the same vocabulary. Rows that are longer than the context are "
            "left out. Steps of Python are longer: seconds say how much."
        ),
    )


def _python(model: str, asked: Any, host: Host, kept: str) -> tuple[Measured, ...]:
    found = read_kept(kept)
    if found is None:
        backbone = loaded(model)
        backbone.model.eval()
        chat = TransformersModel("tiny", loaded=(backbone.model, backbone.tokenizer), timeout=600)
        done: list[Measured] = []

        async def work() -> None:
            done.extend(await measure_all(chat, asked, host))

        wait(work)
        write_text(kept, "".join(json.dumps(one.to_json()) + "\n" for one in done))
        found = tuple(done)
    return found


def _manifest(folder: str) -> dict[str, Any]:
    with open(os.path.join(folder, "manifest.json"), encoding="utf-8") as file:
        read: dict[str, Any] = json.load(file)
    return read


def _of(card: dict[str, Any]) -> tuple[Cell, ...]:
    return card["data"]["median_length"], card["data"]["rows_used"], round(card["seconds"])


def _rates(found: tuple[Measured, ...]) -> tuple[Cell, ...]:
    return tuple(_share(found, stage) for stage in ("parses", "fits", "ran", "score"))


def _share(found: tuple[Measured, ...], stage: str) -> Any:
    return mean_interval([float(getattr(one, stage)) for one in found])
