"""Programs and bindings that a meta-agent writes under the decoder: what comes out fits, whatever the model does."""

from __future__ import annotations

import asyncio

import pytest

pytest.importorskip("llguidance", reason="masdsl[decode] is not installed")

import masdsl
from masdsl.config import DEFAULT
from masdsl.meta.emission import Terms, emit_binding, emit_patch, emit_program, patching
from masdsl.meta.host import Host, fit_of, shape_of
from masdsl.meta.task import Emitted, Task
from masdsl.money import TokenPrice
from masdsl.rectify.state import Tier
from masdsl.runtime.meter import Limits
from masdsl.runtime.models.base import Message, ModelError, Reply, Request
from masdsl.runtime.models.scripted import ScriptedModel
from masdsl.source import Source
from tests.harness.programs import granted
from tests.harness.random_writer import RandomChat

ASK = (Message("user", "What is 2 + 2?"),)
SEND = 'tool send(body: text(40)) -> bool from "mail.send" effect'
TASK = Task("What is 2 + 2?", budget=Limits(calls=6), tools=(SEND,))
HOST = Host(DEFAULT._replace(tools=granted("mail.send", "web.get")), tools={"mail.send": lambda body: True})
PATIENT = Terms(tries=8, reply_tokens=4_000)


class Chat(RandomChat):
    """Writes at random within a grammar, and has reasons without one; `failures` are raised before that, by number of
    the call."""

    def __init__(self, failures: dict[int, ModelError] | None = None, reasons: str = "It fits.") -> None:
        super().__init__()
        self._failures = failures or {}
        self._reasons = reasons

    async def complete(self, request: Request) -> Reply:
        if len(self.requests) in self._failures:
            self.requests.append(request)
            raise self._failures[len(self.requests) - 1]
        if request.grammar:
            return await super().complete(request)
        self.requests.append(request)
        return Reply(self._reasons, 7, 3)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    real = asyncio.sleep
    monkeypatch.setattr(asyncio, "sleep", lambda _: real(0))


def emitted(chat: Chat, terms: Terms = PATIENT) -> Emitted:
    one = asyncio.run(emit_program(chat, ASK, TASK, HOST, terms))
    assert one.spent.calls == len(chat.requests)
    return one


def test_a_random_writer_gives_programs_that_fit() -> None:
    hows = set()
    for seed in range(2):
        one = emitted(Chat(), PATIENT._replace(seed=seed))
        assert one.text and one.reasoning == "It fits." and one.tries[-1].diagnostics == ()
        fit = fit_of(one.text, shape_of(TASK, HOST), HOST, TASK.budget)
        assert fit.program is not None and fit.most is not None and 0 < fit.most.calls <= 6
        assert SEND in one.text
        hows.add(one.how)
    assert "grammar" in hows


def test_the_model_sees_its_reasons_and_what_it_has_written() -> None:
    chat = Chat()
    one = emitted(chat)
    first, second, *_ = chat.requests
    assert first.messages == ASK and first.grammar == "" and first.max_tokens == 200
    reasons, now, written = second.messages[1:]
    assert reasons == Message("assistant", "It fits.") and now.role == "user"
    assert written.role == "assistant" and one.text.startswith(written.content)


def test_reasons_that_are_not_wanted_or_empty_cost_nothing() -> None:
    chat = Chat()
    emitted(chat, PATIENT._replace(reasoning_tokens=0))
    assert all(request.grammar for request in chat.requests)
    chat = Chat(reasons="```mas\nmas 1\n```")
    assert emitted(chat).reasoning == "" and chat.requests[1].messages[:-1] == ASK


def test_what_a_broken_connection_leaves_is_closed() -> None:
    broken = ModelError("connection", "the line is dead", billed=True)
    hows = set()
    for at in range(2, 9):
        one = emitted(Chat(dict.fromkeys(range(at, 200), broken)), PATIENT._replace(tries=1))
        hows.add(one.how)
        if one.text:
            assert fit_of(one.text, shape_of(TASK, HOST), HOST, TASK.budget).program is not None
        else:
            assert any("the line is dead" in line for line in one.tries[-1].diagnostics)
        assert one.spent.calls == at + 2, "a second failure in a row is the last"
    assert hows == {"closed"}


