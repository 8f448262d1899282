"""What a small real model emits, with the decoder and without: `python -m tests.bench.emission [--programs 1000]`.

SmolLM2-135M at temperature 1, on this machine. Ways:

- grammar: programs, written under the decoder (`masdsl.decode`), by names and types.
- whole: the same where the whole language may be written, by names alone; types are left to the checker.
- text: the same request, the reply taken as it is.
- python: the same task, asked for as a class `MAS` with a method `forward`, as MAS-GPT has it; it counts as valid where
  it compiles and has that class and method. That is less than is asked of a program of ours: nothing is run.
- binding, patch: under the decoder, for systems of `examples/pool`.

A program is sound where it parses, checks, and cannot go over its budget. Every line of the results file is one sample;
what is there is not sampled again. Times are CPU seconds of this process;
`own` is what the checker and the grammars take of them.
"""

from __future__ import annotations

import argparse
import ast
import asyncio
import json
import re
import statistics
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from masdsl.config import DEFAULT, Config, load_config
from masdsl.decode.binding import write_binding
from masdsl.decode.draft import begin, fed, is_fault
from masdsl.decode.models import GrammarModel
from masdsl.decode.patches import write_patch
from masdsl.decode.pieces import next_piece
from masdsl.decode.profile import USUAL, WHOLE, Profile
from masdsl.decode.write import Written, write
from masdsl.diagnostics.base import Findings
from masdsl.patch.binding import bind, template_of
from masdsl.patch.patching import apply_patch
from masdsl.pipeline import check_source
from masdsl.runtime.models.base import Message, Request
from masdsl.runtime.models.local import LocalModel
from masdsl.runtime.models.store import ready
from masdsl.source import Source
from masdsl.syntax import ast as syntax
from masdsl.syntax.parse import parse_program
from masdsl.syntax.print import print_program
from masdsl.tokenizers import counter_from_gguf

POOL: Final = Path(__file__).parents[2] / "examples" / "pool"
HEADER: Final = "budget calls 12\n"
TOKENS: Final = 600
TIERS: Final = ("default", "fast", "smart")
TASKS: Final = (
    "answer a question about history",
    "solve a word problem about money",
    "write a Python function and check it",
    "translate a letter and have it reviewed",
    "summarise an article in three sentences",
    "find the mistake in a proof",
    "plan a trip of three days",
    "decide between two job offers",
    "explain a medical report in plain words",
    "debate a claim from two sides, then judge",
)
EXAMPLE: Final = """\
mas 1
budget calls 12
agent solver(question: text) -> text(300)
"Answer {{ question }}"
agent critic(question: text, answer: text(300)) -> text(120)
"Find faults of {{ answer }} as an answer to {{ question }}"
flow main(query) -> text {
draft = solver(query)
faults = critic(query, draft)
return draft
}
"""
PYTHON_EXAMPLE: Final = """\
class MAS():
    def __init__(self, model_list):
        self.llm = LLM(model_list)
    def forward(self, taskInfo):
        draft = self.llm.call_llm(f"Answer {taskInfo}")
        faults = self.llm.call_llm(f"Find faults of {draft} as an answer to {taskInfo}")
        return draft
"""
ASK: Final = "Write a multi-agent system, as a {what}, to {task}. An example for another task:\n\n{example}"


class Sample(NamedTuple):
    """One text: `stage` is the last thing that it passed, of those of its way."""

    way: str
    number: int
    stage: str
    finished: bool
    tokens: int
    pieces: int
    refused: int
    model_seconds: float
    own_seconds: float
    text: str


class Timed:
    """A model of pieces with the CPU seconds that it took; what a piece took in the checker is not in them."""

    def __init__(self, model: GrammarModel) -> None:
        self.model = model
        self.seconds = 0.0

    async def piece(self, *args: Any, **named: Any) -> Any:
        """Ask the model."""
        began = time.process_time()
        try:
            return await self.model.piece(*args, **named)
        finally:
            self.seconds += time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.emission")
    parser.add_argument("--programs", type=int, default=1000, help="how many of each way (default: 1000)")
    parser.add_argument("--out", type=Path, default=Path("emission.jsonl"), help="the results file")
    parser.add_argument("--ways", nargs="*", default=list(WAYS), choices=list(WAYS))
    options = parser.parse_args()
    kept = list(_kept(options.out))
    model = LocalModel("smollm2", ready("smollm2"), sampling={})
    done = {(one.way, one.number) for one in kept}
    for number in range(options.programs):
        for way in options.ways:
            if (way, number) not in done:
                sample = asyncio.run(WAYS[way](model, number))
                kept.append(sample)
                with options.out.open("a") as file:
                    file.write(json.dumps(sample._asdict()) + "\n")
    print(_table(kept))
    print(_forced(one.text for one in kept if one.way == "grammar" and one.finished))


