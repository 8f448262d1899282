"""The HTTP service: what each path answers, whose runs are whose, what a key may spend."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="needs the extra masdsl[serve]")

import httpx
from hypothesis import given, settings
from hypothesis import strategies as st

from masdsl.runtime.models.scripted import Fails, ScriptedModel
from masdsl.serve.app import Wire
from masdsl.serve.endpoints import Bound
from masdsl.serve.keys import Allowance, Key
from masdsl.serve.ledger import Ledger, LedgerError, OverBudget, Usage
from masdsl.serve.service import Service
from tests.harness.serving import ANSWER, CONFIGURED, REPLIES, SHOP, TICKET, Gate, bearer, key_file, service, serving

PROBLEM = "application/problem+json"


def problem(answer: httpx.Response, status: int, kind: str) -> dict[str, Any]:
    """Return the problem that an answer is."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == PROBLEM
    told = answer.json()
    assert told["type"] == f"urn:masdsl:problem:{kind}", told
    assert told["status"] == status and told["detail"] and told["next"]
    assert "Traceback" not in answer.text
    return dict(told)


def events(text: str) -> list[tuple[str, str, Any]]:
    """Return the events of a stream: kind, id, data."""
    found = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if "event" in fields:
            found.append((fields["event"], fields["id"], json.loads(fields["data"])))
    return found


# ---------------------------------------------------------------- values and faults


def test_a_flow_answers_with_its_typed_value(tmp_path: Path) -> None:
    async def test(client: httpx.AsyncClient, own: Service) -> None:
        answer = await client.post("/v1/shop/answer", json={"ticket": TICKET})
        assert answer.status_code == 200, answer.text
        run = answer.json()
        assert run["value"] == ANSWER and run["status"] == "ended" and run["usage"]["calls"] == 1
        again = await client.get(answer.headers["location"])
        assert again.json() == run
        assert (await client.post("/v1/shop/nothing")).json()["value"] == 7

    serving(tmp_path, test)


WRONG: list[tuple[Any, str]] = [
    ({}, "/ticket"),
    ({"ticket": TICKET | {"title": "x" * 121}}, "/ticket/title"),
    ({"ticket": TICKET | {"haste": "never"}}, "/ticket/haste"),
    ({"ticket": TICKET | {"tags": ["a", "b", "c", "d"]}}, "/ticket/tags"),
    ({"ticket": TICKET | {"tags": ["a", 1]}}, "/ticket/tags/1"),
    ({"ticket": TICKET | {"weight": "1"}}, "/ticket/weight"),
    ({"ticket": TICKET | {"weight": True}}, "/ticket/weight"),
    ({"ticket": TICKET | {"count": 2**63}}, "/ticket/count"),
    ({"ticket": TICKET | {"count": 1.5}}, "/ticket/count"),
    ({"ticket": TICKET | {"a/b~c": 1}}, "/ticket/a~1b~0c"),
    ({"ticket": {name: value for name, value in TICKET.items() if name != "count"}}, "/ticket/count"),
    ({"ticket": TICKET, "limit": None}, "/limit"),
    ({"ticket": TICKET, "limits": 3}, "/limits"),
    ([], ""),
]
NO_JSON = ["{", "[" * 100_000, '{"word": NaN}', '{"word": "a", "word": "b"}', '{"n": ' + "9" * 5000 + "}", "\ufeff{}"]


def test_inputs_that_do_not_fit_are_refused_at_their_place(tmp_path: Path) -> None:
    model = ScriptedModel(REPLIES)

    async def test(client: httpx.AsyncClient, own: Service) -> None:
        for inputs, pointer in WRONG:
            told = problem(await client.post("/v1/shop/answer", json=inputs), 422, "wrong-inputs")
            assert [fault["pointer"] for fault in told["faults"]] == [pointer]
        for body in NO_JSON:
            headers = {"Content-Type": "application/json"}
            problem(await client.post("/v1/shop/slow", content=body, headers=headers), 400, "malformed-request")

    serving(tmp_path, test, model)
    assert model.requests == []


