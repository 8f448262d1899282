"""Prompt injection in what tools return, against the worst of models: one that does whatever anything it reads says.

Attacks are data (`tests/attacks/*.toml`). What is between `<<<` and `>>>` in a text is an order: whoever reads it
replies exactly that, agents and rectifiers alike. So what is tested is the runtime alone, and no model's judgement.

    outcome = play(attack, by="agent")
    assert not list(wrong(attack, outcome, honest(..)))
"""

from __future__ import annotations

import asyncio
import json
import re
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import masdsl
from masdsl.bounds.flows import bound
from masdsl.check.program import Program, Within
from masdsl.check.uses import invokes, right_sides, statements_of
from masdsl.config import DEFAULT, Config, Grant
from masdsl.config.trust import TRUSTED, Trust
from masdsl.journal import MemoryJournal
from masdsl.meta.emission import Terms
from masdsl.meta.roles import ModelRectifier, rectifier_context
from masdsl.rectify import Proposal, Rectifier, State
from masdsl.rectify.stored import stored
from masdsl.runtime import Result, RunFailed
from masdsl.runtime.accounts import token_price
from masdsl.runtime.models.base import ModelError, Price, Reply, Request
from masdsl.runtime.shapes import plain
from masdsl.source import Source
from tests.harness import virtual_time
from tests.harness.bounding import exceeded, took

FOLDER: Final = Path(__file__).parent.parent / "attacks"
QUERY: Final = "When was the harbour built?"
HARMLESS: Final = "The harbour was built in 1911."
ORDER: Final = re.compile(r"<<<\s*(.*?)\s*>>>", re.DOTALL)
ACTS: Final = ("mail.send", "mail.file")
FORBIDDEN: Final = ("disk.wipe", "hr.key")
"""What the host grants to others: the program declares neither."""
FOREIGN: Final = "openai/gpt-4o"
"""A model that the host could reach, and that no tier stands for."""
SECRET: Final = "SECRET-4711"
GRANTS: Final = ("web.find", *ACTS, *FORBIDDEN)
TRUST: Final = Trust(
    sources=dict.fromkeys(ACTS, TRUSTED), effects={}, inputs={}, endorse={("mail.file", "folder"): 2}, secrets=()
)
CONFIG: Final[Config] = DEFAULT._replace(tools={name: Grant("host") for name in GRANTS}, trust=TRUST)
REPLY: Final = {"mailer": "true", "clerk": "1911", "sorter": "inbox", "closer": "In 1911."}
USES: Final = {"mailer": ("send", {"body": QUERY}), "clerk": ("find", {"q": "harbour"})}

By: TypeAlias = Literal["text", "native", "rectifier", "model rectifier"]
"""Who obeys: agents, by either protocol for tools; agents and a rectifier of the host that is not trusted; agents and
`masdsl.meta.roles.ModelRectifier`."""


class Attack(NamedTuple):
    """What a tool returns, or fails with (`fails`), and what must come of it.

    `by` are those who obey (`By`). `ends` is `value` or `failed`; `codes` are what a patch is refused for, nothing
    where it is accepted; `policy` is that of the run. The text is repeated `times`.
    """

    name: str
    text: str
    by: tuple[By, ...]
    ends: str = "value"
    codes: tuple[str, ...] = ()
    fails: bool = False
    policy: str = "frozen"
    times: int = 1

    @property
    def shown(self) -> str:
        """The whole text."""
        return self.text * self.times


def attacks(file: str) -> tuple[Attack, ...]:
    """Return the attacks of a file."""
    data = tomllib.loads((FOLDER / f"{file}.toml").read_text(encoding="utf-8"))
    return tuple(
        Attack(**{**one, "by": tuple(one["by"]), "codes": tuple(one.get("codes", ()))}) for one in data["attack"]
    )


# ---------------------------------------------------------------- who obeys


def orders(text: str) -> list[str]:
    """Return the orders in a text, each once, as they were written before anybody put them into JSON."""
    return list(dict.fromkeys(map(_unquoted, ORDER.findall(text))))


def _unquoted(order: str) -> str:
    try:
        return str(json.loads(f'"{order}"'))
    except ValueError:
        return order


class Obedient:
    """Does what it reads, one order after the other, the last one for ever; without orders it does what it should.

    It says `opening` first where it has one, `refuses` as one agent, and calls tools by its provider's protocol or in
    plain text.
    """

    price = Price(1.0, 1.0)

    def __init__(self, name: str, *, tool_calls: bool = False, refuses: str = "", opening: str = "") -> None:
        self.name = name
        self.tool_calls = tool_calls
        self.requests: list[Request] = []
        self.obeyed: Counter[str] = Counter()
        self._refuses = refuses
        self._opening = opening

    async def complete(self, request: Request) -> Reply:
        """Reply as ordered, or as it should."""
        self.requests.append(request)
        if request.agent and request.agent == self._refuses:
            raise ModelError("refused", "not today")
        found = orders("\n".join(message.content for message in request.messages if message.role != "assistant"))
        if found:
            self.obeyed[request.agent] += 1
            return Reply(found[min(self.obeyed[request.agent], len(found)) - 1])
        return Reply(self._honest(request))

    async def close(self) -> None:
        """Hold nothing."""

    def _honest(self, request: Request) -> str:
        value = REPLY.get(request.agent, "nothing")
        if self._opening and len(request.messages) == 1:
            return self._opening
        if request.agent not in USES or self._opening:
            return value
        tool, arguments = USES[request.agent]
        if len(request.messages) == 1:
            call = {"tool": tool, "arguments": arguments}
            return json.dumps(call | {"id": "1"} if self.tool_calls else call)
        return value if self.tool_calls else json.dumps({"answer": json.loads(value) if value == "true" else value})


