"""Rules that repairs teach: distilled, applied to other programs, never to a program's harm, counted and retired."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import masdsl
from masdsl.cli import main as mas
from masdsl.config import DEFAULT, Config, load_config
from masdsl.diagnostics.base import Findings
from masdsl.diagnostics.render import render_short
from masdsl.journal import open_journal
from masdsl.meta.host import Host
from masdsl.meta.immunity import Rule, apply, distil, ground_of
from masdsl.meta.learned import seams_of
from masdsl.meta.places import matches, sites_of
from masdsl.meta.rulebook import Book, change, counted, learned, read_book, rule_of, why_retired, wilson_upper
from masdsl.patch.identity import base_of
from masdsl.patch.patching import apply_patch
from masdsl.rectify.base import Intervention, Trigger
from masdsl.rectify.capabilities import capabilities
from masdsl.resources import names, read_text
from masdsl.runtime.models.base import Price
from masdsl.runtime.models.scripted import Fails, ScriptedModel
from masdsl.source import Source
from masdsl.syntax import ast
from masdsl.syntax.parse import parse_program
from tests.harness.programs import granted

ROOT = Path(__file__).resolve().parent.parent
CONFIG: Config = DEFAULT._replace(tools=granted("web.find", "web.seek", "mail.send"))


def host(config: Config = CONFIG) -> Host:
    """A host with a model of its own behind each tier."""
    prices = {"fast": 1.0, "default": 5.0, "smart": 9.0}
    return Host(
        config, {name: ScriptedModel({"*": "x"}, name=f"m-{name}", price=Price(p, p)) for name, p in prices.items()}
    )


FIRST = """mas 1

tool find(q) -> text(100) from "web.find"
tool seek(q) -> text(100) from "web.seek"
tool send(body) -> bool from "mail.send" effect

agent writer(topic) -> text(60) on fast
  "Write about {{ topic }}"

agent rater(draft: text(60)) -> int on smart max 200
  "Rate {{ draft }}"

flow main(query) -> text(60) {
  fact = find(query)
  draft = writer(fact)
  more: loop 4 {
    score = rater(draft)
    until score > 3
    draft = writer(query)
  }
  return draft
}
"""
SECOND = """mas 1

tool lookup(words) -> text(100) from "web.find"
tool other(words) -> text(100) from "web.seek"

agent poet(theme, mood = "glad") -> text(80) on fast
  "A poem about {{ theme }}, {{ mood }}"

agent judge(a: text(80), b: text(80)) -> int on smart
  "Which? {{ a }} {{ b }}"