def test_one_failure_is_survived() -> None:
    one = emitted(Chat({3: ModelError("overloaded", "busy")}))
    assert one.text


@pytest.mark.parametrize("tokens", [0, 300, 2_000, 6_000])
def test_limits_hold_under_the_decoder(tokens: int) -> None:
    one = emitted(Chat(), PATIENT._replace(tokens=tokens))
    assert one.spent.tokens <= tokens
    if not one.text:
        assert "tokens are left" in one.tries[-1].diagnostics[-1]
    elif one.how == "grammar":
        assert fit_of(one.text, shape_of(TASK, HOST), HOST, TASK.budget).program is not None


def test_a_model_whose_grammars_nobody_knows_is_a_try() -> None:
    class Missing(RandomChat):
        @property
        def grammars(self) -> str:
            raise ModelError("unavailable", "xllamacpp is not installed")

        @grammars.setter
        def grammars(self, value: str) -> None:
            pass

    one = asyncio.run(emit_program(Missing(), ASK, TASK, HOST))
    assert one.text == "" and "xllamacpp is not installed" in one.tries[0].diagnostics[0]


def test_plain_text_can_be_asked_for() -> None:
    one = emitted(Chat(), Terms(constrained=False, tries=2))
    assert one.how == "text" and one.text == "" and len(one.tries) == 2


PROGRAM = Source(
    "x.mas",
    """mas 1

agent writer(query) -> text
  "Write about {{ query }}"

flow main(query) -> text {
  draft = writer(query)
  refine: loop 3 {
    draft = writer(draft)
  }
  return draft
}
""",
)


def test_patches_under_the_decoder() -> None:
    def judge(patch: str) -> tuple[str, ...]:
        try:
            after = masdsl.apply(Source("<patch>", patch), PROGRAM, config=DEFAULT).text
        except masdsl.ProgramError as error:
            return (str(error),)
        return () if "loop 3" not in after else ("it still has three rounds",)

    texts = set()
    for seed in range(4):
        chat = Chat()
        terms = Terms(seed=seed, tries=2)
        one = asyncio.run(emit_patch(chat, ASK, judge, terms, write_one=patching(PROGRAM, DEFAULT, judge)))
        assert one.spent.calls == len(chat.requests) and len(one.tries) <= 2
        assert (judge(one.text) == ()) if one.text else all(attempt.diagnostics for attempt in one.tries)
        texts.add(one.text)
    assert len(texts) > 1


def test_a_program_with_errors_is_patched_by_nobody() -> None:
    broken = Source("x.mas", PROGRAM.text.replace("writer(draft)", "writter(draft)"))
    one = asyncio.run(emit_patch(Chat(), ASK, lambda _: (), write_one=patching(broken, DEFAULT, lambda _: ())))
    assert one.text == "" and "writter" in one.tries[-1].diagnostics[0]


def test_bindings_under_the_decoder() -> None:
    pool = (Tier("smart", "large", TokenPrice(9, 9)), Tier("fast", "small", TokenPrice(1, 1)))
    head = 'mas 1\n\nagent a(query) -> text\n  "x"\n\nagent b = a\n\n'
    template = head + "flow main(query) -> text {\n  c = a(query)\n  return b(c)\n}\n"
    host = Host(DEFAULT, models=ScriptedModel({"*": "4"}))
    texts = set()
    for seed in range(6):
        one = asyncio.run(emit_binding(Chat(), ASK, template, pool, host, Terms(seed=seed)))
        assert one.how == "grammar" and one.reasoning == "It fits."
        texts.add(one.text)
    assert len(texts) > 1 and all(text.startswith("bind 1\na = ") for text in texts)