def test_what_is_too_large_or_of_another_type_or_nowhere_is_refused(tmp_path: Path) -> None:
    async def test(client: httpx.AsyncClient, own: Service) -> None:
        large = {"word": "x" * 1000}
        problem(await client.post("/v1/shop/slow", json=large), 413, "too-large")
        problem(
            await client.post("/v1/shop/slow", content="{}", headers={"Content-Type": "text/plain"}), 415, "not-json"
        )
        problem(await client.get("/v1/shop/slow"), 405, "method-not-allowed")
        problem(await client.post("/v1/shop/other"), 404, "not-found")
        problem(await client.get("/docs"), 404, "not-found")
        problem(await client.get("/v1/runs/nobody"), 404, "not-found")
        problem(
            await client.post("/v1/shop/slow", headers=[(b"Idempotency-Key", "é".encode())]), 400, "malformed-request"
        )

    serving(tmp_path, test, wire=Wire(most_bytes=500))


def test_a_run_that_fails_says_where_and_can_be_resumed(tmp_path: Path) -> None:
    model = ScriptedModel({"echo": ["one", Fails("bad_request", "no such model"), "two"]})

    async def test(client: httpx.AsyncClient, own: Service) -> None:
        headers = {"Idempotency-Key": "k"}
        failed = problem(await client.post("/v1/shop/slow", headers=headers), 502, "run-failed")
        assert failed["step"] == "slow.b" and failed["usage"]["calls"] == 2
        again = problem(await client.post("/v1/shop/slow", headers=headers), 502, "run-failed")
        assert again == failed and len(model.requests) == 2
        status = (await client.get(f"/v1/runs/{failed['run']}")).json()
        assert status["status"] == "failed" and status["failure"]["step"] == "slow.b"
        done = await client.post(f"/v1/runs/{failed['run']}/resume")
        assert done.json()["value"] == ["one", "two", "two", "two"]
        assert len(model.requests) == 5  # the first was not asked again
        assert (await client.post("/v1/shop/slow", headers=headers)).json() == done.json()
        assert (await client.post(f"/v1/runs/{failed['run']}/resume")).json() == done.json()

    serving(tmp_path, test, model)


def test_a_fault_of_the_service_shows_nothing_of_itself(tmp_path: Path) -> None:
    def broken(request: Any) -> str:
        raise RuntimeError("secret-detail")

    async def test(client: httpx.AsyncClient, own: Service) -> None:
        def wrong(*args: Any, **named: Any) -> Any:
            raise RuntimeError("secret-detail")

        own.begin = wrong  # type: ignore[method-assign]
        answer = await client.post("/v1/shop/slow")
        problem(answer, 500, "internal")
        assert "secret-detail" not in answer.text

    serving(tmp_path, test, ScriptedModel(broken))


def test_a_run_over_its_own_budget_says_so(tmp_path: Path) -> None:
    (tmp_path / "mas.toml").write_text("[budget]\ncalls = 1\n")

    async def test(client: httpx.AsyncClient, own: Service) -> None:
        assert own.served.endpoints["shop/answer"].bound.calls == 1
        told = problem(await client.post("/v1/shop/answer", json={"ticket": TICKET}), 500, "run-out-of-budget")
        assert told["step"] == "answer.found" and told["usage"]["calls"] == 1

    text = SHOP.partition("## Say a word")[0]
    serving(tmp_path, test, ScriptedModel({"triage": ["nonsense", ANSWER]}), text=text)


def test_a_ledger_that_is_lost_or_cannot_be_used_costs_no_wrong_answer(tmp_path: Path) -> None:
    headers = {"Idempotency-Key": "k"}

    async def first(client: httpx.AsyncClient, own: Service) -> None:
        assert (await client.post("/v1/shop/slow", headers=headers)).status_code == 200

    async def second(client: httpx.AsyncClient, own: Service) -> None:
        for _ in range(2):
            problem(await client.post("/v1/shop/slow", headers=headers, json={"word": "other"}), 409, "conflict")
        own._ledger.close()
        answer = await client.post("/v1/shop/slow")
        problem(answer, 503, "journal-unavailable")
        assert str(tmp_path) not in answer.text

    serving(tmp_path, first)
    for path in tmp_path.glob("runs.db.serve*"):
        path.unlink()
    serving(tmp_path, second)


# ---------------------------------------------------------------- the same request again


