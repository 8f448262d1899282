"""What a model says becomes a program, a binding or a patch that may be taken, or a clear account of why not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import masdsl
from masdsl.config import DEFAULT, Config
from masdsl.meta.emission import Terms, emit_binding, emit_patch, emit_program
from masdsl.meta.extract import MOST_CHARACTERS, Kind, extract
from masdsl.meta.host import BadTask, Host
from masdsl.meta.task import Emitted, Task
from masdsl.money import TokenPrice
from masdsl.rectify.state import Tier
from masdsl.runtime.meter import Limits
from masdsl.runtime.models.base import Message, Price, Reply, Request
from masdsl.runtime.models.scripted import Fails, Says, ScriptedModel
from masdsl.source import Source
from tests.harness.programs import granted

ASK = (Message("system", "You write programs."), Message("user", "What is 2 + 2?"))
TASK = Task("What is 2 + 2?", budget=Limits(calls=6))
CONFIG: Config = DEFAULT._replace(tools=granted("web.get", "mail.send"))
HOST = Host(CONFIG, models=ScriptedModel({"*": "4"}))
GOOD = """mas 1

agent solver(query) -> text
  "Solve: {{ query }}"

flow main(query) -> text {
  answer = solver(query)
  return answer
}
"""


def fenced(text: str, kind: str = "mas") -> str:
    return f"A solver is enough.\n\n```{kind}\n{text}```\nThat is all."


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long was waited between tries: not at all, here."""
    waited: list[float] = []
    real = asyncio.sleep

    async def sleep(seconds: float) -> None:
        if seconds:
            waited.append(seconds)
        await real(0)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return waited


def emitted(replies: object, task: Task = TASK, **terms: Any) -> tuple[Emitted, list[Request]]:
    model = ScriptedModel({"*": replies}, price=Price(1.0, 2.0))
    one = asyncio.run(emit_program(model, ASK, task, HOST, Terms(**terms)))
    assert one.spent.calls == len(model.requests)
    assert one.spent.tokens == sum(attempt.tokens for attempt in one.tries)
    assert one.spent.picodollars == one.spent.tokens_in * 10**6 + one.spent.tokens_out * 2 * 10**6
    return one, model.requests


def errors(text: str) -> list[str]:
    return [one.diagnostic.code for one in masdsl.check(Source("x", text), config=CONFIG)]


# ---------------------------------------------------------------- what a reply holds

BINDING = "bind 1\nsolver = smart\n"
PATCH = "patch 1\nset main.x = 3\n"


@pytest.mark.parametrize(
    ("kind", "reply", "text", "reasoning"),
    [
        ("mas", fenced(GOOD), GOOD, "A solver is enough."),
        ("mas", f"Why not.\n{GOOD}\nI hope that this helps!", GOOD, "Why not."),
        ("mas", GOOD, GOOD, ""),
        ("mas", f"```\n{GOOD}", GOOD, ""),
        ("mas", f"~~~masdsl\r\n{GOOD}~~~".replace("\n", "\r\n"), GOOD, ""),
        ("mas", f"<think>Two\nsteps.</think>So:\n```mas\n{GOOD}```", GOOD, "Two\nsteps.\nSo:"),
        ("mas", f"<think>```mas\nmas 1\n```</think>\n```mas\n{GOOD}```", GOOD, "```mas\nmas 1\n```"),
        ("mas", f"```mas\nmas 1\n```\nbetter:\n```mas\n{GOOD}```", GOOD, "mas 1\n\nbetter:"),
        ("mas", f"```mas\n{GOOD}```\n```python\nprint(1)\n```", GOOD, ""),
        ("mas", f"```python\nuse = 1\n```\n{GOOD}", GOOD, "use = 1"),
        ("mas", fenced(GOOD.removeprefix("mas 1\n\n")), GOOD.replace("1\n\n", "1\n", 1), "A solver is enough."),
        ("mas", GOOD.removeprefix("mas 1\n\n"), GOOD.replace("1\n\n", "1\n", 1), ""),
        ("mas", "<think>endless", "", "endless"),
        ("mas", "use the following agents", "", "use the following agents"),
        ("mas", "", "", ""),
        ("mas", "\0\0", "", ""),
        ("mas", "```", "", ""),
        ("bind", fenced(BINDING, "bind"), BINDING, "A solver is enough."),
        ("bind", "So: \nsolver = smart", BINDING, "So:"),
        ("bind", fenced("solver = smart\n", "bind"), BINDING, "A solver is enough."),
        ("patch", fenced(PATCH, ""), PATCH, "A solver is enough."),
        ("patch", "patch 1\nset main.x = 3\n```\nsee", PATCH, ""),
        ("patch", "I set it.\nset main.x = 3", PATCH, "I set it."),
    ],
)
def test_what_is_taken_out_of_a_reply(kind: Kind, reply: str, text: str, reasoning: str) -> None:
    assert extract(reply, kind) == (text, reasoning)


