# ruff: noqa: E501 programs on one line each
"""Programs with a model and tools that are right, but where a schedule says otherwise.

A scene says what its undisturbed run gives, and what a run gives in which a step fails for good.
"""

from __future__ import annotations

import inspect
import json
from collections import Counter
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple, TypeAlias

from masdsl import sizes
from masdsl.formats import schema_tokens
from masdsl.runtime import Tool
from masdsl.runtime.accounts import request_tokens
from masdsl.runtime.models.base import ModelError, Reply, Request
from masdsl.runtime.shapes import type_of
from tests.harness.adversary import may_use_tools
from tests.harness.bounding import PRICES, Case, prepared
from tests.harness.faults import Context, Kind, billed

HEAD = """mas 1
type Kind = math | code | other
type Review { ok: bool, score: int, kind: Kind, notes: text(30)[4] }
tool look(q: text(40)) -> text(60) from "look" timeout 5
tool dig(q: text(40)) -> text(60) else "no luck" from "dig" timeout 5
tool send(q: text(60)) -> int from "send" effect timeout 5
agent draft(q: text(60)) -> text(60) retry 2 "Draft. {{ q }}"
agent once(q: text(60)) -> text(60) "Once. {{ q }}"
agent kept(q: text(60)) -> text(60) else "kept" retry 1 "Kept. {{ q }}"
agent bad(q: text(60)) -> text(60) retry 1 "Bad. {{ q }}"
agent judge(q: text(60)) -> Kind retry 1 "Judge. {{ q }}"
agent review(q: text(60)) -> Review retry 2 timeout 100 "Review. {{ q }}"
agent rate(q: text(60)) -> int retry 1 "Rate. {{ q }}"
agent parts(q: text(60)) -> text(30)[3] retry 1 "Parts. {{ q }}"
agent user(q: text(60)) -> text(60) retry 1 tools [look] steps 2 "Use. {{ q }}"
agent sender(q: text(60)) -> int retry 1 tools [look, send] steps 2 "Send. {{ q }}"
flow inner(x: text(60)) -> text(60) else "inner" { a = draft(x) b = once(a) return b }
"""

RIGHT: Mapping[str, Any] = {
    "draft": "a draft",
    "once": "once more",
    "kept": "a keeper",
    "judge": "code",
    "review": {"ok": True, "score": 3, "kind": "math", "notes": ["n1", "n2"]},
    "rate": 7,
    "parts": ["p1", "p2", "p3"],
    "user": "found",
    "sender": 9,
    "bad": None,
}
"""What the agents reply; `bad` fails."""
TOOLS: Mapping[str, Any] = {"look": "seen", "dig": "treasure", "send": 4}
USED: Mapping[str, str] = {"user": "look", "sender": "send"}
"""Which tool an agent uses before it answers."""


class Lost(NamedTuple):
    """The run gives no value, because the step of that address gave none."""

    step: str


class Scene(NamedTuple):
    """A flow of the head's agents and the value of its undisturbed run.

    `fails` says by the path of a step what the run gives where that step fails for good; where it says nothing, the run
    is lost at that step. `right` are replies by address other than those of the agents. A `tight` scene has a budget in
    which another attempt may find no room.
    """

    name: str
    body: str
    value: Any
    fails: Mapping[str, Any] = {}
    right: Mapping[str, Any] = {}
    tight: bool = False


SCENES = (
    Scene("sequence", "a = draft(x) r = review(a) k = judge(a) n = rate(a) return join([a, text(k), text(n), text(r.ok)], x)", "a draftxcodex7xtrue"),
    Scene("parallel", "a = draft(x) b = once(x) l = parts(x) d = 2 of draft(x) e = each y in l: once(y) return join(e, b)", "once moreonce moreonce moreonce moreonce more"),
    Scene("loop", "loop 3 { x = draft(x) k = judge(x) until k == Kind.other } return x", "a draft", right={"main.loop.k[1]": "other"}),
    Scene("fallback", 'a = once(x) else draft(x) b = kept(a) return a + b', "once morea keeper", {"main.a": "a drafta keeper", "main.b": "once morekept"}),
    Scene("needed fallback", 'a = bad(x) else draft(x) else "none" b = bad(x) else once(x) return a + b', "a draftonce more", {"main.a": "a draftonce more", "main.a.else": "noneonce more", "main.b": "a draftonce more"}),
    Scene("flow", "a = inner(x) b = once(a) return a + b", "once moreonce more", {"main.a.a": "inneronce more", "main.a.b": "inneronce more"}),
    Scene("tool agent", "a = user(x) b = once(a) return a + b", "foundonce more"),
    Scene("effects", "a = draft(x) n = send(a) m = look(a) d = dig(a) s = sender(d) return join([text(n), m, d, text(s)], a)", "4a draftseena drafttreasurea draft9", {"main.d": "4a draftseena draftno lucka draft9"}),
    Scene("slices", 'within calls 20 tokens 90k seconds 9000 { a = draft(x) within calls 9 usd 1 { b = once(a) c = draft(b) else "c" } } return a + c', "a drafta draft", {"main.within.within.c": "a draftc"}),
    Scene("tight calls", "within calls 2 { a = draft(x) else x b = draft(a) else x } return b", "a draft", tight=True),
    Scene("tight tokens", "within tokens 600 { a = 3 of draft(x) else x } return first(a)", "a draft", tight=True),
)  # fmt: skip
BY_NAME = {scene.name: scene for scene in SCENES}