def test_of_20_equal_requests_at_once_one_begins_a_run(tmp_path: Path) -> None:
    async def test() -> None:
        model = Gate()
        async with service(tmp_path, model) as (client, _):
            headers = {"Idempotency-Key": "the same"}
            asked = [asyncio.ensure_future(client.post("/v1/shop/slow", headers=headers)) for _ in range(20)]
            while model.asked < 1:
                await asyncio.sleep(0.01)
            other = await client.post("/v1/shop/slow", headers=headers, json={"word": "other"})
            problem(other, 409, "key-reused")
            model.open()
            answers = await asyncio.gather(*asked)
            assert {answer.status_code for answer in answers} == {200}
            assert len({answer.text for answer in answers}) == 1
            assert model.asked == 4
            assert (await client.post("/v1/shop/slow", headers=headers)).text == answers[0].text
            defaulted = await client.post("/v1/shop/slow", headers=headers, json={"word": "hello"})
            assert defaulted.text == answers[0].text  # the default, given
            assert model.asked == 4

    asyncio.run(test())


def test_idempotency_keys_of_different_callers_and_flows_are_different(tmp_path: Path) -> None:
    keys = key_file(tmp_path, acme="", beta="")

    async def test(client: httpx.AsyncClient, own: Service) -> None:
        runs = set()
        for name in ("acme", "beta"):
            for flow in ("slow", "nothing"):
                headers = {"Idempotency-Key": "1", **bearer(name)}
                runs.add((await client.post(f"/v1/shop/{flow}", headers=headers)).json()["run"])
        assert len(runs) == 4

    serving(tmp_path, test, keys=keys)


# ---------------------------------------------------------------- asynchronous answers, stopping, events


def test_an_asynchronous_request_is_answered_at_once_and_found_later(tmp_path: Path) -> None:
    async def test() -> None:
        model = Gate()
        async with service(tmp_path, model) as (client, _):
            accepted = await client.post("/v1/shop/slow", headers={"Prefer": "respond-async"})
            assert accepted.status_code == 202 and accepted.headers["preference-applied"] == "respond-async"
            where = accepted.headers["location"]
            assert (await client.get(where)).json()["status"] == "running"
            model.open()
            while (status := (await client.get(where)).json())["status"] == "running":
                await asyncio.sleep(0.01)
            assert status["value"] == ["hello"] * 4
            quick = await client.post("/v1/shop/nothing", headers={"Prefer": "respond-async, wait=20"})
            assert quick.status_code == 200

    asyncio.run(test())


def test_a_run_that_is_stopped_makes_no_further_call_and_can_be_resumed(tmp_path: Path) -> None:
    async def test() -> None:
        model = Gate()
        async with service(tmp_path, model) as (client, own):
            headers = {"Idempotency-Key": "k"}
            asked = asyncio.ensure_future(client.post("/v1/shop/slow", headers=headers))
            while model.asked < 1:
                await asyncio.sleep(0.01)
            [run] = own._live
            assert (await client.post(f"/v1/runs/{run}/stop")).status_code == 202
            model.open()
            problem(await asked, 409, "run-stopped")
            problem(await client.post("/v1/shop/slow", headers=headers), 409, "run-stopped")
            problem(await client.post(f"/v1/runs/{run}/stop"), 409, "conflict")
            assert model.asked == 1
            done = await client.post(f"/v1/runs/{run}/resume")
            assert done.json()["value"] == ["hello"] * 4 and model.asked == 4

    asyncio.run(test())


def test_events_are_streamed_in_order_and_go_on_where_they_were_left(tmp_path: Path) -> None:
    async def test(client: httpx.AsyncClient, own: Service) -> None:
        headers = {"Accept": "text/event-stream", "Idempotency-Key": "k"}
        answer = await client.post("/v1/shop/slow?values=true", headers=headers)
        assert answer.headers["content-type"].startswith("text/event-stream")
        whole = events(answer.text)
        kinds = [kind for kind, _, _ in whole]
        assert kinds[0] == "run" and kinds[-1] == "ended" and set(kinds[1:-1]) == {"step"}
        assert [number for _, number, _ in whole] == [f"1-{at}" for at in range(len(whole))]
        assert whole[-1][2]["value"] == ["hello"] * 4
        assert {data.get("value") for _, _, data in whole if data.get("what") == "agent"} == {None, "hello"}
        run = whole[0][2]["run"]
        rest = await client.get(f"/v1/runs/{run}/events", headers={"Last-Event-ID": "1-5"})
        assert [number for _, number, _ in events(rest.text)] == [number for _, number, _ in whole[6:]]
        assert all("value" not in data for kind, _, data in events(rest.text) if kind == "step")

    serving(tmp_path, test)


