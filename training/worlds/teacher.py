"""A SIMULATED teacher: rules that propose patches of prompts, as replies of a model would. No claim about any real one.

It is a `ChatModel` of kind `python` (`teacher`), the model behind the tier `teacher` of a simulated world with words of
method (`training.worlds.methods`), and answers what `training.data.refinement` asks from the text of the request alone:
it reads the program there, takes one of its agents with a prompt, and puts a sentence before that prompt. The sentence
is, at rates that the configuration has,

* `fits`: a method of the family of the query that is shown last;
* `misleads`: a method of another family;
* `breaks`: no sentence, but a reply that is no patch of prompts: prose alone, an agent that is not there, an attribute
  that may not be changed, or a prompt that states the answer - one as likely as another;
* in all other cases one that changes nothing.

Its reasons are a sentence about what the queries ask for and who works on them. Told what was wrong, or that a patch
made it worse, it draws anew: it learns nothing. Draws are functions of (seed of the world, name, request).
"""

from __future__ import annotations

import json
import re
from hashlib import blake2b
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from masdsl.meta.systems import parsed
from masdsl.runtime.models.base import ModelError, Price, Reply, Request
from training.worlds.chance import pick, uniform
from training.worlds.methods import METHODS, NO_METHOD
from training.worlds.reading import tokens_in
from training.worlds.tasks import FAMILIES, Task, read_tasks

Kind: TypeAlias = Literal["fits", "misleads", "breaks", "neither"]
_PROGRAM: Final = re.compile(r"```mas\n(.*?)```", re.DOTALL)
_ASKS_FOR_PATCH: Final = "```patch"
_ASKED_FOR: Final = {
    "sums": "The query asks for a number to be worked out",
    "choice": "The query asks for one of four options",
    "facts": "The query asks for a year that is written down somewhere",
    "puzzles": "The query asks for a place in an order",
}
_BROKEN: Final = ("prose", "stranger", "attribute", "answer")


class Shown(NamedTuple):
    """An agent with a prompt of its own."""

    name: str
    prompt: str


class SimulatedTeacher:
    """A teacher by the rules above."""

    def __init__(self, name: str, path: str, *, seed: int, fits: float, misleads: float, breaks: float) -> None:
        self._name = name
        self._path = path
        self._seed = seed
        self._rates: tuple[tuple[Kind, float], ...] = (("fits", fits), ("misleads", misleads), ("breaks", breaks))

    @property
    def name(self) -> str:
        """The model's name as the configuration has it; its chance depends on it."""
        return self._name

    @property
    def price(self) -> Price | None:
        """Unknown to it: the configuration says it."""
        return None

    async def complete(self, request: Request) -> Reply:
        """Answer one request by the rules. Raises ModelError (`unavailable`) where the tasks cannot be read."""
        told = "\n\n".join(one.content for one in request.messages)
        try:
            task, _ = read_tasks(self._path).find(request.messages[-1].content)
            if task is None:
                task, _ = read_tasks(self._path).find(told)
        except ValueError as fault:
            raise ModelError("unavailable", str(fault)) from None
        text = self._said(request, told, task)
        return Reply(text, tokens_in(told), tokens_in(text), self._name)

    async def close(self) -> None:
        """Do nothing: it holds nothing."""

    def _said(self, request: Request, told: str, task: Task | None) -> str:
        agents = agents_in(told)
        reasons = _reasons(task, agents)
        if not agents or _ASKS_FOR_PATCH not in request.messages[0].content:
            return reasons
        key = (self._seed, self._name, _key(request))
        kind = self._kind(key)
        agent = pick(agents, "agent", *key)
        if kind == "breaks":
            return _broken(pick(_BROKEN, "broken", *key), agent, task, reasons)
        return f"{reasons}\n{patch_of(agent.name, f'{self._sentence(kind, task, key)} {agent.prompt}')}"

    def _kind(self, key: tuple[object, ...]) -> Kind:
        left = uniform("kind", *key)
        for kind, rate in self._rates:
            left -= rate
            if left < 0:
                return kind
        return "neither"

    def _sentence(self, kind: Kind, task: Task | None, key: tuple[object, ...]) -> str:
        if task is None or kind == "neither":
            return pick(NO_METHOD, "sentence", *key)
        others = [one for one in FAMILIES if one != task.family]
        family = task.family if kind == "fits" else pick(others, "family", *key)
        return pick(METHODS[family], "sentence", *key)


def agents_in(told: str) -> list[Shown]:
    """Return the agents with a prompt of the program that stands first in a text."""
    found = _PROGRAM.search(told)
    tree = parsed(found[1]) if found else None
    items: list[Any] = list(tree.items) if tree is not None else []
    return [Shown(one.name.text, one.prompt.value) for one in items if getattr(one, "prompt", None) is not None]


def _reasons(task: Task | None, agents: list[Shown]) -> str:
    what = _ASKED_FOR[task.family] if task is not None else "The query asks for an answer"
    who = ", then ".join(one.name for one in agents) or "one agent"
    return f"{what}; {who} work on it."


def patch_of(agent: str, prompt: str, what: str = "prompt") -> str:
    """Return the block with a patch that gives an agent another prompt, or another role."""
    return f"```patch\npatch 1\nset {agent}.{what} = {json.dumps(prompt, ensure_ascii=False)}\n```"


def _broken(how: str, agent: Shown, task: Task | None, reasons: str) -> str:
    match how:
        case "stranger":
            return f"{reasons}\n{patch_of(f'{agent.name}_2', agent.prompt)}"
        case "attribute":
            return f"{reasons}\n```patch\npatch 1\nset {agent.name}.temp = 0\n```"
        case "answer" if task is not None:
            return f"{reasons}\n{patch_of(agent.name, f'The answer is {task.answer}. {agent.prompt}')}"
        case _:
            return f"{reasons} I would tell {agent.name} to be more exact."


def _key(request: Request) -> str:
    told = json.dumps([request.messages, request.seed], sort_keys=True, default=dict)
    return blake2b(told.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def teacher(
    name: str, path: str, *, seed: int = 0, fits: float = 0.45, misleads: float = 0.2, breaks: float = 0.2
) -> SimulatedTeacher:
    """Return a simulated teacher: the factory of an entry of kind `python`.

    Args:
        name: the model's name.
        path: the world's `tasks.jsonl`.
        seed: the world's.
        fits: how often it proposes a method of the query's family, from 0 to 1; so are the next two.
        misleads: how often one of another family.
        breaks: how often its reply is no patch of prompts. The three make 1 at most together.

    Raises ValueError for an option that cannot be meant, TypeError for one that there is not.
    """
    rates: dict[str, object] = {"fits": fits, "misleads": misleads, "breaks": breaks}  # of a file: anything
    for option, value in rates.items():
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 1:
            raise ValueError(f"`{option}` is {value!r}; write a rate from 0 to 1")
    if fits + misleads + breaks > 1 + 1e-9:
        raise ValueError(f"`fits`, `misleads` and `breaks` make {fits + misleads + breaks:g}; they make 1 at most")
    if type(seed) is not int:
        raise ValueError(f"`seed` is {seed!r}; write a whole number")
    return SimulatedTeacher(name, path, seed=seed, fits=fits, misleads=misleads, breaks=breaks)
