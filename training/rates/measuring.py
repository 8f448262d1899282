"""One query, one generator, one try: what it wrote, and what became of that, stage by stage.

Each stage is of the text as the model wrote it, and needs the one before:

- written: the reply holds a program
- parses: it is one by the grammar
- checks: the checker finds no error in it, with the tools that are granted
- fits: it has the signature that was asked for, its worst case the calls that there are, and a model decides about
  its answer
- ran: a run of it ended with a value
- score: what the grader says of that value

`mended` says that machine fixes make something of it that fits, or that it fits as it is; that text is never run.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from masdsl.batch.base import Sample
from masdsl.batch.graders import grader_of
from masdsl.batch.systems import identity
from masdsl.diagnostics.base import Findings
from masdsl.meta.emission import Terms
from masdsl.meta.extract import extract
from masdsl.meta.fallback import simplest
from masdsl.meta.fitting import declared_tools, granted_to, hangs_on_a_model
from masdsl.meta.host import Host, fit_of, shape_of, short
from masdsl.meta.retrieval import Embed, Example, nearest, pool_systems
from masdsl.meta.roles import Desk
from masdsl.meta.systems import parsed
from masdsl.meta.task import Emitted, Task
from masdsl.runtime import Limits, RunFailed
from masdsl.runtime.failures import InputError, StepFailed
from masdsl.runtime.models.base import ChatModel, Price, Reply, Request
from masdsl.runtime.shapes import plain
from training.rates.asking import Asked


class Generates(Protocol):
    """What is measured: a generator (`masdsl.meta.roles.Generator`)."""

    name: str

    async def generate(self, task: Task, examples: Sequence[Example], desk: Desk) -> Emitted:
        """Return a program as text, with the reasons for it."""
        ...


class Measured(NamedTuple):
    """What became of one query. Stages are those of the module. `gold` says that a value can be graded; `score` is 0
    where there is none.

    `program` is the text, `hash` the same for the same program, `why` says what was wrong first. `closed` says that the
    decoder ended the text in the model's place. Tokens and seconds are those of writing, `calls`, `run_tokens` and
    `run_seconds` those of the run.
    """

    id: str
    family: str
    written: bool = False
    parses: bool = False
    checks: bool = False
    fits: bool = False
    mended: bool = False
    ran: bool = False
    gold: bool = False
    score: float = 0.0
    program: str = ""
    reasoning: str = ""
    hash: str = ""
    why: str = ""
    closed: bool = False
    tokens_in: int = 0
    tokens_out: int = 0
    seconds: float = 0.0
    calls: int = 0
    run_tokens: int = 0
    run_seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return self._asdict()


class Constant:
    """The simplest system that the calls permit, whatever the query: self-consistency, else one call."""

    name = "self-consistency"

    async def generate(self, task: Task, examples: Sequence[Example], desk: Desk) -> Emitted:
        """Return the first of the simplest systems that fits."""
        for name, text in simplest(task, desk.shape):
            fit = fit_of(text, desk.shape, desk.host, desk.left)
            if fit.program is not None and not fit.over:
                return Emitted(text, name, "fallback")
        return Emitted("", "not even one call fits", "fallback")


class _Heard:
    """A model whose replies are kept."""

    def __init__(self, model: ChatModel) -> None:
        self._model = model
        self.replies: list[str] = []
        if hasattr(model, "grammars"):
            self.grammars = model.grammars

    @property
    def name(self) -> str:
        return self._model.name

    @property
    def price(self) -> Price | None:
        return self._model.price

    async def complete(self, request: Request) -> Reply:
        reply = await self._model.complete(request)
        self.replies.append(reply.text)
        return reply

    async def close(self) -> None:
        await self._model.close()


async def measure(
    generator: Generates,
    asked: Asked,
    host: Host,
    terms: Terms,
    *,
    run: bool = True,
    examples: int = 0,
    embed: Embed | None = None,
) -> Measured:
    """Let a generator write for one query, and follow what it wrote through all stages.

    `terms` has one try; `examples` is how many systems of the pool the generator is shown. Nothing is raised for what a
    model does. Raises masdsl.meta.host.BadTask for a query that no program can be written for, and
    masdsl.batch.grading.GraderFault.
    """
    task = Task(asked.query, asked.signature, Limits(calls=asked.calls), asked.tools)
    granted = granted_to(host, declared_tools(task))
    shape = shape_of(task, granted)
    heard: list[_Heard] = []

    def hear(model: ChatModel) -> ChatModel:
        heard.append(_Heard(model))
        return heard[-1]

    near = nearest(asked.query, pool_systems(), examples, embed) if examples else ()
    began = time.monotonic()
    emitted = await generator.generate(task, near, Desk(granted, shape, task.budget, terms._replace(tries=1), hear))
    seconds = time.monotonic() - began
    text = emitted.text or (emitted.tries[-1].text if emitted.tries else "")  # under the decoder, as it came out
    if emitted.how == "text" and heard:
        text = extract(heard[0].replies[-1], "mas").text if heard[0].replies else ""
    done = Measured(
        asked.id,
        asked.family,
        gold=asked.answer is not None and bool(asked.grader),
        written=bool(text),
        mended=bool(emitted.text),
        program=text,
        reasoning=emitted.reasoning,
        why="" if text else emitted.why_none(),
        closed=emitted.how == "closed",
        tokens_in=emitted.spent.tokens_in,
        tokens_out=emitted.spent.tokens_out,
        seconds=seconds,
    )
    return await _followed(done, asked, task, granted, shape, run=run) if text else done


async def follow(reply: str, asked: Asked, host: Host, *, run: bool = True) -> Measured:
    """Follow a reply that somebody has written for a query through all stages; raises like `measure`."""
    task = Task(asked.query, asked.signature, Limits(calls=asked.calls), asked.tools)
    granted = granted_to(host, declared_tools(task))
    found = extract(reply, "mas")
    gold = asked.answer is not None and bool(asked.grader)
    done = Measured(asked.id, asked.family, gold=gold, program=found.text, reasoning=found.reasoning)
    if not found.text:
        return done._replace(why="there is no program in it")
    return await _followed(done._replace(written=True), asked, task, granted, shape_of(task, granted), run=run)


async def _followed(done: Measured, asked: Asked, task: Task, host: Host, shape: Any, *, run: bool) -> Measured:
    if parsed(done.program) is None:
        return done._replace(why="it does not parse")
    done = done._replace(parses=True)
    findings = Findings()
    program = host.check(done.program, findings)
    if program is None:
        return done._replace(why=short(findings.sorted())[0])
    done = done._replace(checks=True, hash=identity(program))
    fit = fit_of(done.program, shape, host, Limits(calls=asked.calls))
    if fit.program is None:
        return done._replace(why=fit.diagnostics[0] if fit.diagnostics else "it does not fit")
    if not hangs_on_a_model(done.program, task, shape, host):
        return done._replace(why="no model decides about its answer")
    done = done._replace(fits=True, mended=True)
    return await _run(done, asked, host, fit.program) if run else done


async def _run(done: Measured, asked: Asked, host: Host, program: Any) -> Measured:
    began = time.monotonic()
    value, why = None, ""
    try:
        result = await host.loaded(program).start("main", {"query": asked.query}, rectifier=False)
        value = plain(result.value)
    except RunFailed as failure:
        result, why = failure.result, f"{failure.step}: {failure.reason}"
    except (InputError, StepFailed) as fault:
        return done._replace(why=str(fault))
    done = done._replace(
        ran=not why,
        why=why,
        calls=result.calls,
        run_tokens=result.tokens,
        run_seconds=time.monotonic() - began,
    )
    grader = grader_of(asked.grader) if done.gold and not why else None
    if grader is None:
        return done
    sample = Sample(0, {"query": asked.query}, asked.answer, asked.extra)
    said = await grader.score(value, sample)
    return done._replace(score=said.score or 0.0, why=said.why)