flow main(query) -> text(80) {
  seen = lookup(words: query)
  rounds: loop 9 {
    one = poet(seen)
    two = poet(query, "sad")
    chosen = judge(one, two)
    until chosen == 1
  }
  again = poet(query)
  return again
}
"""


def done(step: str, cause: str, patch: str, measure: str = "") -> Intervention:
    """An intervention that was accepted."""
    return Intervention(Trigger("failure", cause, step, "x", measure), "rules", f"patch 1\n{patch}\n", "why", True)  # type: ignore[arg-type]


def taught(step: str, cause: str, patch: str, measure: str = "", config: Config = CONFIG) -> Rule:
    rule = distil(FIRST, done(step, cause, patch, measure), host(config))
    assert isinstance(rule, Rule), rule
    return rule


def checks(text: str) -> bool:
    findings = Findings()
    program = ground_of(host()).check(Source("<input>", text), findings)
    assert findings.ok, render_short(findings.sorted())
    return program is not None


def test_the_programs_of_this_page_check() -> None:
    assert checks(FIRST) and checks(SECOND)


LESSONS = {
    "another tier": (
        ("main.draft", "timeout", "bind writer = smart"),
        ("bind $agent = smart",),
        ("bind poet = smart",),
    ),
    "another tool": (
        ("main.fact", "tool", "replace main.fact = seek(query)"),
        ("replace $step = $retooled",),
        ("replace main.seen = other(words: query)",),
    ),
    "a default": (
        ("main.fact", "tool", 'otherwise main.fact = ""'),
        ('otherwise $step = ""',),
        ('otherwise main.seen = ""',),
    ),
    "a shorter reply": (("main.more.score", "timeout", "set rater.max = 100"), ("set $agent.max = 100",), ()),
    "fewer rounds": (("main.more.score", "too_long", "set main.more.times = 2"), ("set $loop.times = 2",), None),
    "without the step": (
        ("main.fact", "tool", "replace main.fact = query"),
        ("replace $step = $input.q",),
        (),
    ),
}


@pytest.mark.parametrize("what", LESSONS)
def test_a_repair_becomes_a_rule_with_holes_for_its_addresses(what: str) -> None:
    lesson, edits, elsewhere = LESSONS[what]
    rule = taught(*lesson)
    assert rule.edits == edits and rule.guard["else"] == "no"
    own = apply(rule, FIRST, host())
    assert own is not None and own.patches == (lesson[2],)
    applied = apply(rule, SECOND, host())
    if elsewhere is not None:
        assert (() if applied is None else applied.patches) == elsewhere


def test_a_rule_knows_a_number_by_its_bound() -> None:
    rule = taught("main.more.score", "too_long", "set main.more.times = 2")
    assert rule.guard["times"] == "> 2"
    assert apply(rule, FIRST.replace("loop 4", "loop 2"), host()) is None
    assert apply(rule, FIRST.replace("loop 4", "loop 3"), host()) is not None


def test_a_guard_is_as_narrow_as_it_takes_to_leave_the_steps_alone_that_did_not_fail() -> None:
    wide = taught("main.fact", "tool", 'otherwise main.fact = ""')
    assert set(wide.guard) == {"calls", "tool", "else", "gives"}
    narrow = taught("main.draft", "refused", 'otherwise main.draft = ""')
    assert narrow.guard["around"] == "", "the same agent is asked in the loop as well"
    inner = taught("main.more.draft", "refused", 'otherwise main.more.draft = ""')
    assert inner.guard["around"] == "loop"
    twins = FIRST.replace("  draft = writer(fact)\n", "  draft = writer(fact)\n  second = writer(draft)\n")
    said = distil(twins, done("main.second", "refused", 'otherwise main.second = ""'), host())
    assert said == "other steps of the program look the same and did not fail"


BUDGET = "budget calls 6\n"


def test_a_rule_for_want_of_budget_is_for_programs_above_theirs() -> None:
    program = FIRST.replace("mas 1\n", f"mas 1\n\n{BUDGET}")
    small = host(CONFIG._replace(ceiling=CONFIG.ceiling._replace(tokens=3_000)))
    rule = distil(program, done("main.more.score", "budget", "set main.more.times = 1", "tokens"), small)
    if isinstance(rule, str):
        pytest.fail(rule)
    assert rule.over == "tokens"
    assert apply(rule, program, small) is not None
    assert apply(rule, program, host()) is None, "it fits there at its worst"


NOTHING_TAUGHT = {
    "about another agent": ("main.draft", "timeout", "bind rater = fast", "more than the step"),
    "a new declaration": ("main.draft", "timeout", 'add agent o(x) -> text(9) "{{ x }}"', "more than the step"),
    "a patch of the budget": ("main.draft", "timeout", "budget calls 3", "more than the step"),
    "names of its own program": ("main.fact", "tool", "replace main.fact = writer(query)", "more than the step"),
    "no such step": ("main.nothing", "timeout", "bind writer = smart", "not one of the program's own"),
    "a budget that was no limit": ("main.draft", "budget", "set writer.max = 20", "before it runs"),
}


@pytest.mark.parametrize("what", NOTHING_TAUGHT)
def test_what_teaches_nothing_says_why(what: str) -> None:
    step, cause, patch, why = NOTHING_TAUGHT[what]
    said = distil(FIRST, done(step, cause, patch, "tokens" if cause == "budget" else ""), host())
    assert isinstance(said, str) and why in said


def test_a_refused_patch_teaches_nothing() -> None:
    refused = done("main.draft", "timeout", "bind writer = smart")._replace(accepted=False)
    assert distil(FIRST, refused, host()) == "no patch was applied"


HOSTILE = {
    "reaches an effect": 'otherwise $step = "evil"',
    "another tool": 'set $tool.from = "mail.send"',
    "a bigger budget": "budget calls 999",
    "an agent with a tool": 'add agent r(x) -> text(9) tools [send] steps 2 "Rule {{ x }}"',
    "a model of its own": 'bind $agent = "openai/gpt-4o"',
    "no patch at all": "}{",
    "a hole that is none": "bind $nobody = smart",
    "far too long": "drop main.x\n" * 3_000,
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_rule_that_was_edited_to_do_harm_is_not_applied(what: str) -> None:
    program = FIRST.replace("mas 1\n", f"mas 1\n\n{BUDGET.replace('6', '9')}").replace(
        "  return draft\n", "  sent = send(fact)\n  return draft\n"
    )
    rule = Rule("tool", {"calls": "tool", "tool": "web.find"}, (HOSTILE[what],))
    assert checks(program)
    assert apply(rule, program, host()) is None


# ---------------------------------------------------------------- laws

POOL = tuple(names("examples/pool", ".mas"))[::10]
POOL_CONFIG = load_config(str(ROOT / "examples" / "pool"), Findings())
PATCHES = ("bind {agent} = smart", "otherwise {step} = {default}", "set {agent}.max = 20", "drop {step}")
DEFAULTS = {"text": '""', "int": "0", "float": "0.0", "bool": "false"}


def _tries(text: str) -> Iterator[tuple[Any, str]]:
    found = host(POOL_CONFIG).check(text, Findings())
    if found is None or not any(flow.name == "main" for flow in found.flows):
        return
    key = next(flow.key for flow in found.flows if flow.name == "main")
    own = [site for site in sites_of(found, key, ()) if site.address.startswith("main.")]
    for site in own[:2]:
        default = DEFAULTS.get(site.traits["gives"].partition("(")[0])
        for patch in PATCHES[: 4 if default else 1]:
            if site.traits["calls"] == "agent" or "{agent}" not in patch:
                yield site, patch.format(agent=site.callee.name, step=site.address, default=default)


@pytest.mark.parametrize("name", POOL)
def test_a_rule_gives_the_program_it_came_from_what_the_patch_gave_it(name: str) -> None:
    """And what it makes of any program checks, may do no more, and is left alone when the rule comes again."""
    text = read_text("examples/pool", name)
    here = host(POOL_CONFIG)
    ground = ground_of(here)
    for site, patch in _tries(text):
        cause = "tool" if site.traits["calls"] == "tool" else "timeout"
        rule = distil(text, done(site.address, cause, patch), here)
        if isinstance(rule, str):
            assert "look the same" in rule or "would not be taken" in rule or site.traits["else"] == "yes"
            continue
        wanted = apply_patch(Source("<p>", f"patch 1\n{patch}\n"), Source("<input>", text), Findings())
        applied = apply(rule, text, here)
        assert applied is not None and wanted is not None
        assert _base(applied.text) == base_of(wanted.program), f"{patch}: {rule.edits}"
        before, after = (ground.check(Source("<input>", one), Findings()) for one in (text, applied.text))
        assert before is not None and after is not None
        assert capabilities(after, here.config).tools <= capabilities(before, here.config).tools
        assert apply(rule, applied.text, here) is None


def _base(text: str) -> str:
    document = parse_program(Source("<input>", text), Findings()).document
    assert isinstance(document, ast.Program)
    return base_of(document)


TEXTS = st.text(max_size=20)
COUNTS = st.integers(0, 10**9)
RULES = st.builds(
    Rule,
    st.sampled_from(["timeout", "tool", "budget"]),
    st.dictionaries(TEXTS, TEXTS, min_size=1, max_size=3),
    st.lists(TEXTS, min_size=1, max_size=3).map(tuple),
    *([TEXTS] * 4),
    *([COUNTS] * 5),
    TEXTS,
)


@given(RULES)
@settings(max_examples=60, deadline=None)
def test_a_rule_is_read_as_it_was_written(rule: Rule) -> None:
    data = json.loads(json.dumps({"masdsl_rule": 1, **rule.to_json()}))
    assert rule_of(data) == rule and rule_of(data).name == rule.name


@given(
    st.dictionaries(
        st.sampled_from(["calls", "model", "times"]), st.sampled_from(["agent", "> 3", "< 3", "none", "x"])
    ),
    st.sampled_from(PATCHES).map(lambda patch: patch.format(agent="$agent", step="$step", default='""')),
)
@settings(max_examples=25, deadline=None)
def test_whatever_a_rule_says_no_program_becomes_unsound(guard: dict[str, str], edit: str) -> None:
    here = host()
    applied = apply(Rule("timeout", guard, (edit,)), FIRST, here)
    if applied is not None:
        assert checks(applied.text)


@given(st.integers(0, 200), st.integers(0, 200))
def test_the_wilson_bound_is_above_the_share_and_never_above_one(successes: int, more: int) -> None:
    upper = wilson_upper(successes, successes + more)
    assert upper <= 1 and (not successes + more or upper >= successes / (successes + more))


@pytest.mark.parametrize(
    ("wanted", "found", "holds"),
    [
        ("a", "a", True),
        ("a", "b", False),
        ("> 3", "4", True),
        ("> 3", "3", False),
        ("> 3", "none", False),
        ("< 3", "2", True),
        ("none", "none", True),
        ("> x", "4", False),
    ],
)
def test_guards(wanted: str, found: str, holds: bool) -> None:
    assert matches({"max": wanted}, {"max": found}) is holds
    assert not matches({"tool": wanted}, {"max": found}) or wanted == ""


# ---------------------------------------------------------------- counted and retired

RULE = Rule("timeout", {"calls": "agent", "model": "m-fast", "else": "no"}, ("bind $agent = smart",), origin="s, rules")


def runs(book: Book, *good: bool, used: bool = True) -> Book:
    for one in good:
        book = counted(book, {RULE.name: one} if used else {}, one)
    return book


def test_a_rule_is_retired_after_three_failures_in_a_row_and_begins_anew_when_it_is_learned_again() -> None:
    book = runs(learned(Book(), RULE), True, False, False)
    assert book.active and book.rules[0].row == 2
    assert runs(book, True).rules[0].row == 0
    book = runs(book, False)
    assert not book.active and book.rules[0].retired == "3 failures in a row"
    again = learned(book, RULE)
    assert again.active and (again.rules[0].uses, again.rules[0].seen) == (0, 2)


def test_a_rule_is_retired_when_runs_without_it_are_surely_better() -> None:
    book = runs(learned(Book(), RULE), *[True] * 50, used=False)
    assert (book.runs, book.good) == (50, 50)
    book = runs(book, True, False, True, False, True, False)
    assert not book.active and "3 of 5 uses" in book.rules[0].retired
    assert why_retired(RULE._replace(uses=5, successes=3), 50, 25) == "", "no better than that without it"
    assert why_retired(RULE._replace(uses=4, successes=0), 50, 50) == "", "too few uses to say"


def test_the_same_rule_is_kept_once() -> None:
    book = learned(learned(Book(), RULE), RULE._replace(origin="t, rules"))
    assert len(book.rules) == 1 and book.rules[0].seen == 2


DAMAGED = {
    "cut off": '{"masdsl_rule": 1, "cau',
    "no object": "[1, 2]",
    "a later one": '{"masdsl_rule": 2}',
    "an unknown cause": json.dumps({"masdsl_rule": 1, **RULE.to_json(), "cause": "moon"}),
    "no guard": json.dumps({"masdsl_rule": 1, **RULE.to_json(), "guard": {}}),
    "wrong types": json.dumps({"masdsl_rule": 1, **RULE.to_json(), "edits": [1]}),
    "negative counts": json.dumps({"masdsl_rule": 1, **RULE.to_json(), "uses": -1}),
    "nested": "[" * 100_000,
}


@pytest.mark.parametrize("what", DAMAGED)
def test_a_damaged_line_is_told_left_out_and_kept(what: str, tmp_path: Path) -> None:
    change(str(tmp_path), lambda book: learned(book, RULE))
    path = tmp_path / "rules.jsonl"
    path.write_text(DAMAGED[what] + "\n" + path.read_text())
    findings = Findings()
    assert read_book(str(tmp_path), findings).rules == (RULE,)
    assert "rules.jsonl:1:1" in render_short(findings.sorted()) and "MAS966" in render_short(findings.sorted())
    change(str(tmp_path), lambda book: learned(book, RULE))
    assert DAMAGED[what] in path.read_text() and '"seen": 2' in path.read_text()


COUNTING = """
import sys
from masdsl.meta.immunity import Rule
from masdsl.meta.rulebook import change, counted, learned
rule = Rule("timeout", {"calls": "agent"}, ("bind $agent = smart",))
for number in range(10):
    change(sys.argv[1], lambda book: counted(learned(book, rule), {rule.name: True}, True))
