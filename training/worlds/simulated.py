"""The simulated world: `python -m training.worlds simulated --out DIR`.

mas.toml          three models (kind `python`, by the rules of `training.worlds.simulator`), prices, tools
train.jsonl       tasks of four families in equal parts                    held-out.jsonl    others
paraphrases.jsonl three other wordings of a share of the held-out tasks    unseen.jsonl      law and medicine
shifted/          three other models; held-out.jsonl (other tasks), same.jsonl (the tasks of ../held-out.jsonl)
tasks.jsonl       what the models know of the tasks                        documents.jsonl   where the facts stand

Each of the two folders has a Python module of a name of its own, by which its configuration finds models and tools.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Mapping, Sequence
from hashlib import sha256
from random import Random
from typing import Any, Final, NamedTuple

from training.worlds.country import Namer, choice, facts, puzzles, sums
from training.worlds.files import lines, write_world
from training.worlds.tasks import FAMILIES, Task
from training.worlds.unseen import paraphrase_rows, unseen_rows

CHECKOUT: Final = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class SimulatedSpec(NamedTuple):
    """An entry of the configuration: prices in USD per million tokens, and `options` of `simulator.model`."""

    name: str
    tier: str
    about: str
    input_price: float
    output_price: float
    options: Mapping[str, Any]


def _skill(sums: float, choice: float, facts: float, puzzles: float) -> dict[str, float]:
    return {"sums": sums, "choice": choice, "facts": facts, "puzzles": puzzles}


MODELS: Final = (
    SimulatedSpec(
        "wren",
        "fast",
        "simulated: small, cheap and quick; weak at everything",
        0.1,
        0.4,
        {"skill": _skill(-0.3, -0.6, 0.0, -0.6), "judge": -0.2, "reads": 0.9, "tools": 0.8, "fails": 0.02}
        | {"garbles": 0.02, "words": 25, "seconds": 0.3, "speed": 150.0},
    ),
    SimulatedSpec(
        "crane",
        "default",
        "simulated: of medium size; fair at sums",
        0.5,
        2.0,
        {"skill": _skill(0.6, 0.2, 0.2, 0.1), "judge": 0.5, "reads": 0.95, "tools": 0.9, "fails": 0.008}
        | {"garbles": 0.008, "words": 40, "seconds": 0.6, "speed": 80.0},
    ),
    SimulatedSpec(
        "condor",
        "smart",
        "simulated: large, dear and slow; knows much, and judges well",
        2.5,
        10.0,
        {"skill": _skill(1.5, 1.7, 0.4, 0.8), "judge": 1.2, "reads": 0.98, "tools": 0.95, "fails": 0.005}
        | {"garbles": 0.005, "words": 70, "seconds": 1.2, "speed": 40.0},
    ),
)
SHIFTED: Final = (
    SimulatedSpec(
        "vole",
        "fast",
        "simulated: small; better at puzzles than at anything else",
        0.05,
        0.2,
        {"skill": _skill(0.1, -1.0, 0.0, 0.2), "judge": 0.1, "reads": 0.85, "tools": 0.7, "fails": 0.03}
        | {"garbles": 0.02, "words": 35, "seconds": 0.2, "speed": 200.0},
    ),
    SimulatedSpec(
        "otter",
        "default",
        "simulated: of medium size; good at judging, knows little",
        0.8,
        3.2,
        {"skill": _skill(0.9, -0.3, 0.2, -0.3), "judge": 1.0, "reads": 0.92, "tools": 0.95, "fails": 0.01}
        | {"garbles": 0.005, "words": 30, "seconds": 0.5, "speed": 90.0},
    ),
    SimulatedSpec(
        "bison",
        "smart",
        "simulated: large; knows much, and is no better at sums than the medium one",
        1.8,
        9.0,
        {"skill": _skill(0.9, 2.0, 0.5, 1.3), "judge": 0.8, "reads": 0.97, "tools": 0.9, "fails": 0.008}
        | {"garbles": 0.006, "words": 90, "seconds": 1.5, "speed": 35.0},
    ),
)
"""Models that training never sees: other skills, prices, rates and lengths, in the same tiers."""

SHIM: Final = '''"""The models and tools of this simulated world, by training/worlds of a checkout of masdsl."""

import os
import sys

if {checkout!r} not in sys.path:
    sys.path.append({checkout!r})

from training.worlds.simulator import model as model  # noqa: E402
{more}from training.worlds.tools import WorldTools  # noqa: E402

_tools = WorldTools(os.path.dirname(os.path.abspath(__file__)), fails={fails!r}, seed={seed!r})
look_up = _tools.look_up
calculate = _tools.calculate
'''


_TEACHER: Final = "from training.worlds.teacher import teacher as teacher  # noqa: E402\n"
TEACHER: Final = SimulatedSpec(
    "magpie",
    "teacher",
    "simulated: proposes prompts, right or wrong ones, by fixed rates",
    2.5,
    10.0,
    {"fits": 0.45, "misleads": 0.2, "breaks": 0.2},
)
"""Who refines prompts in worlds with words of method (`training.worlds.teacher`)."""


def make_simulated(
    out: str,
    *,
    seed: int = 0,
    train: int = 400,
    held_out: int = 100,
    paraphrased: float = 0.25,
    tool_fails: float = 0.1,
    faults: float = 1.0,
    sandbox: bool = False,
    sleep: bool = False,
    method: float = 0.0,
    misfit: float = 0.0,
) -> None:
    """Write the simulated world to a folder.

    Args:
        out: the folder; a world that stands there is replaced.
        seed: all tasks, and all chance of the models, follow from it.
        train: how many tasks to train on; as many held out as `held_out` says, in this world and in the shifted one.
        held_out: see `train`.
        paraphrased: the share of held-out tasks that have paraphrases, from 0 to 1.
        tool_fails: the share of requests that the world's own tools do not answer.
        faults: what the rates of the models' faults (`fails`, `garbles`) are multiplied by, from 0 to 20.
        sandbox: whether Python in the sandbox is granted, too: a run of it takes about 0.1 s really.
        sleep: whether calls take the models' time really.
        method: what a method of a task's family in a prompt adds to the models' skill, in log odds
            (`training.worlds.methods`).
        misfit: what a method of another family takes away. Where one of both is above 0, there is a teacher, too.

    Raises training.worlds.files.WorldFault.
    """
    tasks = _tasks(Random(f"simulated {seed}"), train + 2 * held_out)
    split = {"train": tasks[:train], "held": tasks[train : train + held_out], "shifted": tasks[train + held_out :]}
    unseen = unseen_rows()
    known = [*split["train"], *split["held"], *map(_unseen_task, unseen)]
    shifted = [*split["held"], *split["shifted"], *map(_unseen_task, unseen)]
    settings: dict[str, Any] = {
        "seed": seed,
        "train": train,
        "held_out": held_out,
        "tool_fails": tool_fails,
        "faults": faults,
    }
    settings |= {"sandbox": sandbox, "sleep": sleep}
    # What is off leaves no trace: such a world is the same, byte for byte, as before there were methods.
    settings |= {"method": method, "misfit": misfit} if method or misfit else {}
    held = [one.row() for one in split["held"]]
    files = {
        **_folder("", known, MODELS, settings),
        "train.jsonl": lines(one.row() for one in split["train"]),
        "held-out.jsonl": lines(held),
        "paraphrases.jsonl": lines(paraphrase_rows(held, [one.texts for one in split["held"]], paraphrased)),
        "unseen.jsonl": lines(unseen),
        **_folder("shifted/", shifted, SHIFTED, settings),
        "shifted/held-out.jsonl": lines(one.row() for one in split["shifted"]),
        "shifted/same.jsonl": lines(held),
        "shifted/unseen.jsonl": lines(unseen),
    }
    about = {"world": "simulated", "note": "A SIMULATOR: no claim about any real model", "grader": "exact", **settings}
    write_world(out, files, about | {"paraphrased": paraphrased})


def _tasks(random: Random, count: int) -> list[Task]:
    """Return so many tasks, the families in turn, in an order that says nothing."""
    each = -(-count // len(FAMILIES))
    name = Namer(random)
    made = (sums(random, each), choice(random, each, name), facts(random, each, name), puzzles(random, each, name))
    return list(itertools.chain.from_iterable(zip(*made, strict=True)))[:count]


def _unseen_task(row: Mapping[str, Any]) -> Task:
    """Return what the models know of a question of another domain: as much as of a choice of medium difficulty."""
    options = tuple(row["options"])
    wrong = tuple(one for one in options if one != row["answer"])
    return Task(row["id"], "choice", (row["query"],), row["answer"], wrong, 0.0, options=options)


def _folder(
    prefix: str, tasks: Sequence[Task], models: Sequence[SimulatedSpec], settings: Mapping[str, Any]
) -> dict[str, str]:
    """Return the files that a configuration needs: itself, the tasks, the documents, and the module."""
    rows = lines(one._asdict() for one in tasks)
    documents = lines({"id": f"chronicle {number}", "text": one.evidence} for number, one in _with_evidence(tasks))
    told = json.dumps([prefix, rows, [one._asdict() for one in models], settings, CHECKOUT], sort_keys=True)
    module = f"simulated_world_{sha256(told.encode()).hexdigest()[:12]}"
    more = _TEACHER if "method" in settings else ""
    shim = SHIM.format(checkout=CHECKOUT, more=more, fails=settings["tool_fails"], seed=settings["seed"])
    config = _config(module, models, settings)
    files = {"mas.toml": config, "tasks.jsonl": rows, "documents.jsonl": documents, f"{module}.py": shim}
    return {f"{prefix}{name}": text for name, text in files.items()}


def _with_evidence(tasks: Sequence[Task]) -> list[tuple[int, Task]]:
    return list(enumerate(one for one in tasks if one.evidence))


def _config(module: str, models: Sequence[SimulatedSpec], settings: Mapping[str, Any]) -> str:
    parts = [
        "# A SIMULATED world: its models are rules (training/worlds/simulator.py); no claim about any real model.",
        "",
    ]
    teachers = (TEACHER,) if "method" in settings else ()
    methods = {name: settings[name] for name in ("method", "misfit") if name in settings}
    parts += ["[tiers]", *(f'{one.tier} = "{one.name}"' for one in (*models, *teachers)), ""]
    for one in (*models, *teachers):
        options = {"seed": settings["seed"], **one.options}
        if one not in teachers:
            options |= {"sleep": True} if settings["sleep"] else {}
            faults = {fault: round(min(options[fault] * settings["faults"], 1.0), 6) for fault in ("fails", "garbles")}
            options |= faults | methods
        parts += [
            f"[models.{one.name}]",
            'kind = "python"',
            f'factory = "{module}:{"teacher" if one in teachers else "model"}"',
            'path = "tasks.jsonl"',
            f"options = {_inline(options)}",
            f"input_price = {one.input_price}",
            f"output_price = {one.output_price}",
            f'about = "{one.about}"',
            "",
        ]
    parts += [
        "[tools]",
        f'"world.look_up" = "{module}:look_up"',
        f'"world.calculate" = "{module}:calculate"',
        *(['"sandbox.python" = "sandbox"'] if settings["sandbox"] else []),
        '"math.calculate" = "calculator"',
        '"docs.search" = { kind = "search", path = "documents.jsonl" }',
        '"docs.read" = { kind = "read", path = "documents.jsonl" }',
    ]
    return "\n".join(parts) + "\n"


def _inline(value: Any) -> str:
    """Return numbers, truth values and tables of them as inline TOML."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_inline(one)}" for key, one in value.items()) + " }"
    return str(value).lower() if isinstance(value, bool) else repr(value)
