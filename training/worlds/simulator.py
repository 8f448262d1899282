"""A SIMULATOR of models: rules that answer requests, for showing that learning works. No claim about any real model.

A simulated model is a `ChatModel` of kind `python` (`model`), so its replies go through the same runtime, parser,
journal and budgets as those of any other. It answers from the text of a request alone. All that happens in it:

1. **The task.** It knows the tasks in `tasks.jsonl` by their words (`training.worlds.tasks`). Where a prompt has none,
   it can only pass on the answer that is claimed most often there.
2. **First thought.** It is right with the probability logistic(strength), where strength = its skill in the task's
   family - the task's difficulty + what thinking in steps adds in the family (if the prompt, or the form of the reply,
   asks for steps, thinking, reasons or a plan) + 0.3 for being told to be an expert of that very family - 0.2 for each
   1000 tokens of the prompt (`training.worlds.mind`). In worlds that have words of method, and no others, what those
   add or take away comes to it (`training.worlds.methods`).
3. **Samples.** A share of chance is common to all samples of one model on one task (its family says how much): votes
   help where the share is small. Other models have chance of their own. A wrong answer is one of at most three, the
   likeliest in 6 of 10 cases, so that wrong answers agree, too. At temperature 0 equal requests get equal replies.
4. **Judging.** Shown possible answers (they stand in the prompt outside the task's own text), it judges each rightly
   with the probability logistic(its skill of judging + how easily the family is checked - difficulty / 2). It gives
   the answer with the largest log(occurrences, its own first thought included) +- 1.5 by its judgement. Truth values,
   scores and words such as `yes` say what it thinks of the last answer that it is shown, or of its own.
5. **Evidence.** The document's sentence with the answer, what a tool that it used itself says, and what stands behind
   words such as `the calculator says`, is believed with the probability `reads`. Tasks of `facts` are far too hard
   without it.
6. **Tools and programs.** With a tool for the family (search, reading and looking up for facts, sums by code or an
   expression) it uses one with the probability `tools`, and once more in half of the cases where nothing was found.
   What it writes as code or expression is right with logistic(strength + what that adds in the family).
7. **Routing.** Asked to choose a kind of task it names the right one in 9 of 10 cases.
8. **Faults.** With the probability `fails` a call fails as overloaded, with `garbles` a reply is cut off in its middle.
   Asked again it may do better.
9. **Length, time.** A token is 4 characters. A text has about `words` words of working. A call takes `seconds` +
   tokens of the reply / `speed` seconds of virtual time, which `seconds_taken` adds up; with `sleep` it takes them
   really.

Draws are functions of (seed of the world, model, request, seed of the sample): nothing depends on the order of calls.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, Final

from masdsl.runtime.models.base import ModelError, Price, Reply, Request
from training.worlds.chance import uniform
from training.worlds.mind import Mind, Skills
from training.worlds.reading import Seen, read_request, tokens_in
from training.worlds.saying import Speaker
from training.worlds.tasks import FAMILIES, Tasks, read_tasks

_CODE_INPUTS: Final = ("code", "program", "python", "script")
_FORMULA_INPUTS: Final = ("expression", "formula")
_QUERY_INPUTS: Final = ("query", "question", "entity", "topic", "text", "q", "key", "term")
_NAME_INPUTS: Final = ("id", "page", "document", "file")


class SimulatedModel:
    """A model by the rules above; `skills` are what tells it from others, in the world of this seed."""

    def __init__(
        self,
        name: str,
        path: str,
        skills: Skills,
        *,
        seed: int,
        fails: float,
        garbles: float,
        words: int,
        seconds: float,
        speed: float,
        sleep: bool,
    ) -> None:
        self._name = name
        self._path = path
        self._skills = skills
        self._seed = seed
        self._fails = fails
        self._garbles = garbles
        self._words = words
        self._seconds = seconds
        self._speed = speed
        self._sleep = sleep
        self.seconds_taken = 0.0
        self.calls = 0

    @property
    def name(self) -> str:
        """The model's name as the configuration has it; its chance depends on it."""
        return self._name

    @property
    def price(self) -> Price | None:
        """Unknown to it: the configuration says it."""
        return None

    async def complete(self, request: Request) -> Reply:
        """Answer one request by the rules, or raise ModelError (`overloaded`)."""
        seen = read_request(request, self._tasks())
        own = (self._seed, self._name, _key(request))
        self.calls += 1
        if uniform("fails", *own, request.attempt, request.seed) < self._fails:
            await self._take(self._seconds)
            # Time is virtual: nobody waits for another try.
            again = None if self._sleep else 0.0
            raise ModelError("overloaded", "simulated: the model is overloaded", retry_after=again)
        text = self._said(request, seen, own)
        finish = "stop"
        if uniform("garbles", *own, request.attempt, request.seed) < self._garbles:
            text = text[: len(text) // 2]
        if len(text) > 4 * request.max_tokens:
            text, finish = text[: 4 * request.max_tokens], "length"
        tokens = tokens_in(text)
        await self._take(self._seconds + tokens / self._speed)
        return Reply(text, seen.tokens, tokens, self._name, "length" if finish == "length" else "stop")

    async def close(self) -> None:
        """Do nothing: it holds nothing."""

    def _tasks(self) -> Tasks:
        try:
            return read_tasks(self._path)
        except ValueError as fault:
            raise ModelError("unavailable", str(fault)) from None

    async def _take(self, seconds: float) -> None:
        self.seconds_taken += seconds
        if self._sleep:
            await asyncio.sleep(seconds)

    def _said(self, request: Request, seen: Seen, own: tuple[object, ...]) -> str:
        mind = Mind(self._skills, seen, (self._seed, self._name), own)
        speaker = Speaker(mind, self._words, 2 * request.max_tokens)
        schema = request.schema
        if schema is None:
            return speaker.text_reply()
        uses, rest = _tools_of(schema)
        use = _use(uses, mind, speaker)
        said = use if use is not None else speaker.value(rest)
        return said if isinstance(said, str) and rest.get("type") == "string" else json.dumps(said, ensure_ascii=False)


def _key(request: Request) -> str:
    """Return what tells a request from others; samples differ by their seeds, but at temperature 0."""
    seed = None if request.temperature == 0 else request.seed
    told = json.dumps([request.messages, request.schema, seed], sort_keys=True, default=dict)
    return blake2b(told.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


# ---------------------------------------------------------------- tools


def _tools_of(schema: Mapping[str, Any]) -> tuple[list[tuple[str, Mapping[str, Any]]], Mapping[str, Any]]:
    """Return the tools that a reply may use with the schemas of their inputs, and the schema of the answer."""
    tools, others = [], []
    for one in schema.get("anyOf", ()):
        fields = one.get("properties", {})
        if set(fields) == {"tool", "arguments"}:
            tools.append((fields["tool"]["enum"][0], fields["arguments"].get("properties", {})))
        else:
            others.append(one)
    return (tools, others[0]) if tools and others else ([], schema)


def _use(tools: list[tuple[str, Mapping[str, Any]]], mind: Mind, speaker: Speaker) -> dict[str, Any] | None:
    """Return the use of a tool, None where it answers instead."""
    seen = mind.seen
    if not tools or seen.task is None or seen.evidence is not None:
        return None
    if seen.uses and (seen.uses > 2 or (not seen.hits and uniform("again", *mind.own) < 0.5)):
        return None
    if not seen.uses and not mind.uses_tool():
        return None
    wanted = (*_CODE_INPUTS, *_FORMULA_INPUTS) if seen.task.family == "sums" else _QUERY_INPUTS
    if seen.task.family in ("choice", "puzzles"):
        return None
    if seen.hits:
        wanted = (*_NAME_INPUTS, *wanted)
    for one in wanted:
        for tool, inputs in tools:
            if one in inputs:
                return {"tool": tool, "arguments": {name: _input(name, inputs[name], mind, speaker) for name in inputs}}
    return None


def _input(name: str, schema: Mapping[str, Any], mind: Mind, speaker: Speaker) -> Any:
    task = mind.seen.task
    assert task is not None
    if name in _FORMULA_INPUTS and task.expression:
        return (task.expression, *task.wrong_expressions)[mind.formal]
    if name in _QUERY_INPUTS:
        return task.texts[0][: schema.get("maxLength", 10_000)]
    if name in _NAME_INPUTS and mind.seen.hits:
        return mind.seen.hits[0]
    return speaker.value(schema, name)


# ---------------------------------------------------------------- the factory


def model(
    name: str,
    path: str,
    *,
    skill: Mapping[str, float],
    seed: int = 0,
    judge: float = 0.0,
    reads: float = 0.95,
    tools: float = 0.9,
    fails: float = 0.0,
    garbles: float = 0.0,
    words: int = 40,
    seconds: float = 0.5,
    speed: float = 60.0,
    sleep: bool = False,
    method: float = 0.0,
    misfit: float = 0.0,
) -> SimulatedModel:
    """Return a simulated model: the factory of entries of kind `python`.

    Args:
        name: the model's name.
        path: the world's `tasks.jsonl`.
        skill: log odds of being right at difficulty 0, for each family of `training.worlds.tasks.FAMILIES`.
        seed: the world's.
        judge: skill of judging answers, in log odds.
        reads: how often evidence is used, from 0 to 1; so are the next four.
        tools: how often a tool is used that suits the task.
        fails: how often a call fails.
        garbles: how often a reply is cut off in its middle.
        words: about how many words of working a text has.
        seconds: what a call takes besides its tokens, in seconds of virtual time.
        speed: tokens of a reply in a second.
        sleep: whether a call really takes that time.
        method: what a method of the task's family in the prompt adds, in log odds (`training.worlds.methods`).
        misfit: what one of another family takes away, in log odds.

    Raises ValueError for an option that cannot be meant, TypeError for one that there is not.
    """
    if set(skill) != set(FAMILIES):
        raise ValueError(f"`skill` has {', '.join(skill) or 'nothing'}; it needs {', '.join(FAMILIES)}")
    for option, value in (*((f"skill.{family}", skill[family]) for family in FAMILIES), ("judge", judge)):
        _require(_is_number(value) and abs(value) <= 50, f"`{option}` is {value!r}; write log odds from -50 to 50")
    for option, value in (("reads", reads), ("tools", tools), ("fails", fails), ("garbles", garbles)):
        _require(_is_number(value) and 0 <= value <= 1, f"`{option}` is {value!r}; write a rate from 0 to 1")
    for option, value in (("method", method), ("misfit", misfit)):
        _require(_is_number(value) and 0 <= value <= 50, f"`{option}` is {value!r}; write log odds from 0 to 50")
    _require(type(seed) is int, f"`seed` is {seed!r}; write a whole number")
    _require(type(words) is int and 0 <= words <= 1000, f"`words` is {words!r}; write a whole number from 0 to 1000")
    _require(_is_number(seconds) and 0 <= seconds <= 3600, f"`seconds` is {seconds!r}; write seconds from 0 to 3600")
    _require(_is_number(speed) and speed > 0, f"`speed` is {speed!r}; write tokens a second, above 0")
    _require(type(sleep) is bool, f"`sleep` is {sleep!r}; write true or false")
    skills = Skills({family: float(skill[family]) for family in FAMILIES}, judge, reads, tools, method, misfit)
    return SimulatedModel(
        name,
        path,
        skills,
        seed=seed,
        fails=fails,
        garbles=garbles,
        words=words,
        seconds=seconds,
        speed=speed,
        sleep=sleep,
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ValueError(otherwise)