def test_a_reply_of_a_megabyte_is_cut() -> None:
    assert len(extract("mas 1\nflow main(\n" * 100_000, "mas").text) <= MOST_CHARACTERS + 1


# ---------------------------------------------------------------- programs in plain text


def test_a_program_that_is_right_is_taken_at_once() -> None:
    one, requests = emitted(fenced(GOOD), seed=3, temperature=0.7)
    assert (one.text, one.how, one.reasoning) == (GOOD, "text", "A solver is enough.")
    assert [attempt.diagnostics for attempt in one.tries] == [()]
    assert (requests[0].messages, requests[0].seed, requests[0].temperature) == (ASK, 3_000, 0.7)


@pytest.mark.parametrize(
    ("said", "becomes"),
    [
        ("solve(query)", "solver(query)"),  # a near name
        ("solver(query", "solver(query)"),  # a bracket
    ],
)
def test_machine_fixes_come_first(said: str, becomes: str) -> None:
    one, requests = emitted(
        fenced(GOOD.replace("solver(query)\n", f"{said}\n", 2).replace(f"agent {said}", "agent solver(query)"))
    )
    assert len(requests) == 1 and becomes in one.text and errors(one.text) == []
    assert one.tries[0].fixes >= 1


@pytest.mark.parametrize(
    ("head", "body"),
    [
        ("flow solve(query) -> text", ""),
        ("flow main(query: text(500)) -> text(300) budget calls 1", ""),
        ("flow solve_it(question) -> text", "query = question"),
    ],
)
def test_a_flow_with_another_head_gets_that_of_the_task(head: str, body: str) -> None:
    said = GOOD.replace("flow main(query) -> text {", f"{head} {{")
    said = said.replace("= solver(query)", "= solver(question)") if body else said
    one, _ = emitted(fenced(said))
    assert one.tries[0].diagnostics == () and "\nflow main(query) -> text {" in one.text
    assert errors(one.text) == [] and ("question = query" in one.text) == bool(body)


def test_what_is_wrong_goes_back_to_the_model() -> None:
    bad = GOOD.replace("answer = solver(query)", "answer = wizard(query)")
    one, requests = emitted([fenced(bad), fenced(GOOD)])
    assert one.text == GOOD and len(one.tries) == 2
    first, second = one.tries
    assert second.diagnostics == () and any("MAS102" in line for line in first.diagnostics)
    *asked, shown, told = requests[1].messages
    assert tuple(asked) == ASK and shown == Message("assistant", f"```mas\n{first.text}```")
    assert all(line in told.content for line in first.diagnostics) and "granted: none" in told.content


