"""The scripted model: which reply it gives, and what is wrong with files that it cannot use."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from masdsl.runtime.models.base import Message, ModelError, Price, Reply, Request
from masdsl.runtime.models.scripted import Fails, Says, ScriptedModel, ScriptError, load_script


def ask(model: ScriptedModel, agent: str = "a", step: str = "main.x", text: str = "hi") -> str:
    return asyncio.run(model.complete(Request((Message("user", text),), agent=agent, step=step))).text


def test_one_after_another_and_the_last_repeats() -> None:
    model = ScriptedModel({"a": ["one", "two"]})
    assert [ask(model) for _ in range(4)] == ["one", "two", "two", "two"]
    assert [request.agent for request in model.requests] == ["a"] * 4


def test_the_most_exact_key_counts() -> None:
    model = ScriptedModel({"*": "other", "a": "agent", "main.x": "step", "main.x[1]": "index", "main.x[0,2]": "two"})
    cases = [("a", "main.x[1]"), ("a", "main.x[0,2]"), ("a", "main.x[0]"), ("a", "main.x"), ("a", "main.y"), ("b", "y")]
    assert [ask(model, *case) for case in cases] == ["index", "two", "step", "step", "agent", "other"]
    assert model.unused() == ()


def test_each_key_has_its_own_queue() -> None:
    model = ScriptedModel({"a": ["a1", "a2"], "b": ["b1", "b2"], "c": "c"})
    assert [ask(model, agent) for agent in "abab"] == ["a1", "b1", "a2", "b2"]
    assert model.unused() == ("c",)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "plain"),
        (5, "5"),
        (None, "null"),
        (True, "true"),
        ({"ok": True, "é": []}, '{"ok": true, "é": []}'),
        (Reply("whole"), "whole"),
        (Says([1, 2]), "[1, 2]"),
        (lambda request: request.messages[-1].content.upper(), "HI"),
        (lambda _: Says({"n": 1}), '{"n": 1}'),
    ],
)
def test_values(value: Any, text: str) -> None:
    assert ask(ScriptedModel({"a": value})) == text
    assert ask(ScriptedModel({"a": [value]})) == text


def test_records_and_enums_of_a_program() -> None:
    from masdsl.runtime.shapes import Enum, Record

    class Kind(Enum):
        math = "math"

    class Review(Record):
        ok: bool
        kind: Kind

    assert ask(ScriptedModel({"a": Kind.math})) == "math"
    assert json.loads(ask(ScriptedModel({"a": Review(ok=True, kind=Kind.math)}))) == {"ok": True, "kind": "math"}


def test_a_function_for_everything() -> None:
    model = ScriptedModel(lambda request: f"{request.agent}@{request.step}", name="f", price=None)
    assert ask(model, "b", "main.q") == "b@main.q"
    assert (model.name, model.price) == ("f", None)


def test_failures() -> None:
    model = ScriptedModel(
        {"a": [Fails("rate_limit", "slow", retry_after=2.0), ModelError("auth", "no", billed=True), 1]}
    )
    with pytest.raises(ModelError) as failed:
        ask(model)
    assert (failed.value.kind, failed.value.detail, failed.value.retry_after) == ("rate_limit", "slow", 2.0)
    with pytest.raises(ModelError, match="auth: no"):
        ask(model)
    assert ask(model) == "1"


def test_what_the_script_does_not_foresee() -> None:
    with pytest.raises(
        ModelError, match="not_found: the script has no reply for the agent `b` at step `main.y`: add one"
    ):
        ask(ScriptedModel({"a": "x", "empty": []}), "b", "main.y")


def test_latency_is_the_loops() -> None:
    model = ScriptedModel({"a": Says("late", after=0.2), "b": Fails("timeout", after=0.1), "c": "now"})
    order: list[str] = []

    async def one(agent: str) -> None:
        try:
            await model.complete(Request((Message("user", "hi"),), agent=agent))
        except ModelError:
            pass
        order.append(agent)

    async def all_at_once() -> None:
        await asyncio.gather(*(one(agent) for agent in "abc"))

    asyncio.run(all_at_once())
    assert order == ["c", "b", "a"]


def test_counts_and_name() -> None:
    model = ScriptedModel({"a": Says("x", input_tokens=3, output_tokens=4)}, name="m", price=Price(1.0, 2.0))
    reply = asyncio.run(model.complete(Request((Message("user", "hi"),), agent="a")))
    assert reply == Reply("x", 3, 4, "m") and model.price == Price(1.0, 2.0)


# ---------------------------------------------------------------- files

TOML = """
[replies]
coder = ["one", { "$fails" = "timeout", "$detail" = "too slow", "$retry_after" = 1 }, "three"]
"main.refine.r[1]" = { ok = true, issues = [] }
names = [["a", "b"]]
judge = { "$reply" = { verdict = "yes" }, "$after" = 0.01 }
"""


def test_a_file_says_the_same(tmp_path: Path) -> None:
    import tomllib

    (tmp_path / "x.toml").write_text(TOML, encoding="utf-8")
    (tmp_path / "x.json").write_text(json.dumps(tomllib.loads(TOML)), encoding="utf-8-sig")
    for file in ("x.toml", "x.json"):
        model = load_script(str(tmp_path / file), name="s", price=Price(1.0, 1.0))
        assert (model.name, model.price) == ("s", Price(1.0, 1.0))
        assert ask(model, "coder") == "one"
        with pytest.raises(ModelError, match="timeout: too slow") as failed:
            ask(model, "coder")
        assert failed.value.retry_after == 1.0
        assert ask(model, "coder") == ask(model, "coder") == "three"
        assert ask(model, "x", "main.refine.r[1]") == '{"ok": true, "issues": []}'
        assert ask(model, "names") == '["a", "b"]'
        assert ask(model, "judge") == '{"verdict": "yes"}'


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("x.toml", "replies = [", "is no script: "),
        ("x.toml", "", "it has no table `replies`"),
        ("x.toml", "replies = 3", "it has no table `replies`"),
        ("x.toml", "[replies]\n[reply]", "it has a key `reply`; only `replies` is known"),
        ("x.toml", '[replies]\na = { "$fails" = "boredom" }', "`a` fails with 'boredom'; write one of timeout, "),
        ("x.toml", '[replies]\na = { "$says" = "x" }', "special reply with $says; write `$reply`"),
        ("x.toml", '[replies]\na = { "$after" = 1 }', "special reply with $after; write `$reply`"),
        ("x.toml", '[replies]\na = { "$reply" = 1, x = 2 }', "special reply with x; write"),
        ("x.toml", '[replies]\na = { "$reply" = 1, "$after" = "soon" }', "has 'soon' as `$after`; write a number"),
        ("x.toml", '[replies]\na = { "$reply" = 1, "$after" = inf }', "has inf as `$after`"),
        ("x.toml", '[replies]\na = { "$fails" = "timeout", "$retry_after" = -1 }', "has -1 as `$retry_after`"),
        ("x.json", "[" * 100_000, "is no script: "),
        ("x.json", "[]", "it has no table `replies`"),
    ],
)
def test_files_that_cannot_be_used(tmp_path: Path, file: str, text: str, words: str) -> None:
    (tmp_path / file).write_text(text, encoding="utf-8")
    with pytest.raises(ScriptError) as failed:
        load_script(str(tmp_path / file))
    assert words in str(failed.value) and str(tmp_path / file) in str(failed.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ScriptError, match="cannot be read: no such file"):
        load_script(str(tmp_path / "none.toml"))
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ScriptError, match="is no script: 'utf-8' codec"):
        load_script(str(tmp_path / "bytes.toml"))
