"""Steps that design systems while a program runs: what may be run, what it may take, how it goes on after a kill."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest

import masdsl
from masdsl import pipeline
from masdsl.bounds.flows import bound
from masdsl.bounds.rates import prices_of
from masdsl.cli import main as mas
from masdsl.config import DEFAULT, Config, Grant, ModelConfig
from masdsl.config.reader import parse_config
from masdsl.diagnostics.base import ERROR, Findings
from masdsl.diagnostics.render import render_short
from masdsl.fixes import State, mend
from masdsl.journal.memory import MemoryJournal, MemoryRun
from masdsl.loaded import LoadedProgram
from masdsl.meta import designing
from masdsl.meta.guide import language_guide
from masdsl.rectify.replay import replay
from masdsl.runtime import Limits, Result, RunFailed
from masdsl.runtime.models.base import Price, Request
from masdsl.runtime.models.scripted import Fails, Says, ScriptedModel
from masdsl.sizes import DESIGN_TOKENS, REQUEST_TOKENS, counted_tokens
from masdsl.source import Source
from masdsl.testing import run_tests
from tests.harness import designs
from tests.harness.bounding import exceeded
from tests.harness.journaled import CrashError, Crashing
from tests.harness.programs import granted, write
from tests.harness.virtual_time import run

DESIGN = 'tool design(query) -> text(200) from "masdsl.design"\n'
MAIN = """flow main(query) -> text(200) {
  within calls 8 tokens 60k {
    answer = design(query)
  }
  return answer
}
"""
PROGRAM = f"mas 1\n{DESIGN}{MAIN}"

SOLVER = """agent solver(query) -> text(200)
  "Solve: {{ query }}"
"""
JUDGE = """agent judge(query, draft: text(200)) -> text(200)
  "Improve on {{ draft }} for {{ query }}"
"""
ONE = f"mas 1\n{SOLVER}flow main(query) -> text(200) {{\n  answer = solver(query)\n  return answer\n}}\n"
TWO = f"""mas 1
{SOLVER}{JUDGE}flow main(query) -> text(200) {{
  draft = solver(query)
  answer = judge(query, draft)
  return answer
}}
"""
NESTED = f"""mas 1
{DESIGN}{SOLVER}flow main(query) -> text(200) {{
  draft = solver(query)
  within calls 4 tokens 30k {{
    answer = design(draft)
  }}
  return answer
}}
"""


def fenced(text: str) -> str:
    return f"So be it.\n```mas\n{text}```\n"


def config(depth: int = 1, *more: str) -> Config:
    return DEFAULT._replace(tools={"masdsl.design": Grant("design", depth=depth), **granted("web.get", *more)})


class Host:
    """A program with a scripted model, and what its designer is to write, try by try."""

    def __init__(
        self, *designs: Any, text: str = PROGRAM, depth: int = 1, config_: Config | None = None, **script: Any
    ) -> None:
        self.config = config(depth) if config_ is None else config_
        self.says(**{"designer": list(designs), "solver": "4", "judge": "It is 4.", **script})
        self.text = text

    def says(self, **script: Any) -> None:
        """Have a new model, which has not been asked anything."""
        self.model = ScriptedModel(script, price=Price(1.0, 2.0))
        self.models: Any = self.model

    @property
    def asked(self) -> list[str]:
        return [request.step for request in self.model.requests]

    def loaded(self, tools: Mapping[str, Any] | None = None) -> LoadedProgram:
        findings = Findings()
        program = pipeline.check_source(Source("design.mas", self.text), self.config, findings, priced=False)
        errors = [one for one in findings.sorted() if one.diagnostic.severity == ERROR]
        assert program is not None, render_short(errors)
        return LoadedProgram(program, self.config, self.models, tools)

    def play(self, **options: Any) -> Result:
        inputs = {} if "resume" in options else {"query": "2 + 2?"}
        return run(self.loaded().start("main", inputs, **options))

    def fails(self, **options: Any) -> RunFailed:
        with pytest.raises(RunFailed) as failure:
            self.play(**options)
        return failure.value

    def told(self, number: int) -> str:
        """What the designer was told in a try."""
        asked = [request for request in self.model.requests if request.agent == "designer"]
        return asked[number].messages[-1].content


def read(text: str) -> Config:
    """Return the configuration that a text says; it has no faults."""
    findings = Findings()
    found = parse_config(Source("mas.toml", text), "/mas.toml", findings)
    assert findings.ok, render_short(findings.sorted())
    return found


def judgements(result: Result) -> list[list[str]]:
    return [event.value for event in result.events if event.name == "checked" and event.kind == "finished"]


# ---------------------------------------------------------------- a design that is right


def test_a_system_is_designed_and_run_below_the_step() -> None:
    host = Host(fenced(TWO))
    result = host.play()
    assert result.value == "It is 4."
    assert host.asked == [
        "main.within.answer.designer[0]",
        "main.within.answer.main.draft[0]",
        "main.within.answer.main.answer[0]",
    ]
    assert result.calls == 3 <= 8
    steps = [(event.what, event.name, event.address) for event in result.events if event.kind == "started"]
    assert ("tool", "design", "main.within.answer") in steps
    assert ("flow", "main", "main.within.answer.main[0]") in steps
    assert "2 + 2?" in host.told(0) and "flow main(query: text(800)) -> text(200)" in host.told(0)
    assert "at most 8 calls and 60000 tokens" in host.told(0)


def test_named_types_and_tools_are_told_and_used() -> None:
    text = """mas 1
