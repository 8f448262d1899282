"""Systems of the pool with a real model: `python -m tests.bench.local_pool FOLDER [--problems 50] [--out FILE]`.

Runs systems of `examples/pool`, the single call and self-consistency with SmolLM2 on this machine, on arithmetic and on
word problems from a folder of query pools (JSON lines with `query`, `answer`, `kind`), and prints accuracy, calls,
tokens and seconds of each. A text without a size has at most `TEXT` tokens here, so that a hundred problems take an
hour and not a day. Every run is a line in the results file: what is there is not run again.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import masdsl
from masdsl.batch.statistics import sign_test
from masdsl.runtime import RunFailed
from masdsl.runtime.shapes import plain

POOL = Path(__file__).parents[2] / "examples" / "pool"
SYSTEMS = (
    "gptswarm_io",
    "adas_cot",
    "pal",
    "plan_and_solve",
    "adas_step_back",
    "self_refine",
)
TEXT = 100
"""Tokens of a text without a size."""
CONFIG = f"""\
[sizes]
text = {TEXT}
[tools]
"sandbox.python" = "sandbox"
[tiers]
default = "smollm2"
"""
SOLVER = 'agent solver(question) -> text temp {temp} "Solve the problem. End with the number: {{{{ question }}}}"\n'
SINGLE = "mas 1\n" + SOLVER.format(temp=0) + "flow main(question) -> text {\n  return solver(question)\n}\n"
SAMPLED = (
    "mas 1\n" + SOLVER.format(temp=0.7) + "flow main(question) -> float? {\n  drafts = @ of solver(question)\n"
    "  numbers = each draft in drafts: number(draft)\n"
    "  found = each item in numbers where item != none: item else 0.0\n  return majority(found)\n}\n"
)
ONE_OPERATION = """\
mas 1

type Operation = plus | minus | times | over
type Program { first: float, second: float, operation: Operation }

tool call(code, entry) -> (passed: bool, value) from "sandbox.python" timeout 10

budget calls 1

agent programmer(question) -> Program temp 0
  \"\"\"
  {{ question }}

  Which two numbers of this text, and which operation on them, give the answer?
  \"\"\"