def test_events_of_a_run_that_nobody_read_end_with_its_value(tmp_path: Path) -> None:
    async def test(client: httpx.AsyncClient, own: Service) -> None:
        run = (await client.post("/v1/shop/slow")).json()
        told = events((await client.get(f"/v1/runs/{run['run']}/events")).text)
        assert [kind for kind, _, _ in told] == ["run", "ended"] and told[-1][2] == run
        failing = await client.get("/v1/runs/nobody/events")
        problem(failing, 404, "not-found")

    serving(tmp_path, test)


def test_a_slow_stream_gets_heartbeats_and_the_reason_of_a_failure(tmp_path: Path) -> None:
    model = ScriptedModel({"echo": [Fails("bad_request", "gone", after=0.3)]})

    async def test(client: httpx.AsyncClient, own: Service) -> None:
        answer = await client.post("/v1/shop/slow", headers={"Accept": "text/event-stream"})
        assert answer.text.count(": still running") >= 2
        kind, _, data = events(answer.text)[-1]
        assert kind == "failed" and data["type"].endswith("run-failed") and data["step"] == "slow.a"

    serving(tmp_path, test, model)


# ---------------------------------------------------------------- keys, budgets, limits


def test_without_a_key_nothing_is_shown(tmp_path: Path) -> None:
    keys = key_file(tmp_path, acme="", beta='flows = ["shop/nothing"]\nmetrics = true')

    async def test(client: httpx.AsyncClient, own: Service) -> None:
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic acme-key"}):
            for path in ("/v1/shop/slow", "/v1/runs/x/resume", "/v1/runs/x/stop"):
                answer = await client.post(path, headers=headers)
                problem(answer, 401, "no-key")
                assert answer.headers["www-authenticate"] == "Bearer"
            for path in ("/v1/runs/x", "/v1/runs/x/events", "/metrics", "/openapi.json"):
                problem(await client.get(path, headers=headers), 401, "no-key")
        assert (await client.get("/healthz")).status_code == (await client.get("/readyz")).status_code == 200
        mine = await client.post("/v1/shop/slow", headers=bearer("acme"))
        where = mine.headers["location"]
        assert (await client.get(where, headers=bearer("acme"))).status_code == 200
        for path in (where, f"{where}/events"):
            problem(await client.get(path, headers=bearer("beta")), 404, "not-found")
        problem(await client.post(f"{where}/resume", headers=bearer("beta")), 404, "not-found")
        problem(await client.post("/v1/shop/slow", headers=bearer("beta")), 403, "forbidden")
        assert (await client.post("/v1/shop/nothing", headers=bearer("beta"))).status_code == 200
        problem(await client.get("/metrics", headers=bearer("acme")), 403, "forbidden")
        assert (await client.get("/metrics", headers=bearer("beta"))).status_code == 200

    serving(tmp_path, test, keys=keys)


def test_50_requests_at_once_never_spend_more_than_the_budget(tmp_path: Path) -> None:
    keys = key_file(tmp_path, acme="calls = 21")  # a run of `slow` takes 4: room for five

    async def test() -> None:
        model = Gate()
        async with service(tmp_path, model, keys=keys) as (client, _):
            asked = [asyncio.ensure_future(client.post("/v1/shop/slow", headers=bearer("acme"))) for _ in range(50)]
            while sum(one.done() for one in asked) < 45:
                await asyncio.sleep(0.01)
            model.open()
            answers = await asyncio.gather(*asked)
            refused = [answer for answer in answers if answer.status_code != 200]
            assert len(refused) == 45 and model.asked == 20
            for answer in refused:
                problem(answer, 429, "budget-exhausted")
                assert 1 <= int(answer.headers["retry-after"]) <= 5  # runs under way may give some back
            later = await client.post("/v1/shop/slow", headers=bearer("acme"))
            problem(later, 429, "budget-exhausted")
            assert int(later.headers["retry-after"]) <= 86_400
            one_more = await client.post("/v1/shop/answer", json={"ticket": TICKET}, headers=bearer("acme"))
            problem(one_more, 429, "budget-exhausted")  # it may take two: its agent may try again
        async with service(tmp_path, model, keys=keys) as (client, _):  # and after a restart
            problem(await client.post("/v1/shop/slow", headers=bearer("acme")), 429, "budget-exhausted")
            assert (await client.post("/v1/shop/nothing", headers=bearer("acme"))).status_code == 200
        assert model.asked == 20

    asyncio.run(test())