type Mood = good | bad
type Verdict { mood: Mood, why: text(40) }
type Page { text: text(50), mood: Mood }
tool get(url: text(90)) -> Page from "web.get"
tool design(about: text(30), moods: Mood[3]) -> Verdict from "masdsl.design" timeout 90
flow main(query: text(30)) -> Verdict {
  within calls 4 tokens 30k {
    verdict = design(query, [Mood.good])
  }
  return verdict
}
"""
    written = """mas 1
type Mood = good | bad
type Verdict { mood: Mood, why: text(40) }
type Page { text: text(50), mood: Mood }
tool get(url: text(90)) -> Page from "web.get"
agent critic(about: text(30), page: text(50), first: Mood) -> Verdict
  "{{ about }} {{ page }} {{ first }}"
flow main(about: text(30), moods: Mood[3]) -> Verdict {
  page = get("https://example.org")
  verdict = critic(about, page.text, first(moods) else Mood.bad)
  return verdict
}
"""
    seen: list[str] = []

    async def get(url: str) -> object:
        seen.append(url)
        return {"text": "a page", "mood": "bad"}

    verdict = {"mood": "bad", "why": "it rains"}
    host = Host(fenced(written.replace("first(moods) else Mood.bad", "page.mood")), text=text, critic=verdict)
    loaded = host.loaded({"web.get": get})
    result = run(loaded.start("main", {"query": "q"}))
    assert (str(result.value.mood), result.value.why) == ("bad", "it rains")
    assert seen == ["https://example.org"]
    head = host.told(0)
    for line in text.splitlines()[1:5]:
        assert line in head


def _designer(of: Config, text: str) -> Any:
    """Return the tool of a configuration, as a caller would pass it who passes all tools."""
    program = pipeline.check_source(Source("x", text), of, Findings(), priced=False)
    assert program is not None
    tools = [tool.declared for tool in pipeline.load(program).tools.values()]
    return designing.designer(of.tools["masdsl.design"], of).among(tools)


def test_machine_fixes_come_before_another_try() -> None:
    host = Host(
        ONE.replace("main(query) -> text(200)", "solve(problem) -> text(100)").replace("(query)\n  r", "(problem)\n  r")
    )
    assert host.play().value == "4"
    assert len(host.asked) == 2


# ---------------------------------------------------------------- designs that may not be run

DEAR = ONE.replace("  answer", "".join(f"  a{at} = solver(query)\n" for at in range(9)) + "  answer", 1)
WIDE = ONE.replace("-> text(200)\n", "-> text(200) max 30000 retry 1\n")
FAULTS: list[tuple[str, str, str]] = [
    ("I would rather not.", "MAS950", "no program"),
    (fenced("mas 1\nflow main(query) -> text(200) { return query + }\n"), "MAS", "no syntax"),
    (fenced(DEAR), "MAS4", "over budget in calls"),
    (fenced(WIDE), "MAS955", "over budget in tokens"),
    (fenced(ONE.replace("main(query) ->", "main(query, other) ->")), "MAS951", "another signature"),
    (
        fenced(ONE.replace("solver(query) -> text(200)\n", 'solver(query) -> text(200) on "gpt-5"\n')),
        "MAS956",
        "by name",
    ),
    (fenced(ONE.replace("mas 1\n", 'mas 1\ntool get(url) -> text(50) from "web.get"\n')), "MAS121", "ungranted tool"),
    (fenced(NESTED), "MAS121", "designs again"),
    (fenced(ONE.replace("mas 1\n", "mas 1\nuse pyproject: solve\n")), "MAS", "another module"),
]


@pytest.mark.parametrize(("reply", "code"), [fault[:2] for fault in FAULTS], ids=[fault[2] for fault in FAULTS])
def test_what_may_not_be_run_is_told_and_written_again(reply: str, code: str) -> None:
    host = Host(reply, fenced(ONE))
    result = host.play()
    assert result.value == "4"
    refused, taken = judgements(result)
    assert refused[0] == "" and any(code in line for line in refused[1:]), refused
    assert taken[0].startswith("mas 1")
    assert "It cannot stay so:" not in host.told(0)
    assert all(line in host.told(1) for line in refused[1:])


def test_after_three_tries_the_step_fails_and_says_why() -> None:
    host = Host("no", "nein", "non")
    failure = host.fails()
    assert failure.step == "main.within.answer"
    assert "no system came of 3 tries" in failure.reason and "MAS950" in failure.reason
    assert len(host.asked) == 3


def test_the_tools_else_takes_the_place_of_a_system() -> None:
    text = PROGRAM.replace("-> text(200) from", '-> text(200) else "unknown" from', 1)
    assert Host("no", text=text).play().value == "unknown"


def test_nothing_is_designed_beyond_the_slice() -> None:
    text = PROGRAM.replace("calls 8", "calls 2")
    host = Host("no", text=text)
    failure = host.fails()
    assert "calls" in failure.reason and len(host.asked) == 2


def test_effects_and_tools_that_not_everybody_may_decide_about_are_out_of_reach() -> None:
    extra = 'tool send(to) -> bool from "mail.send" effect\ntool get(url) -> text(50) from "web.get"\n'
    trust = read('[tools]\n"web.get" = "a:b"\n[trust.effects]\n"web.get" = "model"\n').trust
    for name, own, its in (
        ("send", config(1, "mail.send"), 'tool send(to) -> bool from "mail.send" effect\n'),
        ("get", config(1, "mail.send")._replace(trust=trust), 'tool get(url) -> text(50) from "web.get"\n'),
    ):
        use = ONE.replace("mas 1\n", f"mas 1\n{its}").replace("  return", f"  done = {name}(answer)\n  return")
        host = Host(fenced(use), fenced(ONE), text=PROGRAM.replace("mas 1\n", f"mas 1\n{extra}"), config_=own)
        findings = Findings()
        program = pipeline.check_source(Source("x", host.text), own, findings, priced=False)
        assert program is not None
        tools = {"mail.send": _send, "web.get": _get}
        result = run(LoadedProgram(program, own, host.model, tools).start("main", {"query": "q"}))
        assert any("MAS121" in line for line in judgements(result)[0]), judgements(result)


async def _send(to: str) -> bool:
    raise AssertionError("nobody may send")


async def _get(url: str) -> str:
    raise AssertionError("nobody may look")


# ---------------------------------------------------------------- depth


def test_a_second_level_is_designed_where_the_grant_says_so() -> None:
    host = Host(fenced(NESTED), fenced(ONE), depth=2)
    result = host.play()
    assert result.value == "4"
    assert host.asked == [
        "main.within.answer.designer[0]",
        "main.within.answer.main.draft[0]",
        "main.within.answer.main.within.answer.designer[0,0]",
        "main.within.answer.main.within.answer.main.answer[0,0]",
    ]
    assert DESIGN.split(" -> ")[0].removesuffix("(query)") in host.told(0)
    assert "tool design" not in host.told(1).partition("# Your task")[2]


def test_the_last_level_has_no_grant() -> None:
    host = Host(fenced(NESTED), fenced(NESTED), fenced(ONE), depth=2)
    result = host.play()
    assert result.value == "4"
    assert any("MAS121" in line for line in judgements(result)[1])


def test_the_grant_says_which_tier_designs() -> None:
    host, cheap, dear = _two_tiers()
    host.config = host.config._replace(tools={"masdsl.design": Grant("design", tier="smart")})
    host.models["smart"] = ScriptedModel({"designer": fenced(ONE)}, name="dear")
    assert host.play().value == "4"
    assert [request.agent for request in cheap.requests] == ["solver"] and not dear.requests
    text = '[tools]\n"masdsl.design" = { kind = "design", tier = "smart" }\n'
    assert read(text).tools["masdsl.design"].tier == "smart"


def test_three_levels_at_most() -> None:
    deep = Grant("design", depth=3)
    assert read('[tools]\n"masdsl.design" = { kind = "design", depth = 3 }\n').tools["masdsl.design"] == deep
    for wrong in ('tier = "no such"', "depth = 4", "depth = 0", "depth = true", "effect = true", 'path = "x"'):
        with pytest.raises(AssertionError):
            read(f'[tools]\n"masdsl.design" = {{ kind = "design", {wrong} }}\n')


# ---------------------------------------------------------------- failures inside


def test_a_system_that_fails_is_designed_once_more_and_told_why() -> None:
    host = Host(fenced(TWO), fenced(ONE), judge=Fails("refused", "not today"))
    result = host.play()
    assert result.value == "4"
    assert "the step main.within.answer.main.answer[0] failed: " in host.told(1) and "not today" in host.told(1)
    assert TWO.strip() in host.told(1)
    assert host.asked[-1] == "main.within.answer.main.answer[2]"
    assert [event.value[0] for event in result.events if event.name == "mended" and event.kind == "finished"] == [""]


def test_a_second_failure_is_the_steps() -> None:
    failure = Host(fenced(TWO), judge=Fails("refused", "not today")).fails()
    assert (failure.step, "not today" in failure.reason) == ("main.within.answer.main.answer[2]", True)


def _two_tiers() -> tuple[Host, ScriptedModel, ScriptedModel]:
    """Return a program with two models, of which the cheap one refuses to judge."""
    tiers = {"default": "cheap", "fast": "cheap", "smart": "dear"}
    models = {name: ModelConfig(name, "openai", name, "http://localhost:9/v1") for name in ("cheap", "dear")}
    host = Host(config_=config()._replace(tiers=tiers, models=models))
    cheap = ScriptedModel({"designer": fenced(TWO), "solver": "4", "judge": Fails("refused")}, name="cheap")
    dear = ScriptedModel({"*": "It is 4."}, price=Price(3.0, 4.0), name="dear")
    host.models = {"default": cheap, "fast": cheap, "smart": dear}
    return host, cheap, dear


def test_rules_mend_a_system_before_a_model_is_asked_again() -> None:
    host, cheap, dear = _two_tiers()
    loaded = host.loaded()
    result = run(loaded.start("main", {"query": "2 + 2?"}))
    assert result.value == "It is 4."
    assert [request.step for request in dear.requests] == ["main.within.answer.main.answer[1]"]
    assert [request.agent for request in cheap.requests].count("designer") == 1
    mended = next(event.value for event in result.events if event.name == "mended" and event.kind == "finished")
    assert "agent judge(query, draft: text(200)) -> text(200) on smart" in mended[0]
    assert mended[1] == "`judge` goes to another model: dear"


def test_a_designer_without_a_model_fails_the_step() -> None:
    failure = Host(Fails("refused", "nobody there")).fails()
    assert failure.step == "main.within.answer.designer[0]" and "nobody there" in failure.reason


def test_what_a_flow_does_behind_a_failed_design() -> None:
    text = PROGRAM.replace("answer = design(query)", 'answer = design(query) else "none came"')
    result = Host("no", text=text).play()
    assert result.value == "none came" and result.calls == 3


# ---------------------------------------------------------------- journal


def _kept(host: Host, journal: MemoryJournal, run_id: str = "r1", **options: Any) -> Result:
    return host.play(journal=journal, run_id=run_id, **options)


def test_a_finished_design_is_reused_whole_and_counted_in_its_slice() -> None:
    after = 'agent late(draft: text(200)) -> text(200)\n  "Late {{ draft }}"\n'
    text = f"mas 1\n{DESIGN}{after}" + MAIN.replace("  }\n  return answer", "    end = late(answer)\n  }\n  return end")
    for most, asked in ((8, ["main.within.end"]), (3, [])):
        host = Host(fenced(TWO), text=text.replace("calls 8", f"calls {most}"), late=Fails("refused", "gone"))
        journal = MemoryJournal()
        with pytest.raises(RunFailed):
            _kept(host, journal)
        host.says(late="late")
        if asked:
            result = host.play(journal=journal, resume="r1")
            assert result.value == "late"
        else:  # its three calls have used the slice up
            result = host.fails(journal=journal, resume="r1").result
        assert host.asked == asked
        assert [event.address for event in result.events if event.kind == "reused"] == ["main.within.answer"]


@pytest.mark.parametrize("rows", range(1, 16))
def test_a_run_that_is_killed_designs_nothing_again(rows: int) -> None:
    whole = Host("no", fenced(TWO))
    full = MemoryJournal()
    expected = _kept(whole, full)
    journal = MemoryJournal()
    opened = _killed(Host("no", fenced(TWO)), journal, rows)
    second = Host(_by_number)
    result = second.play(journal=journal, resume="r1")
    assert result.value == expected.value
    replied = sum(row.kind == "reply" for row in opened.rows()[:rows])
    assert len(second.asked) == expected.calls - replied
    assert result.calls - expected.calls in (0, 1)  # a call that was under way may have been paid for


def _killed(host: Host, journal: MemoryJournal, rows: int) -> MemoryRun:
    """Return a run whose process was gone when it had written so many rows."""
    loaded, inputs = host.loaded(), {"query": "2 + 2?"}
    opened = journal.create(loaded._header("main", inputs, 0, "frozen", "r1"))
    tools = {"masdsl.design": _designer(host.config, host.text)}
    with suppress(CrashError, BaseExceptionGroup):
        run(loaded.compiled.run("main", inputs, models=host.models, tools=tools, run=Crashing(opened, rows)))
    run(opened.close())
    return opened


def _by_number(request: Request) -> str:
    return "no" if request.step.endswith("[0]") else fenced(TWO)


def test_a_kept_run_is_replayed_without_designing() -> None:
    host, journal = Host(fenced(TWO)), MemoryJournal()
    expected = _kept(host, journal)
    header, rows = journal.read("r1")
    result = run(replay(header, rows, host.loaded().ground_of(header)))
    assert (result.value, result.calls, result.tokens) == (expected.value, expected.calls, expected.tokens)


@pytest.mark.parametrize("rows", range(2, 20, 2))
def test_a_run_that_is_killed_goes_on_with_what_rules_have_mended(rows: int) -> None:
    host, cheap, dear = _two_tiers()
    expected = _kept(host, MemoryJournal())
    paid = len(cheap.requests) + len(dear.requests)
    journal = MemoryJournal()
    opened = _killed(_two_tiers()[0], journal, rows)
    done = sum(row.kind in ("reply", "fault") for row in opened.rows()[:rows])
    host, cheap, dear = _two_tiers()
    result = host.play(journal=journal, resume="r1")
    assert (result.value, result.calls - expected.calls in (0, 1)) == (expected.value, True)
    assert len(cheap.requests) + len(dear.requests) == paid - done


BOTH = PROGRAM.replace("answer = design(query)", "both = 2 of design(query)")
BOTH = BOTH.replace("return answer", 'return join(both, " ")').replace("-> text(200) {", "-> text(402) {")


@pytest.mark.parametrize("rows", range(1, 12, 2))
def test_samples_keep_their_own_designs_when_a_run_goes_on(rows: int) -> None:
    def late(request: Request) -> Says:
        return Says(fenced(ONE), after=5.0 if request.step.endswith("[0,0]") else 0.0)

    host = Host(late, text=BOTH, solver=lambda request: request.step[-4:])
    journal = MemoryJournal()
    opened = _killed(host, journal, rows)
    assert len(opened.rows()) >= rows
    assert host.play(journal=journal, resume="r1").value == "0,0] 1,0]"
    header, kept = journal.read("r1")
    assert run(replay(header, kept, host.loaded().ground_of(header))).value == "0,0] 1,0]"


# ---------------------------------------------------------------- static


def errors(text: str, of: Config | None = None) -> list[str]:
    found = masdsl.check(Source("x.mas", text), config=of or config())
    return [one.diagnostic.code for one in found if one.diagnostic.severity == ERROR]


BODY = "  answer = design(query)\n  return answer\n"


@pytest.mark.parametrize(
    ("flow", "codes"),
    [
        (f"flow main(query) -> text(200) {{\n{BODY}}}\n", ["MAS125"]),
        (f"flow main(query) -> text(200) budget calls 8 {{\n{BODY}}}\n", ["MAS125"]),
        (f"flow main(query) -> text(200) budget tokens 9k {{\n{BODY}}}\n", ["MAS125"]),
        (f"flow main(query) -> text(200) budget calls 8 tokens 9k {{\n{BODY}}}\n", []),
        (f"flow main(query) -> text(200) budget calls 8 {{\n  within tokens 9k {{\n{BODY}  }}\n}}\n", []),
        (f"budget calls 8 tokens 9k\nflow main(query) -> text(200) {{\n{BODY}}}\n", ["MAS125"]),
        (f"flow main(query) -> text(200) {{\n  within calls 8 tokens 3k {{\n{BODY}  }}\n}}\n", ["MAS401"]),
        ("flow main(query) -> text(200) {\n  x = 2 of design(query)\n  return first(x)\n}\n", ["MAS125"]),
    ],
)
def test_a_slice_has_to_limit_calls_and_tokens(flow: str, codes: list[str]) -> None:
    assert errors(f"mas 1\n{DESIGN}{flow}") == codes


def test_the_machine_fix_puts_the_step_into_a_slice() -> None:
    text = f"mas 1\n{DESIGN}flow main(query) -> text(200) {{\n{BODY}}}\n"

    def check(source: Source) -> State:
        found = masdsl.check(source, config=config())
        return State([one for one in found if one.diagnostic.severity == ERROR])

    mended = mend(Source("x.mas", text), check, suggested=True)
    assert not mended.left and "within calls 10 tokens 40k" in mended.source.text


def test_an_effect_or_no_input_is_refused() -> None:
    assert errors(PROGRAM.replace('"masdsl.design"', '"masdsl.design" effect')) == ["MAS122"]
    assert errors(PROGRAM.replace("design(query)", "design()")) == ["MAS122"]


def test_the_model_is_given_no_less_than_the_bound_says() -> None:
    least = counted_tokens(language_guide()) + REQUEST_TOKENS + designing.REPLY_TOKENS
    assert least >= DESIGN_TOKENS, "the guide has become shorter: lower sizes.DESIGN_TOKENS"


@pytest.mark.parametrize("seed", range(24))
def test_no_design_takes_more_than_its_bound_however_greedy(seed: int) -> None:
    known = designs.drawn(Random(seed))
    case = designs.case(known)
    found = bound(case.program, case.prices).flows["main"]
    for slow in (False, True):
        assert not exceeded(designs.taken(known, slow), found), known.body


def test_what_a_run_takes_is_never_above_the_bound() -> None:
    for replies in (("no",), (fenced(TWO),), (fenced(TWO), fenced(NESTED)), (fenced(NESTED), fenced(ONE))):
        for depth in (1, 2):
            host = Host(*replies, depth=depth, judge=Fails("refused"))
            program = host.loaded().checked
            price = {"design": host.model.price}
            most = bound(program, prices_of(program, host.config)).flows["main"].most
            assert (most.calls, most.tokens) == (8, 60_000) and price
            try:
                result = host.play()
            except RunFailed as failure:
                result = failure.result
            assert result.calls <= most.calls and result.tokens <= most.tokens
            slices = Limits(calls=8, tokens=60_000)
            assert result.calls <= (slices.calls or 0)


def test_what_is_designed_is_as_untrusted_as_what_it_may_read() -> None:
    text = """mas 1
