"""Identical calls are made once, across runs; what samples stays apart; the limits of models are shared out."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from masdsl.batch.base import Amount, EngineFault
from masdsl.batch.cache import CachedModel, ReplyCache, Sampled, identity_of
from masdsl.batch.models import BatchModels
from masdsl.config import DEFAULT, ModelConfig
from masdsl.runtime.models.base import ChatModel, Message, ModelError, Price, Reply, Request, places_of
from masdsl.runtime.models.limits import LimitedModel, Limiter, Rates
from tests.harness.virtual_time import run


class Counting:
    """Answers with the number of the call, after a second; or fails."""

    name = "counting"
    price = Price(1.0, 2.0)

    def __init__(self) -> None:
        self.calls = 0
        self.fails: list[Exception] = []

    async def complete(self, request: Request) -> Reply:
        self.calls += 1
        number = self.calls
        await asyncio.sleep(1)
        if self.fails:
            raise self.fails.pop(0)
        return Reply(f"reply {number} \udcff é", 40, 3, "counting-1", "stop")

    async def close(self) -> None:
        pass


def asked(text: str = "hello", *, temperature: float | None = 0.0, seed: int | None = None, **more: object) -> Request:
    request = Request((Message("user", text),), max_tokens=50, temperature=temperature, seed=seed)
    return request._replace(**more)  # type: ignore[arg-type]


def cached(path: Path, model: ChatModel, sampled: Sampled = "seeded", identity: str = "m") -> CachedModel:
    return CachedModel(model, identity, ReplyCache(str(path / "cache.db"), sampled))


def ask(model: ChatModel, *requests: Request) -> list[str]:
    async def all_of_them() -> list[str]:
        return [(await model.complete(request)).text for request in requests]

    return run(all_of_them())


@pytest.mark.parametrize("sampled", ["seeded", "fresh"])
@pytest.mark.parametrize(
    ("other", "same"),
    [
        (asked(agent="b", step="main.y", attempt=1, timeout=3.0), True),
        (asked(seed=7), True),  # without sampling a seed changes nothing
        (asked("other"), False),
        (asked(max_tokens=51), False),
        (asked(temperature=0.1), False),
        (asked(schema={"type": "integer"}), False),
        (asked(grammar="start: /a/"), False),
        (asked(tools=({"name": "f"},)), False),
        (asked(messages=(Message("system", "hello"),)), False),
    ],
)
def test_a_call_is_made_once(tmp_path: Path, sampled: Sampled, other: Request, same: bool) -> None:
    model = Counting()
    first, second, again = ask(cached(tmp_path, model, sampled), asked(), other, asked())
    assert (first == second) is same and first == again
    assert model.calls == (1 if same else 2)


@pytest.mark.parametrize(("sampled", "calls"), [("seeded", 3), ("fresh", 6)])
def test_samples_are_shared_by_their_seed_or_not_at_all(tmp_path: Path, sampled: Sampled, calls: int) -> None:
    model = Counting()
    requests = [asked(temperature=heat, seed=seed) for heat, seed in [(None, 1), (None, 2), (1.0, 1)] * 2]
    texts = ask(cached(tmp_path, model, sampled), *requests)
    assert model.calls == calls and len(set(texts)) == calls


def test_another_process_and_another_batch_find_the_replies(tmp_path: Path) -> None:
    model, other = Counting(), Counting()
    one, two = cached(tmp_path, model), cached(tmp_path, other)
    assert ask(one, asked()) == ask(two, asked()) and other.calls == 0
    assert ask(cached(tmp_path, other, identity="n"), asked()) and other.calls == 1


def test_what_was_saved_is_told_once_and_never_too_much(tmp_path: Path) -> None:
    cache = ReplyCache(str(tmp_path / "c.db"))
    model = CachedModel(Counting(), "m", cache)
    ask(model, asked(), asked(), asked())
    hits, saved = cache.taken()
    assert hits == saved.calls == 2
    assert 0 < saved.tokens <= 2 * (40 + 3)
    assert 0 < saved.picodollars <= 2 * (40 * 1_000_000 + 3 * 2_000_000)
    assert cache.taken() == (0, Amount())


def test_calls_at_the_same_time_are_one(tmp_path: Path) -> None:
    model = Counting()
    around = cached(tmp_path, model)

    async def together() -> set[str]:
        return {reply.text for reply in await asyncio.gather(*(around.complete(asked()) for _ in range(9)))}

    assert len(run(together())) == 1 and model.calls == 1


def test_a_failure_is_nobody_elses(tmp_path: Path) -> None:
    model = Counting()
    model.fails = [ModelError("overloaded", "no")]
    around = cached(tmp_path, model)

    async def together() -> list[Reply | BaseException]:
        calls = [asyncio.create_task(around.complete(asked())) for _ in range(3)]
        await asyncio.sleep(0.5)
        return await asyncio.gather(*calls, return_exceptions=True)

    first, *others = run(together())
    assert isinstance(first, ModelError)
    assert all(isinstance(one, Reply) for one in others)


def test_who_waits_goes_on_when_the_one_who_calls_gives_up(tmp_path: Path) -> None:
    model = Counting()
    around = cached(tmp_path, model)

    async def together() -> Reply:
        first = asyncio.create_task(around.complete(asked()))
        second = asyncio.create_task(around.complete(asked()))
        await asyncio.sleep(0.5)
        first.cancel()
        return await second

    assert run(together()).text.startswith("reply 2")


def test_a_reply_that_is_kept_needs_no_place(tmp_path: Path) -> None:
    limiter = Limiter(Rates(at_once=1))
    around = cached(tmp_path, LimitedModel(Counting(), limiter))

    async def calls() -> None:
        places = places_of(around)
        assert places is not None
        taken = await places.enter(asked())
        assert limiter.under_way == 1
        await around.complete(asked())
        await asyncio.wait_for(places.enter(asked()), 1)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(places.enter(asked("other")), 1)
        taken.leave(True, None)

    run(calls())


def test_a_file_that_is_no_cache_is_refused_with_advice(tmp_path: Path) -> None:
    (tmp_path / "cache.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(EngineFault, match="delete it, or name another file with --cache"):
        cached(tmp_path, Counting())


def test_a_damaged_cache_costs_calls_and_nothing_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = Counting()
    around = cached(tmp_path, model)
    ask(around, asked())
    with sqlite3.connect(tmp_path / "cache.db") as file:
        file.execute("UPDATE reply_v1 SET reply = '{\"text\": '")
    assert ask(around, asked()) == ask(around, asked()) and model.calls == 2
    with sqlite3.connect(tmp_path / "cache.db") as file:
        file.execute("DROP TABLE reply_v1")
    ask(around, asked(), asked())
    assert model.calls == 4
    assert capsys.readouterr().err.count("is not used any more") == 1


def test_a_model_is_told_from_others_by_what_it_is(tmp_path: Path) -> None:
    served = ModelConfig("a", "openai", "m", "http://127.0.0.1:9/v1")
    assert identity_of(served) == identity_of(served._replace(name="b", key_env="K", input_price=1.0, at_once=3))
    assert identity_of(served) != identity_of(served._replace(url="http://127.0.0.1:8/v1"))
    weights = tmp_path / "w.gguf"
    weights.write_bytes(b"1")
    own = ModelConfig("a", "python", factory="m:f", folder="/x", options={"skill": 1})
    assert identity_of(own) == identity_of(own._replace(input_price=1.0, output_price=1.0))
    others = (own._replace(options={"skill": 2}), own._replace(factory="m:g"), own._replace(folder="/y"))
    assert len({identity_of(one) for one in (own, *others)}) == 4
    local = ModelConfig("a", "gguf", path=str(weights))
    before = identity_of(local)
    weights.write_bytes(b"12")
    assert identity_of(local) != before


# ---------------------------------------------------------------- the models of a batch

SERVED = {"m": ModelConfig("m", "openai", "m", "http://127.0.0.1:9/v1", at_once=4)}
CONFIG = DEFAULT._replace(models=SERVED, tiers={**DEFAULT.tiers, "default": "m"})


def test_workers_share_the_limits_of_a_model() -> None:
    model = BatchModels(CONFIG, None, 2).of_run({})("default", tier=True)
    places = places_of(model)

    async def two() -> None:
        assert places is not None
        await places.enter(asked())
        await places.enter(asked())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(places.enter(asked()), 1)

    run(two())


def test_more_workers_than_calls_at_once_are_refused() -> None:
    with pytest.raises(EngineFault, match="`m`; use at most 4 workers"):
        BatchModels(CONFIG, None, 5).of_run({})("default", tier=True)


def test_a_lineup_stands_before_the_configuration_and_all_runs_share_a_model() -> None:
    models = BatchModels(CONFIG._replace(tiers=dict.fromkeys(CONFIG.tiers, "smollm2")), None)
    one, two = models.of_run({"fast": "m"}), models.of_run({"fast": "m"})
    assert one("fast", tier=True) is two("fast", tier=True)
    assert one("fast", tier=True).name == "m"
