"""How many faults can be repaired: `python -m tests.bench.recovery [--programs 500] [--model 20]`.

Syntax, name, type and budget faults (`tests.harness.planted`) are planted in systems of `examples/pool`, one in each
text. Each text is repaired by the changes that diagnostics offer (`mas fix --suggested`). With `--model N` every so
many-th text is also given to SmolLM2 on this machine, once with the `short` diagnostics and once without, at most three
tries each. `sound` is a text that parses, checks and cannot go over its budget; `as before` is one that is also the
program that it was. A model's reply is taken as it is: no machine fix is applied to it here.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from masdsl.config import Config, load_config
from masdsl.decode.draft import is_fault
from masdsl.diagnostics.base import Finding, Findings
from masdsl.diagnostics.render import render_short
from masdsl.fixes import State, mend
from masdsl.meta.extract import extract
from masdsl.pipeline import check_source
from masdsl.runtime.models.base import Message, ModelError, Request
from masdsl.runtime.models.local import LocalModel
from masdsl.runtime.models.store import ready
from masdsl.source import Source
from masdsl.syntax import ast
from masdsl.syntax.canonical import program_hash
from masdsl.syntax.parse import parse_program
from tests.harness.planted import Planted, planted

POOL: Final = Path(__file__).parents[2] / "examples" / "pool"
TRIES: Final = 3
_LONGEST: Final = 900
"""Tokens of a reply."""


class Case(NamedTuple):
    """A text with a fault, and the program that it was."""

    source: Source
    planted: Planted


class Repaired(NamedTuple):
    """What came of one way to repair a case."""

    way: str
    kind: str
    sound: bool
    as_before: bool
    tries: int
    tokens: int


def cases(count: int, config: Config) -> list[Case]:
    """Return so many cases, spread evenly over the systems and the faults."""
    found = [case for path in sorted(POOL.glob("*.mas")) for case in _of(path, config)]
    return [found[at * len(found) // count] for at in range(min(count, len(found)))]


def _of(path: Path, config: Config) -> Iterator[Case]:
    source = Source(str(path), path.read_text())
    return (Case(source, one) for one in planted(source, config, 0))


def by_machine(case: Case, config: Config) -> Repaired:
    """Repair a case by the changes that diagnostics offer."""
    done = mend(
        Source(case.source.name, case.planted.text), lambda source: State(_faults(source, config)), suggested=True
    )
    return _repaired("machine fixes", case, done.source.text, config, len(done.applied), 0)


async def by_model(case: Case, config: Config, model: LocalModel, *, told: bool) -> Repaired:
    """Let a model repair a case, told of its faults or not."""
    text, tokens = case.planted.text, 0
    for number in range(TRIES):
        asked = f"Mend this masdsl program and write all of it.\n\n```mas\n{text}```\n"
        if told:
            faults = _faults(Source(case.source.name, text), config)
            asked += f"\nThese are its faults:\n{render_short(faults)}"
        request = Request((Message("user", asked),), max_tokens=_LONGEST, temperature=0.2, seed=number, timeout=600)
        try:
            reply = await model.complete(request)
        except ModelError:  # too long for its context, or empty
            continue
        tokens += (reply.input_tokens or 0) + (reply.output_tokens or 0)
        found = extract(reply.text, "mas").text
        if found and not _faults(Source(case.source.name, found), config):
            return _repaired(_way(told), case, found, config, number + 1, tokens)
    return _repaired(_way(told), case, case.planted.text, config, TRIES, tokens)


def _way(told: bool) -> str:
    return "model, with diagnostics" if told else "model, without"


def _faults(source: Source, config: Config) -> list[Finding]:
    findings = Findings()
    check_source(source, config, findings)
    return [one for one in findings.sorted() if is_fault(one)]


def _repaired(way: str, case: Case, text: str, config: Config, tries: int, tokens: int) -> Repaired:
    sound = not _faults(Source(case.source.name, text), config)
    same = sound and _hash(text) == _hash(case.source.text)
    return Repaired(way, case.planted.kind, sound, same, tries, tokens)


def _hash(text: str) -> str:
    document = parse_program(Source("x", text), Findings()).document
    assert isinstance(document, ast.Program)
    return program_hash(document)


def table(results: Iterable[Repaired]) -> str:
    """Return the shares by way and kind."""
    lines = [
        "| way | fault | texts | sound | as before | tries or changes | tokens |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    groups: dict[tuple[str, str], list[Repaired]] = {}
    for one in results:
        groups.setdefault((one.way, one.kind), []).append(one)
        groups.setdefault((one.way, "all"), []).append(one)
    for (way, kind), found in sorted(groups.items()):
        count = len(found)
        sound, same = sum(one.sound for one in found) / count, sum(one.as_before for one in found) / count
        tries, tokens = sum(one.tries for one in found) / count, sum(one.tokens for one in found) / count
        lines.append(f"| {way} | {kind} | {count} | {sound:.0%} | {same:.0%} | {tries:.1f} | {tokens:.0f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.recovery")
    parser.add_argument("--programs", type=int, default=500, help="how many texts (default: 500)")
    parser.add_argument("--model", type=int, default=0, metavar="N", help="give N of them to SmolLM2 as well")
    options = parser.parse_args()
    config = load_config(str(POOL), Findings())
    found = cases(options.programs, config)
    results = [by_machine(case, config) for case in found]
    if options.model:
        model = LocalModel("smollm2", ready("smollm2"))
        for case in found[:: max(1, len(found) // options.model)][: options.model]:
            for told in (True, False):
                results.append(asyncio.run(by_model(case, config, model, told=told)))
    print(table(results))


if __name__ == "__main__":
    main()