def test_what_was_reserved_and_not_needed_is_given_back(tmp_path: Path) -> None:
    keys = key_file(tmp_path, acme="calls = 5")  # `answer` may take 2 calls and takes 1

    async def test(client: httpx.AsyncClient, own: Service) -> None:
        statuses = [
            (await client.post("/v1/shop/answer", json={"ticket": TICKET}, headers=bearer("acme"))).status_code
            for _ in range(6)
        ]
        assert statuses == [200, 200, 200, 200, 429, 429]

    serving(tmp_path, test, keys=keys)


@pytest.mark.parametrize("limit", ["calls = 3", "tokens = 100", "usd = 0.000001"])
def test_a_budget_that_never_holds_the_flow_says_so(limit: str, tmp_path: Path) -> None:
    keys = key_file(tmp_path, acme=limit)
    (tmp_path / "mas.toml").write_text(
        '[tiers]\nfast = "dear"\n[models.dear]\nkind = "openai"\nurl = "http://127.0.0.1:9/v1"\nmodel = "m"\n'
        "input_price = 1\noutput_price = 1\n"
    )

    async def test(client: httpx.AsyncClient, own: Service) -> None:
        answer = await client.post("/v1/shop/slow", headers=bearer("acme"))
        problem(answer, 402, "budget-too-small")
        assert "retry-after" not in answer.headers

    serving(tmp_path, test, keys=keys)


def test_requests_and_runs_at_once_are_limited(tmp_path: Path) -> None:
    keys = key_file(tmp_path, acme="runs_at_once = 2", beta="requests_per_minute = 3")

    async def test() -> None:
        model = Gate()
        async with service(tmp_path, model, keys=keys, at_once=3) as (client, _):
            headers = {"Prefer": "respond-async"}
            answers = [await client.post("/v1/shop/slow", headers=bearer("acme") | headers) for _ in range(3)]
            assert [answer.status_code for answer in answers] == [202, 202, 429]
            problem(answers[-1], 429, "too-many-runs")
            answers = [await client.post("/v1/shop/slow", headers=bearer("beta") | headers) for _ in range(4)]
            assert [answer.status_code for answer in answers] == [202, 503, 503, 429]
            problem(answers[1], 503, "busy")
            problem(answers[3], 429, "too-many-requests")
            assert 1 <= int(answers[3].headers["retry-after"]) <= 20
            model.open()

    asyncio.run(test())


# ---------------------------------------------------------------- who may reach it


def test_a_service_without_keys_answers_to_this_machine_alone(tmp_path: Path) -> None:
    async def test(client: httpx.AsyncClient, own: Service) -> None:
        for host in ("evil.example", "127.0.0.1.evil.example", "10.0.0.1:80", ""):
            problem(await client.get("/healthz", headers={"Host": host}), 421, "wrong-host")
        for own_name in ("localhost:8000", "127.0.0.1", "[::1]:8000", "proxy.example"):
            assert (await client.get("/healthz", headers={"Host": own_name})).status_code == 200
        page = {"Origin": "http://evil.example"}
        problem(await client.post("/v1/shop/nothing", headers=page), 403, "forbidden")
        assert (await client.post("/v1/shop/nothing", headers={"Origin": "http://127.0.0.1"})).status_code == 200
        answer = await client.options("/v1/shop/nothing", headers={"Access-Control-Request-Method": "POST"})
        assert not [name for name in answer.headers if name.startswith("access-control")]

    serving(tmp_path, test, wire=Wire(hosts=["proxy.example"]))


