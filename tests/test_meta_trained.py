"""Trained meta-agents: asked as in their training, alone or under the decoder, and who gets the generator."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from masdsl.config import DEFAULT, Config, Grant, ModelConfig
from masdsl.diagnostics.base import Findings
from masdsl.meta import shipped, team
from masdsl.meta.emission import Terms
from masdsl.meta.host import Host, shape_of
from masdsl.meta.roles import Desk, ModelGenerator, PoolGenerator
from masdsl.meta.task import Emitted, Task
from masdsl.meta.team import team_for
from masdsl.meta.trained import TEMPERATURE, TrainedGenerator, TrainedImplementer, trained_rectifier, unpinned
from masdsl.runtime import Limits
from masdsl.runtime.models.base import ChatModel, ModelError, Price, Reply, Request

TOOL = 'tool calculator(expression: text(60)) -> int from "calculator"'
REASONS = "Numbers can be counted: several answers, and the most frequent."
LINES = """use std.vote: vote
agent solver(query) -> int temp 0.7 "Work it out."
flow main(query) -> int {
found = 3 of solver(query)
return vote(found)
}
"""


class Lines:
    """A model that keeps to grammars: it gives its reasons, then what it has to say line by line."""

    name = "lines"
    price = Price(0.0, 0.0)
    grammars = "llguidance"

    def __init__(self, said: str) -> None:
        self.said = said
        self.asked: list[Request] = []

    async def complete(self, request: Request) -> Reply:
        self.asked.append(request)
        if not request.grammar:
            return Reply(f"{REASONS}\n\n```mas\nmas 1\nuse std.vo", input_tokens=9, output_tokens=9, finish="length")
        written = request.messages[-1].content.partition("```mas\nmas 1\n")[2].removeprefix(f"{TOOL}\n")
        assert self.said.startswith(written), written
        return Reply(self.said[len(written) :].splitlines(keepends=True)[0], input_tokens=9, output_tokens=9)

    async def close(self) -> None:
        pass


def emitted(model: Lines, calls: int = 6, *, tools: bool = True, granted: tuple[str, ...] = ()) -> Emitted:
    host = Host(DEFAULT._replace(tools={"calculator": Grant("calculator")}))
    task = Task("What is 17 + 25?", "flow main(query) -> int", Limits(calls=calls), granted)
    desk = Desk(host, shape_of(task, host), task.budget, Terms(tries=1), lambda one: one)
    return asyncio.run(TrainedGenerator(model, tools=tools).generate(task, (), desk))


def test_it_goes_on_with_its_own_reply_and_may_use_the_whole_language() -> None:
    model = Lines(LINES)
    done = emitted(model)
    assert (done.how, done.reasoning) == ("grammar", REASONS)
    assert done.text == "mas 1\n" + LINES
    first, *rest = model.asked
    assert [one.role for one in first.messages] == ["system", "user"] and first.max_tokens == 60
    assert first.messages[1].content == "What is 17 + 25?\n-----\nflow main(query) -> int\nat most 6 calls"
    for one in rest:
        assert one.messages[:2] == first.messages and len(one.messages) == 3
        assert one.messages[2].content.startswith(f"{REASONS}\n\n```mas\nmas 1\n")
    assert {one.temperature for one in model.asked} == {TEMPERATURE}


def test_one_that_was_not_trained_with_tools_is_told_of_none() -> None:
    told, silent = Lines(LINES), Lines(LINES)
    assert emitted(told, granted=(TOOL,)).text == f"mas 1\n{TOOL}\n{LINES}"
    done = emitted(silent, tools=False, granted=(TOOL,))
    assert TOOL in told.asked[0].messages[1].content
    assert done.text == "mas 1\n" + LINES and "tool" not in silent.asked[0].messages[1].content


def test_what_does_not_fit_is_refused_and_closed_by_the_decoder() -> None:
    done = emitted(Lines(LINES), calls=2)
    assert done.text == "" and "main" in done.why_none()


# ---------------------------------------------------------------- who gets it


def chosen(config: Config, monkeypatch: pytest.MonkeyPatch, **options: str) -> str:
    monkeypatch.setattr(shipped, "shipped_model", lambda: Lines(""))
    monkeypatch.setattr(team, "model_for", lambda host, tier: Lines(""))
    return type(team_for(Host(config), **options).generator).__name__  # type: ignore[arg-type]


def with_model(entry: ModelConfig) -> Config:
    return DEFAULT._replace(models={entry.name: entry}, tiers=dict.fromkeys(DEFAULT.tiers, entry.name))


def test_models_that_were_trained_are_asked_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    trained = with_model(ModelConfig("mine", "gguf", path="smollm2", adapter="/mine"))
    large = with_model(ModelConfig("large", "openai", model="m", url="http://127.0.0.1:1"))
    assert chosen(DEFAULT, monkeypatch) == TrainedGenerator.__name__
    assert chosen(trained, monkeypatch) == TrainedGenerator.__name__
    assert chosen(large, monkeypatch) == ModelGenerator.__name__
    assert chosen(large, monkeypatch, generator="trained") == TrainedGenerator.__name__
    assert chosen(DEFAULT, monkeypatch, generator="model") == ModelGenerator.__name__
    assert chosen(DEFAULT, monkeypatch, generator="rules") == PoolGenerator.__name__


def test_without_the_weights_rules_take_its_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MASDSL_CACHE", str(tmp_path))
    found = team_for(Host(DEFAULT), implementer="rules", rectifier="rules")
    assert isinstance(found.generator, PoolGenerator) and found.missing


def test_the_shipped_weights_are_those_that_are_known() -> None:
    from hashlib import sha256

    from masdsl.runtime.models.lora import WEIGHTS, adapter_for
    from masdsl.runtime.models.store import where

    weights = Path(shipped.FOLDER) / WEIGHTS
    assert sha256(weights.read_bytes()).hexdigest() == shipped.SHA256
    assert weights.stat().st_size <= 30_000_000
    base = where("smollm2")
    if base is None:
        pytest.skip("the weights are not on this machine (mas models pull smollm2)")
    assert adapter_for(shipped.FOLDER, base, sha256=shipped.SHA256).endswith(".gguf")


def test_a_damaged_adapter_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from masdsl.runtime.models.engine import check_installed
    from masdsl.runtime.models.store import where

    try:
        check_installed()
    except ModelError as error:
        pytest.skip(str(error))
    if where("smollm2") is None:
        pytest.skip("the weights are not on this machine (mas models pull smollm2)")
    monkeypatch.setattr(shipped, "SHA256", "00" * 32)
    from masdsl.runtime.models.base import Message

    asked = Request((Message("user", "?"),), max_tokens=1, timeout=30.0)
    with pytest.raises(ModelError, match="is damaged: its SHA-256 is .*, not 0000"):
        asyncio.run(shipped.shipped_model().complete(asked))


# ---------------------------------------------------------------- bindings and patches

ROLES = """mas 1
agent solver(query) -> text(40) "Solve it: {{ query }}"
agent checker(query, draft: text(40)) -> text(40) "Is it right? {{ draft }}"
flow main(query) -> text {
draft = solver(query)
return checker(query, draft)
}
"""
MODELS = {
    "small": ModelConfig("small", "scripted", input_price=0.1, output_price=0.4),
    "big": ModelConfig("big", "scripted", input_price=2.5, output_price=10.0),
}
TIERED = DEFAULT._replace(models=MODELS, tiers={"fast": "small", "default": "small", "smart": "big"})


class Block:
    """A model that says one thing: as it is, or in the next piece of a grammar."""

    name = "block"
    price = Price(0.0, 0.0)

    def __init__(self, said: str) -> None:
        self.said = said
        self.asked: list[Request] = []

    async def complete(self, request: Request) -> Reply:
        self.asked.append(request)
        return Reply(self.said, input_tokens=9, output_tokens=9)

    async def close(self) -> None:
        pass


class Pieces(Block):
    """The same for a model that keeps to grammars."""

    grammars = "llguidance"

    async def complete(self, request: Request) -> Reply:
        self.asked.append(request)
        opening = request.messages[-1].content
        assert request.messages[-1].role == "assistant" and self.said.startswith(opening), opening
        return Reply(self.said[len(opening) :].splitlines(keepends=True)[0], input_tokens=9, output_tokens=9)


def bound(model: Block) -> Emitted:
    host = Host(TIERED)
    task = Task("Is 91 a prime?", "flow main(query) -> text", Limits(calls=5))
    desk = Desk(host, shape_of(task, host), task.budget, Terms(), lambda one: one)
    program = host.check(ROLES, Findings())
    assert program is not None
    return asyncio.run(TrainedImplementer(model).implement(task, ROLES, host.pool(program), desk))


BINDING = "bind 1\nsolver = smart\nchecker = fast\n"


def test_a_trained_implementer_is_shown_what_it_decides_about_and_no_more() -> None:
    model = Block(f"```bind\n{BINDING}```")
    done = bound(model)
    assert (done.text, done.how) == (BINDING, "text")
    (request,) = model.asked
    assert request.temperature == TEMPERATURE
    first, template, rest = request.messages[1].content.split("\n-----\n")
    assert (first, template) == ("Is 91 a prime?", ROLES.rstrip())
    assert rest.splitlines() == [
        "fast: 0.1 in, 0.4 out",
        "default: 0.1 in, 0.4 out",
        "smart: 2.5 in, 10 out",
        "at most 5 calls",
        "solver, checker",
    ]


def test_a_trained_implementer_goes_on_with_its_own_block_under_the_decoder() -> None:
    model = Pieces(f"```bind\n{BINDING}```")
    done = bound(model)
    assert (done.text, done.how, done.reasoning) == (BINDING, "grammar", "")
    assert all(one.grammar for one in model.asked), "no reasons are asked for"


def test_a_binding_that_is_none_is_told_as_none() -> None:
    done = bound(Block("```bind\nbind 1\nsolver = clever\n```"))
    assert done.text == "" and "clever" in done.why_none()


class Failing(Block):
    """A model that is overloaded."""

    async def complete(self, request: Request) -> Reply:
        raise ModelError("overloaded", "try later")


@pytest.mark.parametrize("kind", [Block, Pieces])
def test_a_trained_rectifier_is_shown_no_word_of_what_was_said_in_the_run(kind: type[Block]) -> None:
    host = Host(TIERED)
    asked: list[str] = []
    model = kind("```patch\npatch 1\nbind checker = smart\n```")

    def lookup(name: str, *, tier: bool = False) -> ChatModel:
        return Block("SECRET") if tier and name == "fast" else Failing("") if name != "smart" else Block("no")

    text = ROLES.replace('text(40) "Solve', 'text(40) on fast "Solve').replace("mas 1", "mas 1\nrectify tries 1")
    program = host.check(text, Findings())
    assert program is not None
    rectifier = trained_rectifier(model, TIERED, Terms, lambda state, said: asked.append(said.text))
    result = asyncio.run(
        host.loaded(program).start(
            "main", {"query": "Is 91 a prime?"}, rectifier=rectifier, budget=Limits(calls=5), models=lookup
        )
    )
    assert (result.value, asked) == ("no", ["patch 1\nbind checker = smart\n"])
    said = model.asked[0].messages[1].content
    assert said.startswith("overloaded at main.return: ") and "SECRET" not in said and "91" not in said
    assert said.endswith("smart: 2.5 in, 10 out\n3 calls left, 1 to come")


def test_nobody_learns_the_digits_of_a_hash() -> None:
    assert unpinned('patch 1 on "3f9a01"\nbind a = fast\n') == unpinned("patch 1\nbind a = fast\n")
    assert unpinned('patch 1 on "3f9a01"') == "patch 1"