"""


def test_processes_that_count_at_once_lose_nothing(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    workers = [subprocess.Popen([sys.executable, "-c", COUNTING, str(tmp_path)], env=environment) for _ in range(3)]
    assert [worker.wait(timeout=120) for worker in workers] == [0, 0, 0]
    (rule,) = read_book(str(tmp_path), Findings()).rules
    assert (rule.seen, rule.uses, rule.successes) == (30, 30, 30)


# ---------------------------------------------------------------- from session to session

SYSTEM = """mas 1

agent thinker(query) -> text(60)
  "Think about: {{ query }}"

flow main(query) -> text(60) {
  thought = thinker(query)
  return thought
}
"""


def solve(folder: Path, fast: Any, name: str = "s") -> Any:
    config = DEFAULT._replace(library=str(folder), tiers={"default": "a", "fast": "a", "smart": "b"})
    reply = {"*": f"Plain.\n```mas\n{SYSTEM}```", "thinker": fast}
    models = {
        "default": ScriptedModel(reply, name="m-default", price=Price(1, 1)),
        "fast": ScriptedModel(reply, name="m-fast", price=Price(1, 1)),
        "smart": ScriptedModel(
            {"*": f"Plain.\n```mas\n{SYSTEM}```", "thinker": "six"}, name="m-smart", price=Price(9, 9)
        ),
    }
    from masdsl.meta.team import team_for

    team = team_for(Host(config, models), implementer="rules", rectifier="rules", tier="smart")
    cheap = team._replace(implementer=_OnDefault())
    return masdsl.solve("What is 2 * 3?", config=config, models=models, team=cheap, session=name)


class _OnDefault:
    """Leaves every role on the tier `fast`."""

    name = "on fast"

    async def implement(self, task: Any, template: str, pool: Any, desk: Any) -> Any:
        from masdsl.meta.task import Emitted

        return Emitted("bind 1\nthinker = fast\n")


def test_a_session_teaches_a_rule_that_spares_the_next_one_the_failure(tmp_path: Path) -> None:
    first = solve(tmp_path, Fails("refused"))
    assert first.value == "six" and len(first.attempts[0].interventions) == 1
    (rule,) = read_book(str(tmp_path), Findings()).rules
    assert rule.cause == "refused" and rule.edits == ("bind $agent = smart",) and rule.origin == "s, rules"
    second = solve(tmp_path, Fails("refused"), "t")
    assert second.value == "six" and not second.attempts[0].interventions
    assert second.designed.system.rules == (rule.name,) and any(rule.name in note for note in second.notes)
    (rule,) = read_book(str(tmp_path), Findings()).rules
    assert (rule.uses, rule.successes, rule.row) == (1, 1, 0)


def test_nothing_is_written_where_nothing_is_learned(tmp_path: Path) -> None:
    assert solve(tmp_path / "shelf", "six").value == "six"
    assert not (tmp_path / "shelf").exists()


def test_a_library_that_cannot_be_written_costs_no_answer(tmp_path: Path) -> None:
    (tmp_path / "shelf").write_text("a file")
    assert solve(tmp_path / "shelf", Fails("refused")).value == "six"


def test_seams_without_a_library_are_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MASDSL_DATA")
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    assert seams_of(Host(DEFAULT)) == type(seams_of(Host(DEFAULT)))()


# ---------------------------------------------------------------- the command


def test_rules_are_learned_from_kept_runs_listed_and_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mas.toml").write_text('[library]\npath = "shelf"\n')
    program = SYSTEM.replace("mas 1\n", "mas 1\n\nrectify tries 2\n").replace("text(60)\n", "text(60) on fast\n", 1)
    (tmp_path / "p.mas").write_text(program)
    models = {
        "fast": ScriptedModel({"*": Fails("refused")}, name="one"),
        "smart": ScriptedModel({"*": "six"}, name="two"),
    }
    result = masdsl.load("p.mas", models=models).main.run_sync("?", journal="runs.db")
    assert result.value == "six"
    run = next(iter(open_journal("runs.db").list())).id
    assert mas(["library", "learn", run, "--journal", "runs.db"]) == 0
    assert "do     bind $agent = smart" in capsys.readouterr().out
    assert mas(["library", "rules", "--json"]) == 0
    (rule,) = json.loads(capsys.readouterr().out)["rules"]
    assert rule["guard"]["model"] == "one" and rule["cause"] == "refused"
    assert mas(["library", "rules"]) == 0 and "good in 0 of 0 uses" in capsys.readouterr().out
    assert mas(["library", "forget", "r000"]) == 2
    assert mas(["library", "forget", rule["name"]]) == 0
    capsys.readouterr()
    assert mas(["library", "rules"]) == 0 and "no rules" in capsys.readouterr().out
    assert mas(["library", "learn", "nope", "--journal", "runs.db"]) == 2
