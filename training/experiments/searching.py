"""An iterative search as AFlow's (arXiv:2410.10762): propose an edit of a good program, evaluate, keep the better.

AFlow lets a model propose edits with operators such as Ensemble, Review and Custom; here rules draw them, with a seed,
from like operators: samples that are put to the vote, a reviewer, a look into documents, a calculator, tiers and
temperatures. An edit is a patch of the language (`masdsl.apply`): one that gives no sound program is not evaluated.
The search ends when its evaluations have spent the budget, or no edits are drawn that it has not tried.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Final, NamedTuple

from masdsl import Config, ProgramError, Source, apply
from masdsl.check.program import Program
from masdsl.diagnostics.base import Findings
from masdsl.meta.host import Host
from training.experiments.running import Did, mean

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


class Tried(NamedTuple):
    """A program of a search, the mean score of its runs, and what a run cost in the mean, in picodollars."""

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


def search(host: Host, evaluate: Callable[[str], Sequence[Did]], *, budget: int, most: int, seed: int) -> Found:
    """Search from a chain of thought on, until evaluations have taken the budget, in picodollars.

    At most so many programs are evaluated. The last evaluation may go beyond the budget. Of programs with equal scores
    the cheaper one is the better.
    """
    random = Random(f"search {seed}")
    runs: list[Did] = []

    def tried(text: str) -> Tried:
        made = evaluate(text)
        runs.extend(made)
        return Tried(text, mean([one.score for one in made]), mean([one.picodollars for one in made]))

    best = tried(PLAIN)
    all_tried, refused = [best], 0
    known = {PLAIN}
    for _ in range(MOST_PROPOSALS):
        if len(all_tried) >= most or sum(one.picodollars for one in runs) >= budget:
            break
        edited = random.choice(all_tried) if random.random() < EXPLORED else best
        try:
            text = _patched(edited.text, proposal(edited.text, host, random), host.config)
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


def proposal(text: str, host: Host, random: Random) -> str:
    """Return the edits of an operator that is drawn, for a program that the search came to."""
    program = host.check(text, Findings())
    assert program is not None, "it was evaluated"
    agents = [one.name for one in program.agents if not one.module]
    operators: list[Callable[[], str]] = [
        lambda: f"bind {random.choice(agents)} = {random.choice(TIERS)}\n",
        lambda: f"set main.drafts.count = {random.choice(SAMPLES)}\n",
        lambda: f"set {random.choice(agents)}.temp = {random.choice((0, 0.5, 1))}\n",
        lambda: _reviewed(agents),
        lambda: _with_tool(text, program, "look_up"),
        lambda: _with_tool(text, program, "calculate"),
    ]
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


_TOOLS: Final = {
    "look_up": (
        'add tool look_up(query) -> text else "Nothing was found." from "world.look_up"\n'
        "before main.drafts {\n  found = look_up(query)\n}\n"
    ),
    "calculate": (
        'add tool calculate(expression: text(60)) -> text(20) else "no result" from "world.calculate"\n'
        "add agent formaliser(query) -> text(60)\n"
        '  "Write the expression that works out the answer, in whole numbers with + - * / and brackets, and nothing '
        'else: {{ query }}"\n'
        "before main.drafts {\n  expression = formaliser(query)\n  result = calculate(expression)\n}\n"
    ),
}
_DROPPED: Final = {
    "look_up": "drop main.found\ndrop look_up\n",
    "calculate": "drop main.result\ndrop main.expression\ndrop formaliser\ndrop calculate\n",
}


def _with_tool(text: str, program: Program, tool: str) -> str:
    """Show the solver what a tool says; no longer where it is shown that already."""
    there = {one.name for one in program.tools if not one.module}
    wanted = there ^ {tool}
    solver = next(one for one in program.agents if one.name == "solver")
    inputs = ["query", *(["found"] if "look_up" in wanted else []), *(["result"] if "calculate" in wanted else [])]
    declared = _SOLVER.format(
        inputs=", ".join(f"{one}: text(20)" if one == "result" else one for one in inputs),
        tier=f" on {solver.model}" if solver.model else "",
        given="A calculator says {{ result }}. " if "calculate" in wanted else "",
    )
    count = text.partition(" of solver(")[0].rpartition("= ")[2]
    call = f"replace main.drafts = {count} of solver({', '.join(inputs)})\n"
    changed = f"replace {declared}{call}"
    return _TOOLS[tool] + changed if tool in wanted else changed + _DROPPED[tool]
