"""The real world: `python -m training.worlds arithmetic --out DIR`.

A real model (SmolLM2-135M-Instruct, in this process) and Python in the sandbox on sums and word problems. These are
ours: templates with several wordings, all numbers by a seed, answers by construction. Pools of others (GSM8K, SVAMP,
MAWPS in the form of JSON lines with `query` and `answer`) are added where a folder is named.

mas.toml          every tier is `smollm2`; below it, as comments, how other models come in
train.jsonl       queries to train on                    held-out.jsonl    others
paraphrases.jsonl three other wordings of a share        unseen.jsonl      law and medicine
shifted/          same.jsonl: the held-out queries in other words; held-out.jsonl: several operations, larger numbers

Rows of ours have `family` (the template), `steps` (operations) and `level` (`small`, `usual` or `large` numbers).
There is one real model here, so `shifted/` shifts the queries alone: for unseen models put others into its `mas.toml`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from random import Random
from typing import Any, Final

from training.worlds.files import WorldFault, lines, write_world
from training.worlds.problems import TEMPLATES, Problem, problems
from training.worlds.unseen import paraphrase_rows, unseen_rows

POOLS: Final = {"gsm8k": "GSM8K, MIT", "svamp": "SVAMP, MIT", "mawps": "MAWPS, MIT / Apache-2.0"}
"""Beginnings of names of files that are taken from a folder of pools, and the licence of what they come from."""
CONFIG: Final = """\
# Real models: {note}
[tiers]
fast = "smollm2"
default = "smollm2"
smart = "smollm2"

# Other models: name them in [tiers]. An Ollama or a vLLM on this machine speaks OpenAI's protocol:
#
# [tiers]
# default = "qwen"
#
# [models.qwen]
# kind = "openai"
# url = "http://127.0.0.1:11434/v1"   # Ollama: ollama serve; ollama pull qwen2.5:7b
# model = "qwen2.5:7b"
# input_price = 0
# output_price = 0
#
# [models.llama]
# kind = "openai"
# url = "http://127.0.0.1:8000/v1"    # vLLM: vllm serve meta-llama/Llama-3.1-8B-Instruct
# model = "meta-llama/Llama-3.1-8B-Instruct"
# grammar = "llguidance"
# input_price = 0
# output_price = 0
#
# [models.weights]
# kind = "gguf"
# path = "model.gguf"

[tools]
"sandbox.python" = "sandbox"
"math.calculate" = "calculator"
"""


def make_arithmetic(
    out: str,
    *,
    seed: int = 0,
    train: int = 400,
    held_out: int = 100,
    paraphrased: float = 0.25,
    pools: str | None = None,
) -> None:
    """Write the arithmetic world to a folder.

    Args:
        out: the folder; a world that stands there is replaced.
        seed: all queries follow from it.
        train: how many queries of our own to train on; as many held out as `held_out` says, here and shifted.
        held_out: see `train`.
        paraphrased: the share of held-out queries that have paraphrases, from 0 to 1.
        pools: a folder of pools; nine of ten of their rows are to train on, the rest is held out.

    Raises training.worlds.files.WorldFault, also for a folder without a pool and for a row without query or answer.
    """
    random = Random(f"arithmetic {seed}")
    # Half of them with small numbers: a small model is right in few of the others.
    count = train + held_out
    levels = [("small", problems(random, count // 2, small=True)), ("usual", problems(random, count - count // 2))]
    made = [(level, one) for level, several in levels for one in several]
    random.shuffle(made)
    own = [_row(f"own/{number}", one, level) for number, (level, one) in enumerate(made)]
    foreign = [] if pools is None else list(_foreign(pools))
    random.shuffle(foreign)
    cut = len(foreign) // 10
    held = [one for _, one in made[train:]]
    # Harder ones: several operations, and larger numbers.
    steps = [one for one in TEMPLATES if one.steps > 1]
    large = problems(random, held_out, templates=steps, scale=5)
    harder = [_row(f"harder/{number}", one, "large") for number, one in enumerate(large)]
    reworded = [
        {**row, "query": one.wordings[len(one.wordings) - 1]} for row, one in zip(own[train:], held, strict=True)
    ]
    files = {
        "mas.toml": CONFIG.format(note="SmolLM2-135M-Instruct in this process (mas models pull smollm2)."),
        "train.jsonl": lines([*own[:train], *foreign[cut:]]),
        "held-out.jsonl": lines([*own[train:], *foreign[:cut]]),
        "paraphrases.jsonl": lines(paraphrase_rows(own[train:], [one.wordings for one in held], paraphrased)),
        "unseen.jsonl": lines(unseen_rows()),
        "shifted/mas.toml": CONFIG.format(
            note="there is no other one on this machine, so put yours in; until then the queries alone are shifted."
        ),
        "shifted/held-out.jsonl": lines(harder),
        "shifted/same.jsonl": lines(reworded),
        "shifted/unseen.jsonl": lines(unseen_rows()),
    }
    about: dict[str, Any] = {"world": "arithmetic", "grader": "numeric", "seed": seed, "train": train}
    about |= {"held_out": held_out, "paraphrased": paraphrased}
    about["sources"] = {"own": "templates of training/worlds/problems.py, Apache-2.0"}
    about["sources"] |= {str(one["source"]): one["licence"] for one in foreign}
    write_world(out, files, about)


def _row(name: str, problem: Problem, level: str) -> dict[str, Any]:
    return {
        "id": name,
        "query": problem.wordings[0],
        "answer": str(problem.answer),
        "family": problem.kind,
        "source": "own",
        "steps": problem.steps,
        "level": level,
    }


def _foreign(folder: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of the pools in a folder."""
    try:
        names = sorted(name for name in os.listdir(folder) if name.endswith(".jsonl") and name.startswith(tuple(POOLS)))
    except OSError as error:
        raise WorldFault(f"the pools {folder} cannot be read: {error.strerror or error}; name their folder") from None
    if not names:
        wanted = ", ".join(f"{name}*.jsonl" for name in POOLS)
        raise WorldFault(f"{folder} has no pool; it needs one of {wanted}")
    for name in names:
        path = os.path.join(folder, name)
        licence = next(text for start, text in POOLS.items() if name.startswith(start))
        with open(path, encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield _foreign_row(f"{path}:{number}", line, name, licence)


def _foreign_row(where: str, line: str, name: str, licence: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
        query, answer = row["query"], str(row["answer"])
        float(answer.replace(",", ""))
        if not isinstance(query, str) or not query.strip():
            raise ValueError
    except (ValueError, TypeError, KeyError, RecursionError):
        raise WorldFault(f"{where}: no row with a `query` and a number as `answer`; mend or remove it") from None
    source = name.removesuffix(".jsonl")
    told = {"id": str(row.get("id", where)), "query": query, "answer": answer, "family": source, "source": source}
    return {**told, "licence": licence}