tool get(url) -> text(50) from "web.get"
tool design(query) -> text(200) from "masdsl.design"
tool send(to: text(200)) -> bool from "mail.send" effect
flow main(query) -> bool {
  within calls 8 tokens 60k {
    answer = design(query)
  }
  done = send(answer)
  return done
}
"""
    web = Grant("http", allow=("example.org",))
    own = config(1, "mail.send")
    outside = own._replace(tools={**own.tools, "web.get": web})
    alone = text.replace('tool get(url) -> text(50) from "web.get"\n', "")
    assert errors(text, outside) == ["MAS551"]
    assert errors(alone, outside) == []  # a model may decide about it, by default
    tools = '[tools]\n"masdsl.design" = "design"\n"mail.send" = "a:b"\n'
    assert errors(alone, read(f'{tools}[trust.effects]\n"mail.send" = "trusted"\n')) == ["MAS551"]
    secret = f'{tools}[trust.secrets.who]\ninputs = ["query"]\n'
    assert errors(PROGRAM, read(f"{secret}readers = []\n")) == ["MAS554"]
    assert errors(PROGRAM, read(f'{secret}readers = ["masdsl.design"]\n')) == []


def test_a_test_stands_in_for_the_whole_step() -> None:
    text = (
        PROGRAM
        + 'test "it says so" {\n  given design = "42"\n  out = main("q")\n'
        + '  expect out == "42"\n  expect calls == 0\n}\n'
    )
    loaded = Host(text=text).loaded()
    assert [outcome.passed for outcome in run_tests(loaded.checked)] == [True]


def test_agents_and_designers_can_be_stood_in_for() -> None:
    loaded = Host().loaded()
    stand_ins: dict[str, Callable[[Mapping[str, Any]], Any]] = {
        "designer": lambda inputs: fenced(ONE),
        "solver": lambda inputs: "five",
    }
    result = loaded.compiled.run_sync(
        "main", {"query": "q"}, models={}, stand_ins=stand_ins, tools={"masdsl.design": _designer(config(), PROGRAM)}
    )
    assert result.value == "five"


# ---------------------------------------------------------------- commands


def test_the_commands_know_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    path = write(tmp_path, PROGRAM, config='[tools]\n"masdsl.design" = { kind = "design", depth = 2 }\n')
    monkeypatch.chdir(tmp_path)
    assert mas(["check", str(path)]) == 0
    assert mas(["tools", "--check", str(path)]) == 0
    assert "masdsl.design  works    the built-in `design`, 2 levels deep" in capsys.readouterr().out
    assert mas(["cost", str(path)]) == 0
    shown = capsys.readouterr().out
    assert "8" in shown and "60,000" in shown
    assert mas(["trust", str(path)]) == 0
    assert "model" in capsys.readouterr().out
    assert mas(["build", str(path)]) == 0
    assert 'granted_as="masdsl.design"' in (tmp_path / "program_mas.py").read_text(encoding="utf-8")
    capsys.readouterr()
    script = tmp_path / "script.toml"
    script.write_text(f"[replies]\ndesigner = '''\n{fenced(ONE)}'''\nsolver = \"4\"\n", encoding="utf-8")
    assert mas(["run", str(path), "--script", str(script), "--events", "query=2+2?"]) == 0
    out = capsys.readouterr()
    loaded = Host(fenced(ONE)).loaded()
    assert loaded.compiled.run_sync("main", {"query": "2 + 2?"}, models=loaded._models).value == "4"
    assert out.out.strip() == "4" and "main.within.answer.main.answer" in out.err
