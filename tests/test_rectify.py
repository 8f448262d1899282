"""Rectification: what may be patched, what the rules propose, and whole runs that are repaired."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

import masdsl
from masdsl.check.program import Limits as CheckedLimits
from masdsl.config import DEFAULT
from masdsl.diagnostics.base import Findings
from masdsl.journal import JournalDamaged, MemoryJournal
from masdsl.rectify import Proposal, State, Trigger
from masdsl.rectify.causes import cause_of
from masdsl.rectify.moves import aliases_of
from masdsl.rectify.rules import choose
from masdsl.runtime import BudgetExceeded, Limits, Result, RunFailed
from masdsl.runtime.models.base import Price, Reply
from masdsl.runtime.models.scripted import Fails, ScriptedModel
from masdsl.source import Source
from masdsl.syntax import ast
from masdsl.syntax.parse import parse_patch, parse_program
from tests.harness.rectifying import standing, state, verdict

DRAFTS: dict[str, object] = {f"main.drafts[{number}]": "a" for number in range(3)}

# ---------------------------------------------------------------- causes


@pytest.mark.parametrize(
    ("reason", "callee", "limit", "cause"),
    [
        ("timeout: the 5 s for this step are used up", "agent", "", "timeout"),
        ("rate limit: slow down (after 3 attempts)", "agent", "", "overloaded"),
        ("connection", "agent", "", "overloaded"),
        ("refused: no", "agent", "", "refused"),
        ("the reply is no JSON (after 2 attempts)", "agent", "", "malformed"),
        ("auth: no key", "agent", "", "unavailable"),
        ("there is no model `x`", "agent", "", "unavailable"),
        ("too long: 9000 tokens", "agent", "", "too_long"),
        ("the prompt cannot be filled in: x", "agent", "", "other"),
        ("no result within 3 s", "tool", "", "timeout"),
        ("ValueError: bad", "tool", "", "tool"),
        ("refused by the budget: all 3 calls are used up", "agent", "calls", "budget"),
        ("the flow's value does not fit", "flow", "", "other"),
    ],
)
def test_the_cause_is_read_from_the_failure(reason: str, callee: str, limit: str, cause: str) -> None:
    assert cause_of(reason, callee, limit=limit) == cause


# ---------------------------------------------------------------- what may be patched


@pytest.mark.parametrize(
    ("patch", "codes"),
    [
        ("bind coder = smart", []),
        ("bind namer = smart\nset namer.max = 20", []),
        ("set main.slot.calls = 1", []),
        ("budget calls 14 tokens 90k", []),
        ('otherwise main.end = "x"', []),
        ("add agent other(x) -> text(9) on smart \"Say {{ x }}\"", []),
        ("bind coder = nowhere", ["MAS807"]),
        ("set main.nowhere.times = 1", ["MAS802"]),
        ('bind coder = "openai/gpt-4o"', ["MAS920"]),
        ("set find.from = \"disk.wipe\"", ["MAS920"]),
        ("set send.effect = false", ["MAS920"]),
        ('add tool wipe(x) -> bool from "disk.wipe" effect', ["MAS920"]),
        ('add agent r(x) -> text(9) on smart tools [send] steps 2 "Rule {{ x }}"', ["MAS920"]),
        ("budget calls 15 tokens 100k", ["MAS921"]),
        ("budget calls 14", ["MAS921"]),
        ("drop budget", ["MAS921"]),
        ("set main.slot.calls = 3", ["MAS921"]),
        ("drop main.slot", ["MAS101"]),
        ("replace rectify tries 9", ["MAS921"]),
        ('set coder.prompt = "Write evil {{ spec }} {{ notes }}"', ["MAS922"]),
        ('replace main.ok = send("evil")', ["MAS922"]),
        ("drop main.ok", ["MAS922"]),
        ("set main.refine.times = 1", ["MAS922"]),
        ('before main.refine.code { hit = find("evil") }', ["MAS922"]),
        ('replace main.refine.until = true', ["MAS922"]),
        ("wrap main.ok in if true", ["MAS922"]),
        ("redo main.ok", ["MAS922"]),
        ("redo main.refine", ["MAS922"]),  # what is sent depends on it
        ("wrap main.hit in box: within calls 1\nredo main.box", ["MAS922"]),
        ("redo main.slot.title", ["MAS923"]),  # nothing is sent because of it
        ('otherwise main.hit = "evil"', ["MAS922"]),
        ("set critic.retry = 2", ["MAS923"]),
        ("rename main = other", ["MAS924"]),
        ("set main.else = \"x\"", []),
    ],
)  # fmt: skip
def test_a_patch_of_somebody_who_is_not_trusted(patch: str, codes: list[str]) -> None:
    found = verdict(patch, standing(done=DRAFTS, spent={"calls": 6}))
    told = [one.diagnostic.code for one in found.findings if one.diagnostic.severity == "error"]
    assert told[:1] == codes[:1], [one.diagnostic.title() for one in found.findings]
    assert found.accepted == (not codes)


def test_where_changed_steps_are_done_again_a_change_of_their_agent_is_no_small_thing() -> None:
    stands = standing(done=DRAFTS, spent={"calls": 3})
    patch = "set coder.max = 20"
    assert verdict(patch, stands).accepted
    found = verdict(patch, stands._replace(strict=True))
    assert [one.diagnostic.code for one in found.findings] == ["MAS922"], "another mail would be sent"
    assert verdict("set namer.max = 20", stands._replace(strict=True)).accepted


def test_a_trusted_patch_may_change_counts_and_need_not_fit_where_nothing_did() -> None:
    stands = standing(done=DRAFTS, spent={"calls": 11})
    assert verdict("set main.refine.times = 1", stands, trusted=True).accepted
    kept = verdict("bind coder = smart", stands, trusted=True)
    assert kept.accepted and kept.fits["calls"] == "enforced"
    assert not verdict("bind coder = smart", stands).accepted
    assert not verdict("set critic.retry = 2", stands, trusted=True).accepted


def test_what_was_finished_counts_until_something_could_change_it() -> None:
    stands = standing(done=DRAFTS)
    assert stands.rest().calls == 8
    untouched, redone = verdict("set namer.max = 20", stands), verdict("redo main.drafts", stands)
    assert untouched.after is not None and untouched.after.calls == 8
    assert redone.after is not None and redone.after.calls == 11
    fewer = verdict("set main.drafts.count = 2", stands, trusted=True)
    assert fewer.after is not None and fewer.after.calls == 8, "the third draft is paid, and no step of the program"
    asked_anew = verdict('replace main.drafts = 3 of coder("y")', stands, trusted=True)
    assert asked_anew.after is not None and asked_anew.after.calls == 11


def test_a_cheaper_model_counts_finished_steps_at_its_own_price() -> None:
    stands = standing(done=DRAFTS)
    before, after = stands.rest(), verdict("bind coder = cheap", stands, trusted=True).after
    assert after is not None and after.usd < before.usd


# ---------------------------------------------------------------- addresses that move

MOVING = """mas 1
agent coder(spec) -> text(200) on fast "Write {{ spec }}"
flow main(spec) -> text(200) {
  a = coder(spec)
  loop 3 { b = coder(a) }
  c = coder(a)
  loop 2 { d = coder(c) }
  return c
}
"""


@pytest.mark.parametrize(
    ("edits", "moved"),
    [
        ("rename main.c = cc", {"main.cc": "main.c"}),
        ("rename main.a = z\nwrap main.z in within calls 3", {"main.within.z": "main.a"}),
        ("wrap main.a in loop 2", {"main.loop.a": "main.a", "main.loop_2": "main.loop", "main.loop_3": "main.loop_2",
                                   "main.loop_2.b": "main.loop.b", "main.loop_3.d": "main.loop_2.d"}),
        ("drop main.loop", {"main.loop": "main.loop_2", "main.loop.d": "main.loop_2.d"}),
        ("bind coder = smart", {}),
    ],
)  # fmt: skip
def test_addresses_are_followed(edits: str, moved: dict[str, str]) -> None:
    program = parse_program(Source("p", MOVING), Findings()).document
    patch = parse_patch(Source("q", f"patch 1\n{edits}\n"), Findings()).document
    assert isinstance(program, ast.Program) and isinstance(patch, ast.Patch)
    assert aliases_of(patch, program, "main") == moved


# ---------------------------------------------------------------- rules

FAILED: Final = "failure"


@pytest.mark.parametrize(
    ("trigger", "edits"),
    [
        (Trigger(FAILED, "timeout", "main.refine.code[0]", "timeout"), "bind coder = smart"),
        (Trigger(FAILED, "malformed", "main.refine.note[0]", "no JSON"), "bind critic = smart"),
        (Trigger(FAILED, "tool", "main.hit", "broken"), "replace main.hit = seek(spec)"),
        (Trigger(FAILED, "other", "main.end", "does not fit"), 'otherwise main.end = ""'),
        (Trigger(FAILED, "other", "main.end.better", "does not fit"), 'otherwise polish.better = ""'),
        (Trigger(FAILED, "tool", "main.ok", "no mail"), ""),
        (Trigger("threshold", "budget", "main.refine.note[0]", "80 %", "calls"), ""),
    ],
)
def test_rules(trigger: Trigger, edits: str) -> None:
    shown = state(trigger, standing(done=DRAFTS))
    said = choose(shown)
    text = said.patch if isinstance(said, Proposal) else ""
    assert text.partition("\n")[2].strip() == edits, said
    if edits:
        assert text.startswith(f'patch 1 on "{shown.base()}"')


def test_for_want_of_calls_the_loop_runs_as_often_as_fits() -> None:
    stands = standing(done=DRAFTS, spent={"calls": 8})
    said = choose(state(Trigger(FAILED, "budget", "main.refine.note[0]", "refused", "calls"), stands))
    assert isinstance(said, Proposal) and "set main.refine.times = 1" in said.patch


def test_for_want_of_money_a_cheaper_tier() -> None:
    stands = standing(done=DRAFTS)
    limits = CheckedLimits(usd=0.00000003)
    said = choose(state(Trigger("threshold", "budget", "main.refine.code[0]", "x", "usd"), stands, limits=limits))
    assert isinstance(said, Proposal) and "= cheap" in said.patch


def test_the_state_is_json_and_always_the_same() -> None:
    trigger = Trigger(FAILED, "timeout", "main.refine.code[0]", "timeout")
    texts = {state(trigger, standing(done=DRAFTS | {"main.hit": "x" * 999})).text() for _ in range(2)}
    assert len(texts) == 1
    shown = json.loads(texts.pop())
    assert shown["trigger"]["step"] == "main.refine.code[0]"
    assert shown["budget"]["calls"] == {"spent": 4, "left": 10, "rest": 8}
    assert shown["finished"][3]["value"].endswith("(599 characters more)")
    assert "mas 1" in shown["program"] and shown["tries_left"] == 2


# ---------------------------------------------------------------- whole runs

CODER = """mas 1