def _kept(path: Path) -> Iterator[Sample]:
    if path.exists():
        for line in path.read_text().splitlines():
            yield Sample(**json.loads(line))


def _asked(number: int, what: str, example: str) -> tuple[Message, ...]:
    return (Message("user", ASK.format(what=what, task=TASKS[number % len(TASKS)], example=example)),)


# ---------------------------------------------------------------- ways


async def _grammar(model: LocalModel, number: int) -> Sample:
    return await _program("grammar", model, number, USUAL)


async def _whole(model: LocalModel, number: int) -> Sample:
    return await _program("whole", model, number, WHOLE)


async def _program(way: str, model: LocalModel, number: int, profile: Profile) -> Sample:
    draft = begin("flow main(query) -> text", DEFAULT, profile, header=HEADER)
    asked = _asked(number, "masdsl program", EXAMPLE)
    return await _decoded(
        way, model, number, asked, lambda timed: write(draft, timed, tokens=TOKENS, seed=number), _stage
    )


async def _binding(model: LocalModel, number: int) -> Sample:
    path = _system(number)
    config = load_config(str(POOL), Findings())
    parsed = parse_program(Source(str(path), path.read_text()), Findings()).document
    assert isinstance(parsed, syntax.Program)
    template = Source(str(path), print_program(template_of(parsed)))
    asked = (Message("user", f"Choose a model for each role: fast, smart or default.\n\n{template.text[:3000]}"),)

    def stage(text: str) -> str:
        if not text:  # no role is open
            return _stage(template.text, config, str(path))
        findings = Findings()
        made = bind(Source("<binding>", text), template, findings)
        return "text" if made is None else _stage(made.source.text, config, str(path))

    return await _decoded(
        "binding",
        model,
        number,
        asked,
        lambda timed: write_binding(template, TIERS, timed, config, tokens=TOKENS, seed=number),
        stage,
    )


async def _patch(model: LocalModel, number: int) -> Sample:
    path = _system(number)
    config = load_config(str(POOL), Findings())
    program = Source(str(path), path.read_text())
    asked = (
        Message("user", f"A step of this program failed. Write a patch that repairs it.\n\n{program.text[:3000]}"),
    )

    def stage(text: str) -> str:
        findings = Findings()
        made = apply_patch(Source("<patch>", text), program, findings)
        return "text" if made is None else _stage(made.source.text, config, str(path))

    return await _decoded(
        "patch",
        model,
        number,
        asked,
        lambda timed: write_patch(program, timed, config, tiers=TIERS, tokens=TOKENS, seed=number),
        stage,
    )


async def _text(model: LocalModel, number: int) -> Sample:
    return await _free("text", model, number, _asked(number, "masdsl program", EXAMPLE), _stage_of_reply)


async def _python(model: LocalModel, number: int) -> Sample:
    return await _free("python", model, number, _asked(number, "Python class", PYTHON_EXAMPLE), _stage_of_python)


WAYS: Final[dict[str, Callable[[LocalModel, int], Coroutine[Any, Any, Sample]]]] = {
    "grammar": _grammar,
    "whole": _whole,
    "text": _text,
    "python": _python,
    "binding": _binding,
    "patch": _patch,
}


async def _decoded(
    way: str,
    model: LocalModel,
    number: int,
    asked: tuple[Message, ...],
    wanted: Callable[[Timed], Coroutine[Any, Any, Written]],
    stage: Callable[[str], str],
) -> Sample:
    timed = Timed(GrammarModel(model, asked, temperature=1.0))
    began = time.process_time()
    one = await wanted(timed)
    whole = time.process_time() - began
    return Sample(
        way,
        number,
        stage(one.text),
        one.finished,
        one.tokens,
        one.pieces,
        len(one.refused),
        timed.seconds,
        whole - timed.seconds,
        one.text,
    )


async def _free(
    way: str, model: LocalModel, number: int, asked: tuple[Message, ...], stage: Callable[[str], str]
) -> Sample:
    began = time.process_time()
    reply = await model.complete(Request(asked, max_tokens=TOKENS, temperature=1.0, seed=number, timeout=600))
    took = time.process_time() - began
    return Sample(
        way, number, stage(reply.text), reply.finish == "stop", reply.output_tokens or 0, 1, 0, took, 0.0, reply.text
    )


