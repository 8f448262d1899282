"""Models whose own tokenizer the configuration names: bounds and ledger count alike, and lower."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from masdsl import pipeline
from masdsl.bounds.flows import bound
from masdsl.bounds.rates import counts_of, prices_in, rates_of
from masdsl.config import load_config
from masdsl.diagnostics.base import Findings
from masdsl.diagnostics.render import render_short
from masdsl.loaded import LoadedProgram
from masdsl.runtime.models.base import ModelError, Reply, Request
from masdsl.runtime.models.counted import CountedModel

PROGRAM = """mas 1
BUDGET
type Review { ok: bool, issues: text(20)[3] }

tool look(word: text(10)) -> text(20) from "look"

agent plain(topic: text(20)) -> text(30) role "You are a careful writer of short encyclopaedic articles."
  "Write one sentence, in plain English, about the following topic: {{ topic }}"

agent critic(topic: text(20)) -> Review retry 1
  "Read the topic carefully and say what is wrong with it. {% if topic %}Topic: {{ topic }}{% endif %}"

agent user(topic: text(20)) -> text(20) tools [look] steps 2
  "Find out about the topic with the tools that you have."

flow main(topic: text(20)) -> text(30) {
  a = plain(topic)
  r = critic(a)
  b = user(a) else a
  return b
}
"""
CONFIG = """
[tiers]
default = "mine"
[models.mine]
kind = "openai"
url = "http://127.0.0.1:9/v1"
model = "mine"
input_price = 1
output_price = 2
tool_calls = false
{tokenizer}
[tools]
look = "math:sqrt"
"""


def tokenizer(path: Path) -> None:
    """Write a tokenizer that makes a token of every word and every sign."""
    words = {"[UNK]": 0}
    path.write_text(
        json.dumps(
            {
                "version": "1.0",
                "truncation": None,
                "padding": None,
                "added_tokens": [],
                "normalizer": None,
                "pre_tokenizer": {"type": "Whitespace"},
                "post_processor": None,
                "decoder": None,
                "model": {"type": "WordLevel", "vocab": words, "unk_token": "[UNK]"},
            }
        )
    )


def checked(folder: Path, *, own: bool, budget: str = "") -> tuple[pipeline.Checked, Findings]:
    (folder / "mas.toml").write_text(CONFIG.format(tokenizer='tokenizer = "tokenizer.json"' if own else ""))
    (folder / "a.mas").write_text(PROGRAM.replace("BUDGET", budget))
    findings = Findings()
    return pipeline.check_file(str(folder / "a.mas"), findings), findings


class Adversary:
    """Answers as long as it may, badly at first, and with a tool wherever there is one."""

    name = "mine"
    price = None

    def __init__(self) -> None:
        self.requests: list[Request] = []

    async def complete(self, request: Request) -> Reply:
        self.requests.append(request)
        text = "9 " * 400
        if request.agent == "user" and len(request.messages) < 5:
            text = '{"tool": "look", "arguments": {"word": "x"}}'
        elif request.agent == "critic" and request.attempt:
            text = '{"ok": true, "issues": ["a", "b"]}'
        elif request.agent == "user":
            text = '{"answer": "fine"}'
        return Reply(text, 10**6, 10**6)

    async def close(self) -> None:
        pass


def ran(one: pipeline.Checked, *, own: bool) -> tuple[Any, Adversary]:
    assert one.program is not None
    adversary = Adversary()
    counts = counts_of(rates_of(one.program, one.config))
    model = CountedModel(adversary, counts["plain"]) if own else adversary
    tools = {"look": lambda word: "9 " * 100}
    loaded = LoadedProgram(one.program, one.config, model, tools)
    result = asyncio.run(loaded.compiled.run("main", {"topic": "7 " * 100}, models=model, tools=tools))
    return result, adversary


def test_bounds_with_the_own_tokenizer_are_lower_and_hold(tmp_path: Path) -> None:
    tokenizer(tmp_path / "tokenizer.json")
    by_rule, _ = checked(tmp_path, own=False)
    with_own, findings = checked(tmp_path, own=True)
    assert findings.ok and by_rule.program is not None and with_own.program is not None
    rates = rates_of(with_own.program, with_own.config)
    lower = bound(with_own.program, prices_in(rates), counts_of(rates)).flows["main"]
    higher = bound(with_own.program, prices_in(rates)).flows["main"]
    assert lower.most.tokens_in < 0.95 * higher.most.tokens_in
    assert lower.most._replace(tokens_in=0, tokens=0, usd=0) == higher.most._replace(tokens_in=0, tokens=0, usd=0)
    for own, limits in ((True, lower), (False, higher)):
        result, adversary = ran(with_own, own=own)
        assert result.calls == len(adversary.requests) == limits.most.calls
        assert result.tokens_in <= limits.most.tokens_in
        assert result.tokens_out == limits.most.tokens_out
    assert ran(with_own, own=True)[0].tokens_in < ran(with_own, own=False)[0].tokens_in


def test_a_budget_that_only_fits_by_the_own_tokenizer(tmp_path: Path) -> None:
    tokenizer(tmp_path / "tokenizer.json")
    one, _ = checked(tmp_path, own=True)
    report = pipeline.cost_report(one)
    assert report is not None
    assert {agent["counted_by"] for agent in report["agents"]} == {"its tokenizer"}
    most = next(flow for flow in report["flows"] if flow["flow"] == "main")["most"]["tokens"]
    assert "MAS402" not in render_short(checked(tmp_path, own=True, budget=f"budget tokens {most}")[1].sorted())
    assert "MAS402" in render_short(checked(tmp_path, own=True, budget=f"budget tokens {most - 1}")[1].sorted())
    assert "MAS402" in render_short(checked(tmp_path, own=False, budget=f"budget tokens {most}")[1].sorted())


@pytest.mark.parametrize("content", [None, "", "{}", "\x00\xff"])
def test_a_tokenizer_that_cannot_be_used_is_reported_where_tokens_count(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "tokenizer.json").write_text(content)
    assert checked(tmp_path, own=True)[1].ok  # nothing limits tokens
    found = render_short(checked(tmp_path, own=True, budget="budget usd 5")[1].sorted())
    assert "MAS509 the tokenizer of the model `mine` cannot be used" in found
    from masdsl.runtime.models.registry import resolver

    with pytest.raises(ModelError, match="the tokenizer of the model `mine` cannot be used"):
        resolver(load_config(str(tmp_path), Findings()))("default", tier=True)