UNUSED = "within calls 2 {\n    answer = solver(query)\n  }"
FAULTS = {
    "no program": ("I would rather not.", "MAS950"),
    "nothing": (Reply("", 10, 0), "MAS950"),
    "over budget": (fenced(GOOD.replace("-> text\n", "-> text retry 8\n", 1)), "MAS40"),
    "asks nobody": (fenced('mas 1\n\nflow main(query) -> text {\n  return "4"\n}\n'), "MAS953"),
    "uses nobody": (
        fenced(GOOD.replace("answer = solver(query)", UNUSED).replace("return answer", 'return "4"')),
        "MAS953",
    ),
    "other inputs": (fenced(GOOD.replace("main(query)", "main(query, n: int)")), "MAS951"),
    "other type": (fenced(GOOD.replace("main(query) -> text", "main(query) -> int")), "MAS2"),
    "no flow": (fenced("mas 1\n\ntype Kind = a | b\n"), "MAS951"),
    "a tool": (fenced(GOOD.replace("agent", 'tool get(url) -> text from "web.get"\n\nagent', 1)), "MAS121"),
    "garbage": ("mas 1\n" + "flow (]}[ \ud800\x07\n" * 50, "MAS0"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_model_that_never_learns_is_given_up_with_all_that_it_tried(name: str) -> None:
    reply, code = FAULTS[name]
    one, requests = emitted(reply, tries=3)
    assert one.text == "" and len(one.tries) == len(requests) == 3
    assert all(any(code in line for line in attempt.diagnostics) for attempt in one.tries), one.tries[0]
    assert len({request.seed for request in requests}) == 3
    if name not in ("no program", "nothing"):
        assert requests[2].messages == ASK, "one that says the same again is asked afresh"


@pytest.mark.parametrize(
    ("type_", "count", "answer"),
    [
        ("text", "", "answer"),
        ("int", "", "text(answer)"),
        ("text", "3 of ", "first(answer)"),
        ("text(60)[4]", "", 'join(answer, "\\n")'),
        ("(sure: bool, said: text)", "", "answer.said"),
        ("(sure: bool, count: int)", "", "text(answer.count)"),
        ("text?", "", 'answer else ""'),
    ],
)
def test_a_result_that_nobody_returns_is_returned_in_place_of_a_constant(type_: str, count: str, answer: str) -> None:
    said = GOOD.replace("-> text\n", f"-> {type_}\n").replace("= solver", f"= {count}solver")
    one, _ = emitted(fenced(said.replace("return answer", 'return ""')))
    assert f"  return {answer}\n" in one.text and one.tries[0].fixes == 1
    assert errors(one.text) == []


def test_a_model_is_not_told_what_only_a_host_can_do() -> None:
    for name, said in (
        ("over budget", "what is left for it is 6 calls; lower a count or a retry"),
        ("a tool", "use only tools that are granted"),
    ):
        one, _ = emitted(FAULTS[name][0], tries=1)
        shown = "\n".join(one.tries[0].diagnostics)
        assert said in shown and "mas.toml" not in shown, shown


@pytest.mark.parametrize(("retries", "count", "lowered"), [("", 9, "6 of"), (" retry 1", 5, "3 of")])
def test_more_calls_than_are_left_are_lowered_where_a_count_says_so(retries: str, count: int, lowered: str) -> None:
    said = GOOD.replace(
        "answer = solver(query)\n  return answer", f"all_of = {count} of solver(query)\n  return first(all_of)"
    )
    one, _ = emitted(fenced(said.replace("-> text\n", f"-> text{retries}\n")))
    assert f"{lowered} solver(query)" in one.text and one.tries[0].diagnostics == ()


@pytest.mark.parametrize(
    ("failures", "calls", "waited"),
    [
        ([Fails("overloaded"), Says(fenced(GOOD))], 2, [0.5]),
        ([Fails("rate_limit", retry_after=3.0), Says(fenced(GOOD))], 2, [3.0]),
        ([Fails("rate_limit", retry_after=900.0), Fails("timeout")], 2, [8.0]),
        ([Fails("auth")], 1, []),
        ([Fails("too_long")], 1, []),
    ],
)
def test_failures_of_the_model(failures: list[object], calls: int, waited: list[float], pauses: list[float]) -> None:
    one, requests = emitted(failures)
    assert len(requests) == calls and pauses == waited
    assert bool(one.text) == isinstance(failures[-1], Says)
    assert "the model failed" in one.tries[0].diagnostics[0]


def test_a_correction_that_is_too_long_for_the_model_is_left_out() -> None:
    one, requests = emitted([Says("no"), Fails("too_long"), Says(fenced(GOOD))])
    assert one.text == GOOD and len(requests[1].messages) == 4 and requests[2].messages == ASK


class Strange:
    """A model that keeps to nothing."""

    name, price = "strange", None

    def __init__(self, act: Callable[[Request], Reply | Awaitable[Reply]]) -> None:
        self._act = act

    async def complete(self, request: Request) -> Reply:
        done = self._act(request)
        return done if isinstance(done, Reply) else await done

    async def close(self) -> None:
        pass


def _boom(_: Request) -> Reply:
    raise ZeroDivisionError("oops")


async def _deaf() -> Reply:
    for _ in range(2):
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            continue
    return Reply("late")


@pytest.mark.parametrize(
    ("act", "why"),
    [
        (_boom, "ZeroDivisionError: oops"),
        (lambda _: _deaf(), "no reply from strange within"),
        (lambda request: Reply("mas 1\n" * 200_000, 1, 10**12, finish="length"), "cut off at its longest"),
        (lambda _: Reply("x", -5, True), "MAS950"),
    ],
)
def test_a_model_that_keeps_to_nothing(act: Callable[[Request], Reply | Awaitable[Reply]], why: str) -> None:
    one = asyncio.run(emit_program(Strange(act), ASK, TASK, HOST, Terms(tokens=20_000, timeout=0.05, tries=2)))
    assert one.text == "" and any(why in line for attempt in one.tries for line in attempt.diagnostics), one.tries
    assert 0 < one.spent.tokens <= 20_000


# ---------------------------------------------------------------- limits


def test_no_call_is_sent_that_does_not_fit() -> None:
    for tokens in (0, 100, 200, 400, 2_000):
        one, requests = emitted("no", tokens=tokens, tries=50)
        assert one.spent.tokens <= tokens and one.text == ""
        assert "tokens are left" in one.tries[-1].diagnostics[0]
        assert all(request.max_tokens <= tokens for request in requests)
    assert len(requests) > 3


def test_calls_and_money_are_limits_too() -> None:
    one, requests = emitted("no", calls=2, tries=9)
    assert len(requests) == 2 and "all 2 calls are used up" in one.tries[-1].diagnostics[0]
    one, requests = emitted("no", picodollars=1_000_000_000, tries=99)
    assert 1 <= len(requests) < 20 and one.spent.picodollars <= 1_000_000_000
    assert "too little for another call" in one.tries[-1].diagnostics[0]
    unpriced = Strange(lambda _: Reply("no"))
    one = asyncio.run(emit_program(unpriced, ASK, TASK, HOST, Terms(picodollars=10**12)))
    assert one.spent.calls == 0 and "price of strange is unknown" in one.tries[0].diagnostics[0]


def test_a_task_that_no_program_can_fit_is_the_callers_fault() -> None:
    for task in (TASK._replace(signature="flow main(query) -> Nothing"), TASK._replace(tools=("tool x() ->",))):
        with pytest.raises(BadTask):
            emitted(GOOD, task)


# ---------------------------------------------------------------- tools

SEND = 'tool send(body: text(40)) -> bool from "mail.send" effect'
SENDING = f"""mas 1

{SEND}

agent solver(query) -> text(40)
  "Solve: {{{{ query }}}}"

flow main(query) -> text {{
  answer = solver(query)
  sent = send(answer)
  return text(sent)
}}
"""


def test_a_tool_is_declared_as_the_task_grants_it() -> None:
    task = TASK._replace(tools=(SEND,))
    host = Host(CONFIG, models=ScriptedModel({"*": "4"}), tools={"mail.send": lambda body: True})
    sly = SENDING.replace(SEND, 'tool post(body: text(40)) -> bool from "mail.send"').replace("send(a", "post(a")
    for said, name in ((SENDING, "send"), (sly, "post")):
        model = ScriptedModel({"*": fenced(said)})
        one = asyncio.run(emit_program(model, ASK, task, host, Terms(tries=1)))
        assert f'tool {name}(body: text(40)) -> bool from "mail.send" effect' in one.text, one.tries
    other = 'tool get(url) -> text from "web.get"'
    one = asyncio.run(
        emit_program(ScriptedModel({"*": fenced(sly.replace("\nagent", f"\n{other}\n\nagent"))}), ASK, task, host)
    )
    assert one.text == "" and all("MAS121" in "".join(attempt.diagnostics) for attempt in one.tries)


# ---------------------------------------------------------------- bindings and patches

POOL = (Tier("smart", "large", TokenPrice(9, 9)), Tier("fast", "small", TokenPrice(1, 1)), Tier("default", "?", None))
TEMPLATE = GOOD.replace("agent solver", 'agent critic(query) -> text\n  "Judge."\n\nagent solver').replace(
    "  return answer", "  said = critic(answer)\n  return said"
)


def bound(*replies: object, template: str = TEMPLATE, pool: tuple[Tier, ...] = POOL) -> Emitted:
    model = ScriptedModel({"*": list(replies)})
    return asyncio.run(emit_binding(model, ASK, template, pool, HOST, Terms(tries=2)))


@pytest.mark.parametrize(
    ("reply", "text", "fixes"),
    [
        ("bind 1\nsolver = smart\ncritic = fast\n", "bind 1\nsolver = smart\ncritic = fast\n", 0),
        ("solver = smart", "bind 1\nsolver = smart\ncritic = fast\n", 1),
        (fenced("bind 1\nsolvr = smart\ncritic = fasst\n", "bind"), "bind 1\nsolver = smart\ncritic = fast\n", 2),
    ],
)
def test_bindings(reply: str, text: str, fixes: int) -> None:
    one = bound(reply)
    assert (one.text, one.tries[0].fixes) == (text, fixes)
    assert masdsl.bind(Source("b", one.text), Source("t", TEMPLATE), config=CONFIG).text.count(" on ") == 2


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        ('bind 1\nsolver = "openai/gpt-9"\n', "MAS954"),
        ("bind 1\nsomebody_else = smart\n", "MAS808"),
        ("smart, I think", "MAS950"),
    ],
)
def test_bindings_that_do_not_fit(reply: str, why: str) -> None:
    one = bound(reply)
    assert one.text == "" and len(one.tries) == 2 and why in one.tries[0].diagnostics[0]
    assert bound(reply, "bind 1\nsolver = fast\n").text == "bind 1\nsolver = fast\ncritic = fast\n"


def test_bindings_without_anything_to_choose() -> None:
    assert bound("no", template=GOOD.replace("text\n  ", "text on fast\n  ")) == Emitted("")
    assert bound("no", pool=()).tries[0].diagnostics == ("the pool has no tier",)


def test_patches() -> None:
    def judge(text: str) -> tuple[str, ...]:
        try:
            masdsl.apply(Source("<patch>", text), Source("t", GOOD), config=CONFIG)
        except masdsl.ProgramError as error:
            return tuple(str(one.diagnostic.code) for one in error.findings)
        return ()

    model = ScriptedModel({"*": ["patch 1\ndrop main.nothing\n", fenced("patch 1\nset solver.retry = 2\n", "patch")]})
    one = asyncio.run(emit_patch(model, ASK, judge))
    assert one.text == "patch 1\nset solver.retry = 2\n"
    assert [attempt.diagnostics for attempt in one.tries] == [("MAS802",), ()]
