"""An iterative search as AFlow's (arXiv:2410.10762): propose an edit of a good program, evaluate, keep the better.

AFlow lets a model propose edits with operators such as Ensemble, Review and Custom; here rules draw them, with a seed,
from like operators: samples that are put to the vote, a reviewer, tiers and temperatures, and the tools of the world
(`SIMULATED`, `ARITHMETIC`). An edit is a patch of the language (`masdsl.apply`): one that gives no sound program is not
evaluated. The search ends when its evaluations have spent the budget, or no edits are drawn that it has not tried.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from random import Random
from typing import Final, NamedTuple

from masdsl import Config, ProgramError, Source, apply
from masdsl.check.program import Program
from masdsl.diagnostics.base import Findings
from masdsl.meta.host import Host
from training.experiments.parts.running import Did, mean

EXPLORED: Final = 0.2
"""How often a program other than the best is edited: the share of uniform choice in AFlow's mixture."""
MOST_PROPOSALS: Final = 400
"""Edits that are drawn at most, sound or not, new or not."""
TIERS: Final = ("fast", "default", "smart")
SAMPLES: Final = (1, 3, 5, 9)
_SOLVER: Final = """agent solver({inputs}) -> (steps, answer){tier}
  "{given}Work through this step by step, and only then give the answer: {{{{ query }}}}"
"""
PLAIN: Final = f"""mas 1
use std.vote: vote

{_SOLVER.format(inputs="query", tier="", given="")}
flow main(query) -> text {{
  drafts = 1 of solver(query)
  best = vote(drafts)
  return best.answer
}}
"""
"""Chain of thought; with more samples, self-consistency."""


class ToolEdit(NamedTuple):
    """How a tool comes into a program and out of it: edits, the solver's input with what it said, and words before."""

    add: str
    drop: str
    input: str
    given: str = ""


_FORMALISER: Final = (
    "add agent formaliser(query) -> text(60)\n"
    '  "Write the expression that works out the answer, in whole numbers with + - * / and brackets, and nothing '
    'else: {{ query }}"\n'
    "before main.drafts {\n  expression = formaliser(query)\n  result = calculate(expression)\n}\n"
)


def _calculator(granted: str) -> ToolEdit:
    return ToolEdit(
        f'add tool calculate(expression: text(60)) -> text(20) else "no result" from "{granted}"\n{_FORMALISER}',
        "drop main.result\ndrop main.expression\ndrop formaliser\ndrop calculate\n",
        "result: text(20)",
        "A calculator says {{ result }}. ",
    )


class Space(NamedTuple):
    """What edits are drawn from: tiers (none: agents stay where they are), and tools by the name of their extern."""

    tiers: tuple[str, ...]
    tools: Mapping[str, ToolEdit]


SIMULATED: Final = Space(
    TIERS,
    {
        "look_up": ToolEdit(
            'add tool look_up(query) -> text else "Nothing was found." from "world.look_up"\n'
            "before main.drafts {\n  found = look_up(query)\n}\n",
            "drop main.found\ndrop look_up\n",
            "found",
        ),
        "calculate": _calculator("world.calculate"),
    },
)
ARITHMETIC: Final = Space(
    (),
    {
        "calculate": _calculator("math.calculate"),
        "run_python": ToolEdit(
            "add tool run_python(code) -> (passed: bool, log: text(40))\n"
            '  else (passed: false, log: "no result") from "sandbox.python" timeout 10\n'
            "add agent programmer(query) -> text\n"
            '  "Write a Python program that works out the answer and prints it, and nothing else: {{ query }}"\n'
            "before main.drafts {\n  code = programmer(query)\n  ran = run_python(code)\n  printed = ran.log\n}\n",
            "drop main.printed\ndrop main.ran\ndrop main.code\ndrop programmer\ndrop run_python\n",
            "printed: text(40)",
            "A program prints {{ printed }}. ",
        ),
    },
)


class Tried(NamedTuple):
    """A program of a search, the mean score of its runs, and what a run cost in the mean."""

    text: str
    score: float
    cost: float


class Found(NamedTuple):
    """What a search came to: the programs that were evaluated, in order, the best of them, and all runs it took.

    `refused` counts edits that gave no sound program.
    """

    best: Tried
    tried: tuple[Tried, ...]
    runs: tuple[Did, ...]
    refused: int