flow main(question) -> float? {
  p = programmer(question)
  sign = ""
  match p.operation {
    plus {
      sign = "+"
    }
    minus {
      sign = "-"
    }
    times {
      sign = "*"
    }
    over {
      sign = "/"
    }
  }
  result = call("def solution(): return " + text(p.first) + sign + text(p.second), "solution")
  return float(result.value)
}
"""
"""For very small models: a model picks two numbers and an operation, the program makes Python of them, Python works."""
SETS = {
    "arithmetic": ("mawpssingleop.jsonl", "mawpsaddsub.jsonl", "mawpsmultiarith.jsonl"),
    "word problems": ("gsm8k_train.jsonl",),
}


class Outcome(NamedTuple):
    """A run: `right` is None where it failed, which counts as wrong."""

    system: str
    kind: str
    problem: str
    right: bool | None
    calls: int
    tokens: int
    seconds: float


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.local_pool")
    parser.add_argument("folder", type=Path, help="the query pools")
    parser.add_argument("--problems", type=int, default=50, help="how many of each kind (default: 50)")
    parser.add_argument("--out", type=Path, default=Path("local_pool.jsonl"), help="the results file")
    parser.add_argument("--systems", nargs="*", help="only these")
    options = parser.parse_args()
    done = list(_kept(options.out))
    with tempfile.TemporaryDirectory() as folder:
        programs = _programs(Path(folder))
        for kind, problem in _problems(options.folder, options.problems):
            for name, program in programs.items():
                known = any(one.system == name and one.problem == problem["id"] for one in done)
                if not known and (not options.systems or name in options.systems):
                    outcome = _run(name, program, kind, problem)
                    done.append(outcome)
                    with options.out.open("a") as file:
                        file.write(json.dumps(outcome._asdict()) + "\n")
    print(_table(done))
    print(_pairs(done))


def _kept(path: Path) -> Iterator[Outcome]:
    if path.exists():
        for line in path.read_text().splitlines():
            yield Outcome(**json.loads(line))


def _problems(folder: Path, count: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield problems spread evenly over their files, the kinds in turn."""
    sets = []
    for kind, names in SETS.items():
        rows = [json.loads(line) for name in names for line in (folder / name).read_text().splitlines()]
        step = max(1, len(rows) // count)
        sets.append([(kind, row) for row in rows[::step][:count]])
    for row in zip(*sets, strict=True):
        yield from row


def _programs(folder: Path) -> dict[str, Any]:
    (folder / "mas.toml").write_text(CONFIG)
    for system in SYSTEMS:
        shutil.copy(POOL / f"{system}.mas", folder)
    (folder / "single.mas").write_text(SINGLE)
    for times in (3,):
        (folder / f"sampled_{times}.mas").write_text(SAMPLED.replace("@", str(times)))
    (folder / "one_operation.mas").write_text(ONE_OPERATION)
    names = ("single", "sampled_3", "one_operation", *SYSTEMS)
    return {name: masdsl.load(folder / f"{name}.mas") for name in names}


def _run(name: str, program: Any, kind: str, problem: dict[str, Any]) -> Outcome:
    began = time.monotonic()
    flow = program.main
    try:
        result = asyncio.run(flow.run(problem["query"]))
        right: bool | None = _is_right(plain(result.value), problem["answer"])
    except RunFailed as failure:
        result, right = failure.result, None
    return Outcome(name, kind, problem["id"], right, result.calls, result.tokens, time.monotonic() - began)


def _is_right(value: Any, gold: str) -> bool:
    """Whether the last number of an answer, or of a record's field `answer`, is the gold one."""
    if isinstance(value, dict):
        value = value.get("answer", "")
    found = re.findall(r"-?\d[\d,]*(?:\.\d+)?", str(value))
    return bool(found) and abs(float(found[-1].replace(",", "")) - float(gold.replace(",", ""))) < 1e-6


def _table(outcomes: Iterable[Outcome]) -> str:
    titles = ("system", "set", "problems", "right", "failed", "calls", "tokens", "seconds")
    lines = [f"| {' | '.join(titles)} |", "|---|---|---:|---:|---:|---:|---:|---:|"]
    groups: dict[tuple[str, str], list[Outcome]] = {}
    for one in outcomes:
        groups.setdefault((one.kind, one.system), []).append(one)
    for (kind, system), found in sorted(groups.items()):
        count = len(found)
        right = sum(one.right is True for one in found) / count
        failed = sum(one.right is None for one in found)
        means = [sum(getattr(one, what) for one in found) / count for what in ("calls", "tokens", "seconds")]
        shown = f"{means[0]:.1f} | {means[1]:.0f} | {means[2]:.1f}"
        lines.append(f"| {system} | {kind} | {count} | {right:.0%} | {failed} | {shown} |")
    return "\n".join(lines)


def _pairs(outcomes: Iterable[Outcome]) -> str:
    """Return how systems compare with the call and with self-consistency, problem by problem (exact sign test)."""
    right = {(one.kind, one.system, one.problem): one.right is True for one in outcomes}
    lines = ["", "| set | system | beside | only it is right | only the other | p |", "|---|---|---|---:|---:|---:|"]
    for kind, system in sorted({(kind, system) for kind, system, _ in right}):
        for other in ("single", "sampled_3"):
            both = [
                (mine, right[kind, other, problem])
                for (set_, name, problem), mine in right.items()
                if (set_, name) == (kind, system) and (kind, other, problem) in right
            ]
            more, less = sum(a > b for a, b in both), sum(a < b for a, b in both)
            if system != other:
                lines.append(f"| {kind} | {system} | {other} | {more} | {less} | {sign_test(more, less):.2f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