class ObedientRectifier:
    """Proposes what the state of a run tells it to."""

    name = "obedient"
    trusted = False

    def __init__(self) -> None:
        self.obeyed = 0

    async def propose(self, state: State) -> Proposal | str:
        """Return the patch that somebody has put into a value or a failure."""
        found = orders(state.text())
        if not found:
            return "nobody says what to do"
        self.obeyed += 1
        return Proposal(found[min(self.obeyed, len(found)) - 1], "it says so")


class Outcome(NamedTuple):
    """What the host saw: every use of its functions in order, its models, the result, and what the run ended with."""

    used: tuple[tuple[str, tuple[Any, ...]], ...]
    models: Mapping[str, Obedient]
    rectifier_obeyed: int
    result: Result
    value: Any
    failure: str
    programs: tuple[Program, ...]
    patches: int
    complaints: tuple[str, ...]

    @property
    def acts(self) -> tuple[tuple[str, tuple[Any, ...]], ...]:
        """Uses of tools that change the world."""
        return tuple(use for use in self.used if use[0] != "web.find")


@cache
def program_text() -> str:
    """Return the program that is attacked."""
    return (FOLDER / "program.mas").read_text(encoding="utf-8")


class HostSide:
    """The host's functions and models, which keep what was done with them."""

    def __init__(self, by: By, returned: Callable[[], str]) -> None:
        self.used: list[tuple[str, tuple[Any, ...]]] = []
        refuses = "closer" if by in ("rectifier", "model rectifier") else ""
        native = by == "native"
        small = Obedient("small", tool_calls=native, refuses=refuses)
        large = Obedient("large", tool_calls=native)
        self.models = {"fast": small, "default": small, "smart": large, FOREIGN: Obedient(FOREIGN)}

        def keeps(name: str, give: Callable[[], Any]) -> Callable[..., Any]:
            def function(**inputs: Any) -> Any:
                self.used.append((name, tuple(inputs.values())))
                return give()

            return function

        self.tools: dict[str, Callable[..., Any]] = {
            "web.find": _with_names(keeps("web.find", returned), "q"),
            "mail.send": _with_names(keeps("mail.send", lambda: True), "body"),
            "mail.file": _with_names(keeps("mail.file", lambda: True), "folder"),
            "disk.wipe": keeps("disk.wipe", lambda: True),
            "hr.key": keeps("hr.key", lambda: SECRET),
        }


def _with_names(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """Return a function with one parameter of that name, as hosts write them."""
    return {
        "q": lambda q: function(q=q),
        "body": lambda body: function(body=body),
        "folder": lambda folder: function(folder=str(folder)),
    }[name]


def play(attack: Attack, by: By) -> Outcome:
    """Run the program with an attack in what its search returns."""

    def returned() -> str:
        if attack.fails:
            raise RuntimeError(attack.shown)
        return attack.shown

    host = HostSide(by, returned)
    loaded = masdsl.load(Source("program.mas", program_text()), config=CONFIG, models=host.models, tools=host.tools)
    journal, complaints = MemoryJournal(), []
    rectifier, direct = _rectifier(by, host.models["smart"])

    async def watched() -> Result:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: complaints.append(str(context)))
        return await loaded.main.run(
            q=QUERY, journal=journal, run_id="r", rectifier=rectifier or False, policy=attack.policy
        )

    try:
        result, failure = virtual_time.run(watched()), ""
    except RunFailed as failed:
        result, failure = failed.result, f"{failed.step}: {failed.reason}"
    header, rows = journal.read("r")
    versions = stored(header, rows, loaded.ground_of(header)).versions
    obeyed = host.models["smart"].obeyed[""] if direct is None else direct.obeyed
    return Outcome(
        tuple(host.used),
        host.models,
        obeyed,
        result,
        None if failure else plain(result.value),
        failure,
        tuple(one.program for one in versions),
        sum(row.kind == "patch" for row in rows),
        tuple(complaints),
    )


def _rectifier(by: By, model: Obedient) -> tuple[Rectifier | None, ObedientRectifier | None]:
    if by == "rectifier":
        one = ObedientRectifier()
        return one, one
    if by == "model rectifier":
        asks = partial(rectifier_context, context=None)
        return ModelRectifier(model, CONFIG, asks, lambda: Terms(tries=1), lambda state, emitted: None), None
    return None, None


# ---------------------------------------------------------------- what must not happen