@cache
def case_of(scene_name: str) -> Case:
    """Return the compiled program of a scene."""
    return prepared(f"{HEAD}flow main(x: text(60)) -> text(400) {{ {BY_NAME[scene_name].body} }}\n")


Schedule: TypeAlias = Callable[[str, int], "Kind | None"]
"""Gets who is called, the address of a step of an agent or the name of a tool, and how often it was before."""


class Call(NamedTuple):
    """A call that was made: who, how often before, in which context, and what it counts by the table."""

    who: str
    number: int
    context: Context
    tokens_in: int
    tokens_out: int


def nothing(who: str, number: int) -> None:
    """The schedule without a fault."""


class Troubled:
    """A model, and tools, that are right but where the schedule says otherwise."""

    name = "troubled"
    price = PRICES["fast"]

    def __init__(self, scene: Scene, schedule: Schedule = nothing) -> None:
        self.scene = scene
        self.schedule = schedule
        self.agents = case_of(scene.name).compiled.agents
        self.calls: list[Call] = []
        self.uses: list[Call] = []
        self._asked: Counter[str] = Counter()

    async def complete(self, request: Request) -> Reply:
        """Reply rightly, or go wrong."""
        number = self._asked[request.step]
        self._asked[request.step] += 1
        agent = self.agents[request.agent]
        context = Context(request, self._right(request), type_of(agent.returns), agent.steps > 0)
        kind = self.schedule(request.step, number)
        if kind is not None and not kind.fits(context):
            kind = None
        reserved = request_tokens(request.messages, schema_tokens(request.schema))
        said = context.text
        if kind is None and request.agent == "bad":
            kind = _DENIED
        if kind is None:
            kind = _FINE
        at = len(self.calls)
        self.calls.append(Call(request.step, number, context, *billed(kind, request, reserved, said)))
        if kind is _FINE:
            return Reply(said, reserved, min(sizes.counted_tokens(said), request.max_tokens), self.name)
        assert kind.answer is not None
        reply: Reply = await kind.answer(context)
        text: Any = reply.text  # some faults give what is no text
        if isinstance(text, str):
            tokens_in, tokens_out = billed(kind, request, reserved, text)
            self.calls[at] = self.calls[at]._replace(tokens_in=tokens_in, tokens_out=tokens_out)
        return reply

    async def close(self) -> None:
        """Nothing is held."""

    @property
    def tools(self) -> dict[str, Callable[..., Any]]:
        """The host's functions."""
        return {name: self._function(tool) for name, tool in case_of(self.scene.name).compiled.tools.items()}

    def _right(self, request: Request) -> str:
        value = self.scene.right.get(request.step, RIGHT[request.agent])
        if request.agent in USED:
            has_used = any(
                "returned:" in message.content or "failed:" in message.content for message in request.messages
            )
            if may_use_tools(request) and not has_used:
                return json.dumps({"tool": USED[request.agent], "arguments": {"q": "this"}})
            return json.dumps({"answer": value})
        return value if isinstance(value, str) else json.dumps(value)

    def _function(self, tool: Tool[Any]) -> Callable[..., Any]:
        name, value = tool.name, TOOLS[tool.name]
        context = Context(None, "", type_of(tool.returns), False)

        def begin() -> Kind | None:
            number = self._asked[name]
            self._asked[name] += 1
            self.uses.append(Call(name, number, context, 0, 0))
            kind = self.schedule(name, number)
            return kind if kind is not None and kind.fits(context) else None

        async def in_loop(**inputs: Any) -> Any:
            kind = begin()
            return value if kind is None or kind.call is None else await kind.call(value, inputs)

        def in_thread(**inputs: Any) -> Any:
            kind = begin()
            return value if kind is None or kind.call is None else kind.call(value, inputs)

        planned = (self.schedule(name, number) for number in range(4))
        blocking = any(one is not None and not inspect.iscoroutinefunction(one.call) for one in planned)
        return in_thread if blocking else in_loop


async def _denied(_: Context) -> Reply:
    raise ModelError("auth", "never")


_FINE = Kind("fine", "value", "counts")
_DENIED = Kind("denied", "ended", "nothing", _denied)
