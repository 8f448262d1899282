"""Meta-agents that are small models trained for their role: how they are asked, in training and in use.

Each has seen the language in training, so it is told neither the language nor examples.

generator     a query, the head of the flow that is wanted, the tools that are granted, and how many calls of models a
              run may make; it answers with a sentence of reasons (MAS-GPT's R_i, arXiv:2503.03686) and a program
implementer   a query, a template, the tiers with their prices, how much there is; it answers with a binding alone
rectifier     what went wrong where, the program that runs, the tiers with their prices, the calls that are left; it
              answers with a patch alone. What models and tools have said in the run is not shown to it

Programs are in compact text. `training` makes its rows from the same functions, so what a model is trained on and what
it is asked cannot differ.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from masdsl.config import Config
from masdsl.decode.binding import open_roles
from masdsl.meta.emission import Terms, emit_binding, emit_program
from masdsl.meta.host import Backbone
from masdsl.meta.prompting import clipped, messages_for, room_text
from masdsl.meta.retrieval import Example
from masdsl.meta.roles import Desk, ModelRectifier, price_text
from masdsl.meta.systems import compact, parsed
from masdsl.meta.task import Emitted, Task
from masdsl.runtime.meter import Limits
from masdsl.runtime.models.base import ChatModel, Message

if TYPE_CHECKING:
    from masdsl.rectify.base import Rectifier
    from masdsl.rectify.state import State, Tier

MOST_CALLS: Final = 20
"""More calls than that are told as so many: no program that such a model writes makes more."""
QUERY_CHARACTERS: Final = 1_000
"""How much of a query it reads: a model of this size is trained on short texts."""
REASON_CHARACTERS: Final = 200
"""How much a rectifier reads of why a step failed."""


def messages_of(query: str, signature: str, tools: Sequence[str] = (), calls: int | None = None) -> tuple[Message, ...]:
    """Return what a trained generator is asked; `calls` are those that a run may make (None: any number)."""
    values = {
        "query": clipped(query.strip(), QUERY_CHARACTERS),
        "signature": signature,
        "tools": [line.strip() for line in tools],
        "calls": MOST_CALLS if calls is None else min(calls, MOST_CALLS),
    }
    return messages_for("trained", values)


def binding_messages_of(query: str, template: str, pool: Sequence[Backbone], left: Limits) -> tuple[Message, ...]:
    """Return what a trained implementer is asked; `left` is what a run may take."""
    tree = parsed(template)
    values = {
        "query": clipped(query.strip(), QUERY_CHARACTERS),
        "template": compact_text(template),
        "pool": _priced([one.tier for one in pool]),
        "room": room_text(left),
        "roles": () if tree is None else open_roles(tree),
    }
    return messages_for("trained_implementer", values)


def repair_messages_of(state: State) -> tuple[Message, ...]:
    """Return what a trained rectifier is asked about the state of a run."""
    left, trigger = state.left.get("calls"), state.trigger
    values = {
        "cause": trigger.cause if trigger.kind == "failure" else f"{trigger.measure} beyond the threshold",
        "step": trigger.step,
        "reason": clipped(trigger.reason, REASON_CHARACTERS),
        "program": compact_text(state.standing.source.text),
        "tiers": _priced(state.tiers),
        "left": "any number of calls" if left is None else f"{left} calls",
        "rest": state.rest.calls,
    }
    return messages_for("trained_rectifier", values)


def _priced(tiers: Sequence[Tier]) -> list[dict[str, str]]:
    return [{"name": one.name, "price": price_text(one)} for one in tiers]


def unpinned(patch: str) -> str:
    """Return a patch that does not name the program it is for: nobody is to learn the digits of a hash."""
    _, end, rest = patch.partition("\n")
    return f"patch 1{end}{rest}"


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
        terms = _greedy(desk.terms)
        return await emit_program(model, messages, task, desk.host, terms, left=desk.left, trained=True)


class TrainedImplementer:
    """A small model that was trained to write bindings, under the decoder where it takes grammars."""

    def __init__(self, model: ChatModel) -> None:
        self._model = model
        self.name = f"trained model {model.name}"

    async def implement(self, task: Task, template: str, pool: Sequence[Backbone], desk: Desk) -> Emitted:
        """Return the binding that the model writes."""
        messages = binding_messages_of(task.query, template, pool, desk.left)
        tiers = [one.tier for one in pool]
        terms = _greedy(desk.terms)
        return await emit_binding(desk.taped(self._model), messages, template, tiers, desk.host, terms, trained=True)


def trained_rectifier(
    model: ChatModel,
    config: Config,
    terms: Callable[[], Terms],
    decided: Callable[[State, Emitted], None],
    otherwise: Rectifier | None = None,
) -> ModelRectifier:
    """Return a small model that was trained to write patches as a rectifier; see `ModelRectifier` for the rest."""
    return ModelRectifier(model, config, repair_messages_of, lambda: _greedy(terms()), decided, otherwise, trained=True)


def _greedy(terms: Terms) -> Terms:
    """Return terms for what was learned, where nobody says a temperature: once, as it would say the same again."""
    return terms if terms.temperature is not None else terms._replace(temperature=TEMPERATURE, tries=1)