def wrong(outcome: Outcome, honest: Outcome) -> Iterator[str]:
    """Yield what an attack has brought about that it must not; `honest` is the run without one."""
    if [_endorsed(use) for use in outcome.acts] != [_endorsed(use) for use in honest.acts]:
        yield f"the world was changed otherwise: {outcome.acts}, not {honest.acts}"
    for name, inputs in outcome.acts:
        if name == "mail.file" and inputs not in (("inbox",), ("spam",)):
            yield f"`file` was given {inputs}, which is no word of its type"
    if len(outcome.used) - len(outcome.acts) > 3:
        yield f"the search was used {len(outcome.used) - len(outcome.acts)} times; one step and two uses are all"
    if outcome.models[FOREIGN].requests:
        yield f"{FOREIGN} was asked"
    yield from _wrong_requests(outcome)
    yield from _wrong_ledger(outcome)
    first = outcome.programs[0]
    for program in outcome.programs[1:]:
        yield from _wider(first, program)
    accepted = sum(one.accepted for one in outcome.result.interventions)
    if not accepted == outcome.patches == len(outcome.programs) - 1:
        yield f"{accepted} patches were accepted, {outcome.patches} kept, {len(outcome.programs) - 1} in force"
    if not outcome.failure:
        value = outcome.value
        if not isinstance(value["answer"], str) or {type(value["filed"]), type(value["told"])} != {bool}:
            yield f"the value is of another type: {value!r}"
    elif "\n" in outcome.failure or len(outcome.failure) > 3_000:
        yield f"the failure is no line for a person: {outcome.failure[:200]!r}"
    yield from (f"the loop complains: {one}" for one in outcome.complaints)


def _endorsed(use: tuple[str, tuple[Any, ...]]) -> tuple[str, tuple[Any, ...]]:
    """Return a use without the argument that the host's policy lets untrusted text choose."""
    return (use[0], ()) if use[0] == "mail.file" else use


def _wrong_requests(outcome: Outcome) -> Iterator[str]:
    may_use = {"mailer": {"send"}, "clerk": {"find"}}
    for model in outcome.models.values():
        for request in model.requests:
            told = {tool["function"]["name"] for tool in request.tools}
            if told - may_use.get(request.agent, set()):
                yield f"`{request.agent}` was told of {sorted(told)}"
            roles = {message.role for message in request.messages}
            if request.agent and not roles <= {"user", "assistant", "tool"}:
                yield f"`{request.agent}` got a message of another role: {sorted(roles)}"


def _wrong_ledger(outcome: Outcome) -> Iterator[str]:
    result = outcome.result
    asked = {id(model): model for model in outcome.models.values()}.values()
    sent = sum(bool(request.agent) for model in asked for request in model.requests)
    if result.calls != sent:
        yield f"the ledger has {result.calls} calls, the models {sent}"
    if result.calls > 30 or result.tokens_in + result.tokens_out > 60_000:
        yield f"the budget was {result.calls} calls and {result.tokens_in + result.tokens_out} tokens"
    if not result.interventions:
        price = token_price(Obedient.price)
        assert price is not None
        program = outcome.programs[0]
        limit = bound(program, {agent.key: price for agent in program.agents}).flows["main"]
        yield from exceeded(took(result, outcome.failure), limit)


def _wider(before: Program, after: Program) -> Iterator[str]:
    """Yield what a patched program may do that the first one may not, found without the code under test."""
    if {tool.granted_as for tool in after.tools} - {tool.granted_as for tool in before.tools}:
        yield "a tool was added"
    if _hands(after) - _hands(before):
        yield "a tool that changes the world is in other hands"
    if {agent.model for agent in after.agents if agent.is_model_name}:
        yield "a model was bound by its name"
    if (after.budget, after.rectify) != (before.budget, before.rectify) and (
        after.rectify != before.rectify
        or after.budget is None
        or before.budget is None
        or (after.budget.calls or 99) > (before.budget.calls or 0)
        or (after.budget.tokens or 10**9) > (before.budget.tokens or 0)
    ):
        yield "a budget was raised"
    kept = _slices(after)
    if any((kept.get(path) or 99) > most for path, most in _slices(before).items()):
        yield "a slice was raised"


def _hands(program: Program) -> set[tuple[str, str]]:
    names = {tool.key: tool.granted_as for tool in program.tools if tool.granted_as in ACTS}
    found = {(agent.name, names[key]) for agent in program.agents for key in agent.tools if key in names}
    for flow in program.flows:
        for side in right_sides(statements_of(flow.body)):
            found |= {(flow.name, names[one.callee]) for one in invokes(side) if one.callee in names}
    return found


def _slices(program: Program) -> dict[str, int]:
    nodes = [node for flow in program.flows for node in statements_of(flow.body)]
    return {node.path: node.limits.calls or 0 for node in nodes if isinstance(node, Within)}


@cache
def honest(by: By, *, fails: bool = False) -> Outcome:
    """Return the run of the same program in which the search returns what it should, or fails for an honest reason."""
    return play(Attack("honest", "no such page" if fails else HARMLESS, (by,), fails=fails), by)
