"""The generator that is a small model trained to write programs: how it is asked, in training and in use.

It has seen the language in training, so it is told neither the language nor examples: a query, the head of the flow
that is wanted, the tools that are granted, and how many calls of models a run may make. It answers with a sentence of
reasons (MAS-GPT's R_i, arXiv:2503.03686) and a program in compact text. `training` makes its rows from the same
functions, so what a model is trained on and what it is asked cannot differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from masdsl.meta.emission import emit_program
from masdsl.meta.prompting import clipped, messages_for
from masdsl.meta.retrieval import Example
from masdsl.meta.roles import Desk
from masdsl.meta.systems import compact
from masdsl.meta.task import Emitted, Task
from masdsl.runtime.models.base import ChatModel, Message

MOST_CALLS: Final = 20
"""More calls than that are told as so many: no program that such a model writes makes more."""
QUERY_CHARACTERS: Final = 1_000
"""How much of a query it reads: a model of this size is trained on short texts."""


def messages_of(query: str, signature: str, tools: Sequence[str] = (), calls: int | None = None) -> tuple[Message, ...]:
    """Return what a trained generator is asked; `calls` are those that a run may make (None: any number)."""
    values = {
        "query": clipped(query.strip(), QUERY_CHARACTERS),
        "signature": signature,
        "tools": [line.strip() for line in tools],
        "calls": MOST_CALLS if calls is None else min(calls, MOST_CALLS),
    }
    return messages_for("trained", values)


def tools_of(program: str) -> tuple[str, ...]:
    """Return the declarations of a program's own tools, a line each."""
    return tuple(line for line in compact(program).splitlines() if line.startswith("tool "))


def compact_text(program: str) -> str:
    """Return a program as it is written under the decoder: compact, the tools that are given before all else."""
    first, *lines = [line for line in compact(program).splitlines() if line]
    lines.sort(key=lambda line: not line.startswith("tool "))  # sorting keeps the order of equals
    return "".join(f"{line}\n" for line in (first, *lines))


TEMPERATURE: Final = 0.0
"""Where nobody says another: what it learned is one answer for each query, and so it was measured."""


class TrainedGenerator:
    """A small model that was trained to write templates, under the decoder where it takes grammars.

    With `tools` false it is told of none, and writes systems without any: for one that was trained with few.
    """

    def __init__(self, model: ChatModel, *, tools: bool = True) -> None:
        self._model = model
        self._tools = tools
        self.name = f"trained model {model.name}"

    async def generate(self, task: Task, examples: Sequence[Example], desk: Desk) -> Emitted:
        """Return what the model writes; examples are not shown to it."""
        if not self._tools:
            task = task._replace(tools=())
        messages = messages_of(task.query, task.signature, task.tools, desk.left.calls)
        model = desk.taped(self._model)
        terms = desk.terms
        if terms.temperature is None:
            terms = terms._replace(temperature=TEMPERATURE, tries=1)  # it would say the same again
        return await emit_program(model, messages, task, desk.host, terms, left=desk.left, trained=True)