def test_metrics_count_what_happened_and_have_no_label_of_a_caller(tmp_path: Path) -> None:
    async def test(client: httpx.AsyncClient, own: Service) -> None:
        for at in range(30):
            await client.post("/v1/shop/slow", headers={"Idempotency-Key": f"key-{at % 3}"})
            await client.get(f"/v1/runs/nobody-{at}")
            await client.request(f"METHOD{at}", f"/nowhere/{at}")
        await client.post("/v1/shop/answer", json={})
        figures = (await client.get("/metrics")).text
        lines = dict(line.rsplit(" ", 1) for line in figures.splitlines() if not line.startswith("#"))
        assert float(lines['mas_runs_total{flow="slow",program="shop",status="ended"}']) == 3
        assert float(lines['mas_calls_total{flow="slow",program="shop"}']) == 12
        assert float(lines['mas_tokens_total{direction="out",flow="slow",program="shop"}']) > 0
        assert float(lines['mas_refused_total{reason="inputs"}']) == 1
        assert float(lines["mas_runs_in_flight"]) == 0
        assert float(lines['mas_http_requests_total{method="GET",route="/v1/runs/{run}",status="404"}']) == 30
        assert "nobody" not in figures and "key-1" not in figures and "METHOD" not in figures
        assert len(lines) < 100

    serving(tmp_path, test)


# ---------------------------------------------------------------- the ledger


def test_one_service_at_a_time_has_a_ledger_and_nobody_else_reads_it(tmp_path: Path) -> None:
    path = str(tmp_path / "new" / "ledger")
    first = Ledger(path)
    assert {one.stat().st_mode & 0o777 for one in (tmp_path / "new").iterdir()} == {0o600}
    with pytest.raises(LedgerError, match="in use by another service"):
        Ledger(path)
    first.close()
    Ledger(path).close()
    (tmp_path / "text").write_text("no database " * 100)
    with pytest.raises(LedgerError, match="cannot be used"):
        Ledger(str(tmp_path / "text"))
    with pytest.raises(LedgerError, match="choose another --journal"):
        Ledger(str(tmp_path))


AMOUNTS = st.tuples(*[st.integers(0, 10**20)] * 3)


@settings(max_examples=50, deadline=None)
@given(
    limits=st.tuples(*[st.one_of(st.none(), st.integers(0, 10**21))] * 3),
    runs=st.lists(st.tuples(AMOUNTS, st.floats(0, 1), st.booleans()), max_size=12),
)
def test_reservations_and_settlements_never_exceed_a_budget(limits: Any, runs: Any) -> None:
    key = Key("k", "", allowance=Allowance("day", *limits))
    ledger = Ledger(":memory:")
    spent = [0, 0, 0]
    held: list[tuple[str, tuple[int, ...]]] = []
    for number, (worst, share, settles) in enumerate(runs):
        bound = Bound(worst[0], 0, 0, worst[1], worst[2], 1.0)
        taken = [one + sum(amounts[at] for _, amounts in held) for at, one in enumerate(spent)]
        fits = all(limit is None or now + one <= limit for limit, now, one in zip(limits, taken, worst, strict=True))
        try:
            ledger.begin(f"r{number}", key, "p/f", "", {}, bound)
        except OverBudget as over:
            assert not fits
            assert over.never == any(
                limit is not None and one > limit for limit, one in zip(limits, worst, strict=True)
            )
            continue
        assert fits
        held.append((f"r{number}", worst))
        if settles:
            run, reserved = held.pop(0)
            used = [int(one * share) for one in reserved]
            ledger.settle(run, "ended", Usage(used[0], used[1], 0, used[2]))
            spent = [one + more for one, more in zip(spent, used, strict=True)]
        total = [one + sum(amounts[at] for _, amounts in held) for at, one in enumerate(spent)]
        counted = total if any(limit is not None for limit in limits) else [0, 0, 0]
        assert list(ledger.spent(key, time.time())) == counted
    ledger.close()


# ---------------------------------------------------------------- models


def test_runs_share_the_models_of_the_configuration(tmp_path: Path) -> None:
    """One script answers all runs in turn; made anew for each, it would say the same to all."""
    (tmp_path / "mas.toml").write_text('[tiers]\nfast = "s"\n[models.s]\nkind = "scripted"\npath = "script.toml"\n')
    (tmp_path / "script.toml").write_text('[replies]\necho = ["a", "b", "c", "d", "e"]\n')

    async def test(client: httpx.AsyncClient, own: Service) -> None:
        values = [(await client.post("/v1/shop/slow")).json()["value"] for _ in range(2)]
        assert values == [["a", "b", "c", "d"], ["e", "e", "e", "e"]]

    serving(tmp_path, test, CONFIGURED)