def self_consistency(samples: int, tier: str, config: Config) -> str:
    """Return chains of thought on a tier whose most frequent answer counts."""
    return _patched(PLAIN, f"set main.drafts.count = {samples}\nbind solver = {tier}\n", config)


def picodollars(run: Did) -> float:
    """Return what a run cost in money."""
    return run.picodollars


def search(
    host: Host,
    evaluate: Callable[[str], Sequence[Did]],
    *,
    budget: float,
    most: int,
    seed: int,
    space: Space = SIMULATED,
    cost: Callable[[Did], float] = picodollars,
) -> Found:
    """Search from a chain of thought on, until evaluations have taken the budget, in units of `cost`.

    At most so many programs are evaluated. The last evaluation may go beyond the budget. Of programs with equal scores
    the cheaper one is the better.
    """
    random = Random(f"search {seed}")
    runs: list[Did] = []

    def tried(text: str) -> Tried:
        made = evaluate(text)
        runs.extend(made)
        return Tried(text, mean([one.score for one in made]), mean([cost(one) for one in made]))

    best = tried(PLAIN)
    all_tried, refused = [best], 0
    known = {PLAIN}
    for _ in range(MOST_PROPOSALS):
        if len(all_tried) >= most or sum(cost(one) for one in runs) >= budget:
            break
        edited = random.choice(all_tried) if random.random() < EXPLORED else best
        try:
            text = _patched(edited.text, proposal(edited.text, host, random, space), host.config)
        except ProgramError:
            refused += 1
            continue
        if text in known:
            continue
        known.add(text)
        all_tried.append(tried(text))
        best = min(best, all_tried[-1], key=lambda one: (-one.score, one.cost))
    return Found(best, tuple(all_tried), tuple(runs), refused)


def _patched(text: str, edits: str, config: Config) -> str:
    return apply(Source("<edit>", f"patch 1\n{edits}"), Source("<program>", text), config=config).text


# ---------------------------------------------------------------- operators


def proposal(text: str, host: Host, random: Random, space: Space = SIMULATED) -> str:
    """Return the edits of an operator that is drawn, for a program that the search came to."""
    program = host.check(text, Findings())
    assert program is not None, "it was evaluated"
    agents = [one.name for one in program.agents if not one.module]
    operators: list[Callable[[], str]] = [
        lambda: f"set main.drafts.count = {random.choice(SAMPLES)}\n",
        lambda: f"set {random.choice(agents)}.temp = {random.choice((0, 0.5, 1))}\n",
        lambda: _reviewed(agents),
        *(partial(_with_tool, text, program, tool, space) for tool in space.tools),
    ]
    if space.tiers:
        operators.insert(0, lambda: f"bind {random.choice(agents)} = {random.choice(space.tiers)}\n")
    return random.choice(operators)()


def _reviewed(agents: Sequence[str]) -> str:
    """Add a reviewer of the answer; take it away where there is one."""
    if "reviewer" in agents:
        return "replace main.return = best.answer\ndrop main.reviewed\ndrop reviewer\n"
    return (
        "add agent reviewer(query, draft) -> (reasons, answer)\n"
        '  "Somebody answered: {{ draft }}. Check it step by step, and give the right answer: {{ query }}"\n'
        "before main.return {\n  reviewed = reviewer(query, best.answer)\n}\n"
        "replace main.return = reviewed.answer\n"
    )


def _with_tool(text: str, program: Program, tool: str, space: Space) -> str:
    """Show the solver what a tool says; no longer where it is shown that already."""
    there = {one.name for one in program.tools if not one.module}
    shown = [one for name, one in space.tools.items() if name in there ^ {tool}]
    solver = next(one for one in program.agents if one.name == "solver")
    declared = _SOLVER.format(
        inputs=", ".join(("query", *(one.input for one in shown))),
        tier=f" on {solver.model}" if solver.model else "",
        given="".join(one.given for one in shown),
    )
    count = text.partition(" of solver(")[0].rpartition("= ")[2]
    passed = ", ".join(("query", *(one.input.partition(":")[0] for one in shown)))
    changed = f"replace {declared}replace main.drafts = {count} of solver({passed})\n"
    edit = space.tools[tool]
    return changed + edit.drop if tool in there else edit.add + changed
