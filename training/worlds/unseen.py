"""Queries of domains that training never sees (law and medicine), and rows of paraphrases.

`data/unseen.jsonl` is ours: multiple choice with one answer that every textbook has, written for this purpose.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, Final

UNSEEN: Final = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data", "unseen.jsonl")
PARAPHRASES: Final = 3
"""How many a query has, of those that have some."""


def unseen_rows() -> list[dict[str, Any]]:
    """Return the rows: `id`, `query` (which lists the options), `answer` (the text of one), `options`, `family`."""
    with open(UNSEEN, encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    for row in rows:
        listed = "; ".join(f"{letter}) {one}" for letter, one in zip("ABCD", row["options"], strict=True))
        row["query"] = f"{row['query']} Options: {listed}"
    return rows


def paraphrase_rows(
    rows: Sequence[Mapping[str, Any]], wordings: Sequence[Sequence[str]], share: float
) -> list[dict[str, Any]]:
    """Return paraphrases of a share of the rows, evenly spread, each as a row that can be run.

    `wordings` has those of each row, the query first. `of` is the id of the query that a row says otherwise.
    """
    taken = [number for number in range(len(rows)) if int((number + 1) * share) > int(number * share)]
    return [
        {**rows[number], "id": f"{rows[number]['id']}~{at}", "of": rows[number]["id"], "query": wording}
        for number in taken
        for at, wording in enumerate(wordings[number][1 : 1 + PARAPHRASES], 1)
    ]
