"""How a model's words become a program, a binding or a patch that may be taken, with bounded effort.

Where a model takes grammars, it writes under the decoder (`masdsl.decode`): what comes out is right whatever the model
does. Elsewhere it writes plain text, in a loop: the text is taken out of the reply, machine fixes are applied, and what
is still wrong goes back to the model as `short` diagnostics, at most so many times. Either way each call counts, also
one that gave nothing, and nothing is raised for what a model does: a result without text says in its tries why.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final, NamedTuple

from masdsl.check.modules import ModuleReader
from masdsl.config import Config
from masdsl.decode.binding import NoTier, write_binding
from masdsl.decode.draft import Refused, begin
from masdsl.decode.models import GrammarModel
from masdsl.decode.patches import Judgement, write_patch
from masdsl.decode.pieces import PieceGrammar
from masdsl.decode.profile import TRAINED, USUAL
from masdsl.decode.write import Piece, PieceModel, Written, write
from masdsl.meta.extract import Kind, extract
from masdsl.meta.fitting import (
    TITLES,
    Judge,
    Judged,
    declared_tools,
    granted_to,
    judge_binding,
    judge_program,
    nothing_written,
    roles_without_model,
)
from masdsl.meta.host import NAME, Host, shape_of, within
from masdsl.meta.purse import NothingLeft, Purse, pause_after
from masdsl.meta.task import Emitted, How, Task, Try
from masdsl.rectify.state import Tier
from masdsl.runtime.meter import Limits
from masdsl.runtime.models.base import ChatModel, Message, ModelError, Reply, Request
from masdsl.source import Source

TRIES: Final = 4
"""How often a model may try one text; a piece of one under the decoder has tries of its own."""
REPLY_TOKENS: Final = 1_500
"""The longest reply that is asked for. The longest program of the pool has about 1,300 tokens."""
REASONING_TOKENS: Final = 200
"""The longest statement of reasons that is asked for before a text that is written under a grammar."""
_SHOWN: Final = 600
"""Characters of a reply without a text that the model is shown again."""
_ENOUGH_FAILURES: Final = 2
"""Calls in a row that may fail."""
_TRAINED_REASONS: Final = 60
"""Tokens of the reasons of a model that was trained to give a sentence."""


class Terms(NamedTuple):
    """What the writing of one text may take, and how the model is asked.

    `tokens` of prompts and replies together, `calls` and `picodollars` are limits (None: none); `tries` bounds the
    effort whatever is left. `timeout` is in seconds, for each call. `reply_tokens` is the longest reply,
    `reasoning_tokens` the longest statement of reasons before a text under a grammar (0: none is asked for). With
    `constrained` false a model writes plain text even if it takes grammars.
    """

    tokens: int | None = None
    calls: int | None = None
    picodollars: int | None = None
    tries: int = TRIES
    seed: int = 0
    temperature: float | None = None
    timeout: float = 120.0
    reply_tokens: int = REPLY_TOKENS
    reasoning_tokens: int = REASONING_TOKENS
    constrained: bool = True


FREELY: Final = Terms()

WriteOne = Callable[[PieceModel, int, int], Awaitable[Written]]
"""Lets a model write one text under the decoder, in at most so many tokens, from a seed."""


async def emit_program(
    model: ChatModel,
    messages: Sequence[Message],
    task: Task,
    host: Host,
    terms: Terms = FREELY,
    *,
    left: Limits | None = None,
    trained: bool = False,
) -> Emitted:
    """Let a model write a program for a task, in answer to `messages`.

    `left` is what a run of the program may take, by default the task's budget: its calls at worst have to fit, and in
    the other measures what it takes at least. A model that was `trained` to write programs has the whole language, and
    says its reasons and the program in one reply, as in its training (`masdsl.meta.trained`).

    Raises masdsl.meta.host.BadTask for a task that no program can fit.
    """
    host = granted_to(host, declared_tools(task))
    shape = shape_of(task, host)
    left = task.budget if left is None else left

    async def write_one(pieces: PieceModel, tokens: int, seed: int) -> Written:
        allowed = Limits(calls=left.calls, tokens=left.tokens, usd=left.usd)  # nobody can prove how long a run takes
        header = "".join(f"{line.strip()}\n" for line in task.tools)
        profile = TRAINED if trained else USUAL
        draft = begin(task.signature, within(host.config, allowed), profile, header=header)
        return await write(draft, pieces, tokens=tokens, seed=seed)

    def judge(text: str) -> Judged:
        return judge_program(text, task, shape, host, left)

    granted = ", ".join(line.strip() for line in task.tools) or "none"
    hint = f"Tools that are granted: {granted}"
    return await _Writer(model, messages, terms, "mas", judge, hint, trained=trained).emit(write_one)


async def emit_binding(
    model: ChatModel,
    messages: Sequence[Message],
    template: str,
    tiers: Sequence[Tier],
    host: Host,
    terms: Terms = FREELY,
    *,
    trained: bool = False,
) -> Emitted:
    """Let a model assign a tier of the pool to every open role of a template.

    Roles that it leaves out get the cheapest tier. The result is empty, without a try, for a template without open
    roles. A model that was `trained` for it says the binding alone (`masdsl.meta.trained`).
    """
    if not tiers:
        return Emitted("", tries=(Try("", ("the pool has no tier",)),))
    names = tuple(tier.name for tier in tiers)
    dearest = 1 << 62
    by_price = sorted(tiers, key=lambda tier: sum(tier.price) if tier.price else dearest)
    origin = Source(NAME, template)

    async def write_one(pieces: PieceModel, tokens: int, seed: int) -> Written:
        return await write_binding(origin, names, pieces, host.config, tokens=tokens, seed=seed)

    def judge(text: str) -> Judged:
        return judge_binding(text, template, names, by_price[0].name, host)

    if not roles_without_model(template):
        return Emitted("")
    hint = f"The pool: {', '.join(names)}"
    return await _Writer(model, messages, terms, "bind", judge, hint, trained=trained).emit(write_one)


async def emit_patch(
    model: ChatModel,
    messages: Sequence[Message],
    judge: Callable[[str], tuple[str, ...]],
    terms: Terms = FREELY,
    *,
    write_one: WriteOne | None = None,
    trained: bool = False,
) -> Emitted:
    """Let a model write a patch. `judge` tells what is wrong with one: nothing where it may be applied.

    Under the decoder it is written by `write_one`, such as `patching(..)`; without that, as plain text. A model that
    was `trained` for it says the patch alone (`masdsl.meta.trained`).
    """

    def judged(text: str) -> Judged:
        return Judged(text, judge(text))

    return await _Writer(model, messages, terms, "patch", judged, "", trained=trained).emit(write_one)


def patching(
    program: Source,
    config: Config,
    judge: Callable[[str], tuple[str, ...]],
    *,
    tiers: Sequence[str] = (),
    finished: Iterable[str] = (),
    read_module: ModuleReader | None = None,
) -> WriteOne:
    """Return what lets a model write a patch for a program under the decoder (`decode.patches.write_patch`)."""
    done = frozenset(finished)

    async def write_one(pieces: PieceModel, tokens: int, seed: int) -> Written:
        return await write_patch(
            program,
            pieces,
            config,
            tiers=tiers,
            finished=done,
            judge=lambda patch: Judgement(not judge(patch)),
            read_module=read_module,
            tokens=tokens,
            seed=seed,
        )

    return write_one


# ---------------------------------------------------------------- writing


class _Writer:
    """One text that a model is to write, in one way or the other."""

    def __init__(
        self,
        model: ChatModel,
        messages: Sequence[Message],
        terms: Terms,
        kind: Kind,
        judge: Judge,
        hint: str,
        *,
        trained: bool = False,
    ) -> None:
        self._purse = Purse(
            model, tokens=terms.tokens, calls=terms.calls, picodollars=terms.picodollars, timeout=terms.timeout
        )
        self._messages = tuple(messages)
        self._terms = terms
        self._kind: Kind = kind
        self._judge = judge
        self._hint = hint
        self._trained = trained
        self._tries: list[Try] = []
        self._reasoning = ""

    async def emit(self, write_one: WriteOne | None) -> Emitted:
        """Let it be written under the decoder where that can be, else as plain text."""
        if write_one is None or not self._terms.constrained:
            return await self._in_text()
        try:
            taken = self._purse.grammars
        except ModelError as error:
            return self._nothing("text", _failed(error))
        return await (self._by_grammar(write_one) if taken else self._in_text())

    def _emitted(self, text: str, how: How) -> Emitted:
        return Emitted(text, self._reasoning, how, tuple(self._tries), self._purse.spent)

    def _nothing(self, how: How, why: str) -> Emitted:
        self._tries.append(Try("", (why,)))
        return self._emitted("", how)

    async def _ask(self, messages: tuple[Message, ...], tokens: int, number: int) -> Reply:
        seed = self._terms.seed * 1_000 + number
        return await self._purse.complete(
            Request(messages, max_tokens=tokens, temperature=self._terms.temperature, seed=seed)
        )

    # ------------------------------------------------------------ plain text

    async def _in_text(self) -> Emitted:
        asked, failures = self._messages, 0
        seen: set[str] = set()
        for number in range(self._terms.tries):
            before = self._purse.spent
            try:
                reply = await self._ask(asked, self._terms.reply_tokens, number)
            except NothingLeft as error:
                return self._nothing("text", f"nothing is left for another try: {error.detail}")
            except ModelError as error:
                self._tries.append(Try("", (_failed(error),), 0, self._purse.spent.tokens - before.tokens))
                failures += 1
                if error.kind == "too_long" and asked != self._messages:
                    asked = self._messages  # the correction was too much for it: from the beginning
                elif not error.retried or failures >= _ENOUGH_FAILURES:
                    break
                elif number + 1 < self._terms.tries:
                    await asyncio.sleep(pause_after(error, failures - 1))
                continue
            failures = 0
            judged = self._judged(reply)
            self._tries.append(Try(*judged, self._purse.spent.tokens - before.tokens))
            if not judged.diagnostics:
                return self._emitted(judged.text, "text")
            # one who says the same again is not helped by hearing the same again
            asked = self._messages if judged.text in seen else (*self._messages, *self._correction(reply, judged))
            seen.add(judged.text)
        return self._emitted("", "text")

    def _judged(self, reply: Reply) -> Judged:
        found = extract(reply.text, self._kind)
        self._reasoning = found.reasoning or self._reasoning
        judged = self._judge(found.text) if found.text else Judged("", nothing_written(self._kind))
        if judged.diagnostics and reply.finish == "length":
            cut = f"the reply was cut off at its longest: write a shorter {TITLES[self._kind]}, and no more than it"
            judged = judged._replace(diagnostics=(*judged.diagnostics, cut))
        return judged

    def _correction(self, reply: Reply, judged: Judged) -> tuple[Message, ...]:
        """Return what a model is shown of its try, as the machine fixes left it, and what is wrong with that."""
        shown = f"```{self._kind}\n{judged.text}```" if judged.text else reply.text.strip()[:_SHOWN] or "(nothing)"
        faults = "\n".join(judged.diagnostics)
        again = f"Write the whole {TITLES[self._kind]} again, mended, in one ```{self._kind} block."
        said = "\n".join(part for part in ("This is wrong:", faults, self._hint, again) if part)
        return Message("assistant", shown), Message("user", said)

    # ------------------------------------------------------------ under the decoder

    async def _by_grammar(self, write_one: WriteOne) -> Emitted:
        messages, opening = await self._with_reasons()
        how: How = "grammar"
        for number in range(self._terms.tries):
            before = self._purse.spent
            pieces = _Patient(GrammarModel(self._purse, messages, temperature=self._terms.temperature, opening=opening))
            try:
                written = await write_one(pieces, self._terms.reply_tokens, self._terms.seed * 100 + number)
            except (NoTier, Refused) as error:  # nothing that a model could say would help
                return self._nothing(how, str(error))
            judged = self._judge(written.text) if written.text else Judged("", nothing_written(self._kind))
            how = "grammar" if written.finished else "closed"
            if judged.diagnostics and not written.finished:
                why = pieces.failure or written.reason
                judged = judged._replace(diagnostics=(*judged.diagnostics, f"closed by the decoder: {why}"))
            self._tries.append(Try(*judged, self._purse.spent.tokens - before.tokens))
            if not judged.diagnostics:
                return self._emitted(judged.text, how)
            if pieces.is_over:
                break
        return self._emitted("", how)

    async def _with_reasons(self) -> tuple[tuple[Message, ...], str]:
        """Return the messages with the reasons that the model gives before it writes, where it gives some.

        The second is how the reply begins that the text is in: a model that was trained goes on with its own.
        """
        most = self._terms.reasoning_tokens
        if self._trained:  # bindings and patches are all that it says
            most = min(most, _TRAINED_REASONS) if self._kind == "mas" else 0
        if most:
            try:
                reply = await self._ask(self._messages, most, 0)
                self._reasoning = extract(reply.text, self._kind).reasoning
            except ModelError:
                pass  # what is wrong comes out at the first piece
        if self._trained:
            return self._messages, completion_of(self._reasoning, "", self._kind).removesuffix("```")
        if not self._reasoning:
            return self._messages, ""
        now = Message("user", f"Now write the {TITLES[self._kind]}, and nothing else.")
        return (*self._messages, Message("assistant", self._reasoning), now), ""


def completion_of(reasoning: str, text: str, kind: Kind = "mas") -> str:
    """Return what a model is trained to say: its reasons, if there are any, and a text in a block."""
    said = " ".join(reasoning.split())
    return f"{said}\n\n```{kind}\n{text}```" if said else f"```{kind}\n{text}```"


class _Patient:
    """A piece model whose failures are pieces that have no end, so that what is written so far is closed, not lost.

    `failure` is the last one; `is_over` says that no further call can help.
    """

    def __init__(self, model: PieceModel) -> None:
        self._model = model
        self._failures = 0
        self.failure = ""
        self.is_over = False

    async def piece(self, prefix: str, grammar: PieceGrammar, *, most: int, seed: int) -> Piece:
        """Return the next piece, or a cut one where there is none."""
        if self.is_over:
            return Piece("", False, 0)
        try:
            piece = await self._model.piece(prefix, grammar, most=most, seed=seed)
        except ModelError as error:
            self.failure = _failed(error)
            self._failures += 1
            self.is_over = not error.retried or self._failures >= _ENOUGH_FAILURES
            if not self.is_over:
                await asyncio.sleep(pause_after(error, self._failures - 1))
            return Piece("", False, 0)
        self._failures = 0
        return piece


def _failed(error: ModelError) -> str:
    return f"the model failed: {error}"