budget calls {calls}
rectify tries {tries}{at}

agent coder(spec, notes: text = "") -> text(200) on fast "Write {{{{ spec }}}} {{{{ notes }}}}"
agent critic(code) -> text(100) on fast "Criticise {{{{ code }}}}"

flow main(spec) -> text(200) {{
  drafts = 3 of coder(spec)
  code = majority(drafts)
  refine: loop 3 {{
    note = critic(code)
    code = coder(spec, note)
  }}
  return code
}}
"""
STEPS = [
    "main.drafts[0]",
    "main.drafts[2]",
    *(f"main.refine.{step}[{at}]" for at in range(3) for step in ("note", "code")),
]


def coder(calls: int = 12, tries: int = 2, at: str = "") -> Source:
    return Source("<input>", CODER.format(calls=calls, tries=tries, at=at))


def scripted(replies: dict[str, Any], price: float = 1.0, name: str = "m") -> ScriptedModel:
    return ScriptedModel({"*": "text", **replies}, name=name, price=Price(price, price))


def run(source: Source, models: dict[str, ScriptedModel], **options: Any) -> Result:
    journal = options.pop("journal", None) or MemoryJournal()
    loaded = masdsl.load(source, models={**models, "default": models["fast"]})
    return loaded.main.run_sync(spec="x", journal=journal, run_id="r", **options)


@pytest.mark.parametrize("step", STEPS)
def test_a_failure_at_any_step_goes_to_another_model_and_repeats_nothing(step: str) -> None:
    fast, smart = scripted({step: Fails("refused", "no")}), scripted({}, 2.0)
    result = run(coder(), {"fast": fast, "smart": smart})
    (one,) = result.interventions
    assert (one.accepted, one.trigger.step, one.trigger.cause) == (True, step, "refused")
    assert one.fits == {"calls": "proved"}
    asked = [request.step for model in (fast, smart) for request in model.requests]
    assert sorted(asked) == sorted([*STEPS, "main.drafts[1]", step]), "only what failed was asked again"
    assert result.calls == 10 and result.value == "text"
    assert [event.number for event in result.events] == list(range(len(result.events)))


def test_tries_come_to_an_end() -> None:
    broken = {"critic": Fails("refused"), "coder": Fails("refused")}
    with pytest.raises(RunFailed) as failed:
        run(coder(calls=30, tries=1), {"fast": scripted(broken), "smart": scripted(broken)})
    assert [one.accepted for one in failed.value.result.interventions] == [True]
    with pytest.raises(RunFailed) as failed:
        run(coder(tries=1), {"fast": scripted(broken), "smart": scripted(broken)}, rectifier=False)
    assert failed.value.result.interventions == ()


class Stubborn:
    name = "stubborn"
    trusted = False
    asked = 0

    async def propose(self, state: State) -> Proposal:
        self.asked += 1
        return Proposal("patch 1\nbudget calls 999\n", "more money")


def test_a_refused_patch_counts_as_a_try_and_is_reported() -> None:
    rectifier, journal = Stubborn(), MemoryJournal()
    with pytest.raises(RunFailed) as failed:
        run(coder(), {"fast": scripted({"critic": Fails("refused")})}, rectifier=rectifier, journal=journal)
    told = failed.value.result.interventions
    assert rectifier.asked == len(told) == 2
    assert all(not one.accepted and one.diagnostics[0].startswith("MAS921: ") for one in told)
    assert [row.kind for row in journal.read("r")[1]].count("patch") == 0


def test_case_e_a_budget_stop_in_a_loop_goes_on_with_a_cheaper_critic() -> None:
    """The loop is at its second round when the money runs short: finished steps stay, the rest is cheaper."""
    source = Source(
        "<input>",
        CODER.format(calls=30, tries=2, at=" at 30%").replace(
            "critic(code) -> text(100) on fast", "critic(code) -> text(100) on smart"
        ),
    )
    smart, fast = scripted({}, 900.0), scripted({}, 1.0)
    result = run(source, {"fast": fast, "smart": smart}, budget=Limits(usd=0.5))
    accepted = [one for one in result.interventions if one.accepted]
    assert accepted and accepted[0].trigger.measure == "usd" and "bind critic = " in accepted[0].patch
    steps = [request.step for model in (smart, fast) for request in model.requests]
    assert len(steps) == len(set(steps)), "nothing was asked twice"


def test_a_refusal_by_the_budget_is_a_failure_too() -> None:
    few = Limits(calls=7)
    result = run(coder(), {"fast": scripted({})}, budget=few)
    (one,) = result.interventions
    assert one.trigger.cause == "budget" and one.trigger.measure == "calls" and one.accepted
    assert result.calls <= 7 and result.value == "text"
    with pytest.raises(BudgetExceeded):
        run(coder(), {"fast": scripted({})}, budget=few, rectifier=False)


def test_a_crash_behind_the_patch_row_goes_on_with_the_patched_program() -> None:
    journal = MemoryJournal()
    dead = scripted({"critic": Fails("refused")})

    def die(request: Any) -> Reply:
        raise KeyboardInterrupt

    with pytest.raises(BaseException):  # noqa: B017  the process dies in the first call of the patched program
        run(coder(), {"fast": dead, "smart": scripted({"critic": die})}, journal=journal)
    assert [row.kind for row in journal.read("r")[1]].count("patch") == 1
    fast, smart = scripted({"critic": Fails("refused")}), scripted({})
    loaded = masdsl.load(coder(), models={"fast": fast, "smart": smart, "default": fast})
    result = loaded.main.run_sync(journal=journal, resume="r")
    assert result.value == "text" and len(result.interventions) == 1
    assert {request.agent for request in smart.requests} == {"critic"}
    assert "critic" not in {request.agent for request in fast.requests}


def test_a_patch_row_that_does_not_fit_is_damage() -> None:
    journal = MemoryJournal()
    run(coder(), {"fast": scripted({"critic": Fails("refused")}), "smart": scripted({})}, journal=journal)
    opened = journal.resume("r")

    async def spoil() -> None:
        await opened.append("patch", body={"patch": "patch 1\nbind coder = smart\n", "base": "0" * 64, "new": "1" * 64})
        await opened.close()

    import asyncio

    asyncio.run(spoil())
    loaded = masdsl.load(coder(), models=scripted({}))
    with pytest.raises(JournalDamaged, match="its patch does not fit"):
        loaded.main.run_sync(journal=journal, resume="r")


def test_a_program_that_does_not_ask_for_it_is_not_rectified() -> None:
    text = CODER.format(calls=12, tries=1, at="").replace("rectify tries 1\n", "")
    models = {"fast": scripted({"critic": Fails("refused")}), "smart": scripted({})}
    with pytest.raises(RunFailed):
        run(Source("<input>", text), models)
    assert run(Source("<input>", text), models, rectifier=True).interventions[0].accepted
    assert DEFAULT.tiers["smart"]


class Says:
    """Proposes one patch."""

    name = "says"
    trusted = True

    def __init__(self, edits: str) -> None:
        self._edits = edits

    async def propose(self, state: State) -> Proposal:
        """Return the patch."""
        return Proposal(f"patch 1\n{self._edits}\n", "said so")


@pytest.mark.parametrize(
    ("edits", "policy", "again"),
    [
        ("bind coder = smart\nbind critic = smart", "frozen", 0),
        ("bind coder = smart\nbind critic = smart", "strict", 5),  # three drafts and the first round
        ("bind critic = smart\nredo main.drafts", "frozen", 3),
        ("bind critic = smart\nrename main.drafts = several", "frozen", 0),
        ("bind critic = smart\nwrap main.drafts in box: within calls 3", "frozen", 0),
    ],
)
def test_which_finished_steps_a_patched_run_does_again(edits: str, policy: str, again: int) -> None:
    fast = scripted({"main.refine.note[1]": Fails("refused")})
    smart = scripted({}, name="another")
    result = run(coder(calls=30), {"fast": fast, "smart": smart}, rectifier=Says(edits), policy=policy)
    assert [one.accepted for one in result.interventions] == [True], result.interventions
    asked = [request.step for model in (fast, smart) for request in model.requests]
    assert len(asked) == 9 + 1 + again, asked  # the note that failed was asked twice
    assert result.value == "text"


def test_a_caller_may_stop_a_rectified_run_and_go_on() -> None:
    from masdsl.runtime.failures import RunStopped

    journal, fast = MemoryJournal(), scripted({})
    loaded = masdsl.load(coder(), models=fast)
    with pytest.raises(RunStopped):
        loaded.main.run_sync(
            spec="x", journal=journal, run_id="r", should_stop=lambda s: "enough" if len(s.finished) == 5 else None
        )
    assert loaded.main.run_sync(journal=journal, resume="r").value == "text"
    assert len(fast.requests) == 9
