"""The trained generator: asked as in its training, with the whole language under the decoder, and who gets it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from masdsl.config import DEFAULT, Config, Grant, ModelConfig
from masdsl.meta import shipped, team
from masdsl.meta.emission import Terms
from masdsl.meta.host import Host, shape_of
from masdsl.meta.roles import Desk, ModelGenerator, PoolGenerator
from masdsl.meta.task import Emitted, Task
from masdsl.meta.team import team_for
from masdsl.meta.trained import TEMPERATURE, TrainedGenerator
from masdsl.runtime import Limits
from masdsl.runtime.models.base import ModelError, Price, Reply, Request

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