def _system(number: int) -> Path:
    systems = sorted(POOL.glob("*.mas"))
    return systems[number % len(systems)]


# ---------------------------------------------------------------- what a text is worth


def _stage(text: str, config: Config = DEFAULT, name: str = "x.mas") -> str:
    """Return how far a program gets: text, parses, checks, fits."""
    findings = Findings()
    if not parse_program(Source(name, text), Findings()).ok:
        return "text"
    if check_source(Source(name, text), config, findings) is None:
        return "parses"
    return "checks" if any(is_fault(one) for one in findings.sorted()) else "fits"


def _stage_of_reply(reply: str) -> str:
    return _stage(_inside(reply, "mas 1"))


def _stage_of_python(reply: str) -> str:
    code = _inside(reply, "class MAS")
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return "text"
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == "MAS":
            methods = {one.name: one for one in node.body if isinstance(one, ast.FunctionDef)}
            if "forward" in methods and len(methods["forward"].args.args) >= 2:
                return "fits"
    return "parses"


def _inside(reply: str, first: str) -> str:
    """Return the fenced block of a reply, or what begins with `first`, or all of it."""
    fenced = re.search(r"```[a-z]*\n(.*?)(?:```|\Z)", reply, re.DOTALL)
    if fenced:
        return fenced[1]
    at = reply.find(first)
    return reply[at:] if at >= 0 else reply


def _table(samples: Iterable[Sample]) -> str:
    lines = [
        "| way | samples | parses | sound | ended itself | tokens, median | pieces | refused | tokens/s | own CPU |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    groups: dict[str, list[Sample]] = {}
    for one in samples:
        groups.setdefault(one.way, []).append(one)
    for way, found in groups.items():
        count = len(found)
        parses = sum(one.stage != "text" for one in found)
        sound = sum(one.stage == "fits" for one in found)
        tokens, seconds = sum(one.tokens for one in found), sum(one.model_seconds for one in found)
        own = sum(one.own_seconds for one in found)
        pieces, refused = sum(one.pieces for one in found), sum(one.refused for one in found)
        shown = [
            way,
            count,
            f"{parses / count:.1%}",
            f"{sound / count:.1%}",
            f"{sum(one.finished for one in found) / count:.0%}",
            f"{statistics.median(one.tokens for one in found):.0f}",
            pieces,
            refused,
            f"{tokens / seconds:.1f}" if seconds else "-",
            f"{own / (own + seconds):.1%}" if own + seconds else "-",
        ]
        lines.append("| " + " | ".join(map(str, shown)) + " |")
    return "\n".join(lines)


def _forced(texts: Iterable[str]) -> str:
    """Return which share of the tokens of programs, as they were ended by the model, the grammar left no choice for."""
    import llguidance
    from tokenizers.decoders import ByteLevel

    counter = counter_from_gguf(ready("smollm2"))
    assert counter is not None
    tokenizer = counter._tokenizer
    tokenizer.decoder = ByteLevel()
    reader = llguidance.LLTokenizer(tokenizer.to_str())
    forced = tokens = 0
    for text in texts:
        draft = begin("flow main(query) -> text", DEFAULT, header=HEADER)
        for piece in _pieces(text):
            grammar = next_piece(draft)
            assert grammar is not None
            written = llguidance.LLMatcher.grammar_from_lark(grammar.written("llguidance"))
            matcher, rest = llguidance.LLMatcher(reader, written), piece.encode()
            while rest:
                sure = matcher.compute_ff_tokens()
                step = sure or reader.tokenize_bytes(rest)[:1]
                assert matcher.consume_tokens(step), piece
                forced += len(sure)
                tokens += len(step)
                rest = rest[len(reader.decode_bytes(step)) :]
            draft = fed(draft, piece)
    return f"\nof {tokens:,} tokens of programs {forced / max(1, tokens):.1%} are forced"


def _pieces(text: str) -> Iterator[str]:
    """Yield a program as the decoder writes it by types: an agent's prompt is a piece of its own."""
    for line in text.splitlines(keepends=True)[2:]:
        agent = re.fullmatch(r'(agent [^"]*?) (".*"\n)', line)
        yield from (f"{agent[1]}\n", agent[2]) if agent else (line,)


if __name__ == "__main__":
    main()
