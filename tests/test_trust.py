"""Trust labels: what is refused, what is not, and that nothing that is accepted interferes."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from masdsl import pipeline
from masdsl.bounds.flows import bound
from masdsl.check.program import Program
from masdsl.cli import main
from masdsl.config import DEFAULT, Config, Grant
from masdsl.config.reader import parse_config
from masdsl.config.trust import TRUSTED, UNTRUSTED, Secret, Trust
from masdsl.diagnostics.base import ERROR, Diagnostic, Findings
from masdsl.diagnostics.render import render_short
from masdsl.source import Source
from masdsl.trust.analysis import analyse
from masdsl.trust.contexts import COARSE
from masdsl.trust.policy import Unproven, policy_of
from tests.harness import interference, interference_timed
from tests.harness.interference import Subject, accepts, checked
from tests.harness.programs import granted, write
from tests.harness.trust_scenes import Scene, scenes

SCENES = scenes()


def _subject(scene: Scene) -> Subject:
    subject = checked(scene.text, scene.trust)
    assert subject is not None, scene.name
    return subject


# ---------------------------------------------------------------- rules, one by one


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
def test_a_program_is_refused_where_it_interferes(scene: Scene) -> None:
    subject = _subject(scene)
    assert accepts(subject) == scene.safe
    if scene.timed:
        assert interference_timed.interferes(subject, worlds=12, seeds=8)
    else:
        assert interference.interferes(subject, worlds=8, seeds=8) == (not scene.safe)


def test_steps_at_the_same_time_show_the_same() -> None:
    timed = {scene.name: interference_timed.interferes(_subject(scene), worlds=4) for scene in SCENES}
    assert not [scene.name for scene in SCENES if scene.safe and timed[scene.name]]
    assert sum(timed.values()) > len(SCENES) // 2  # it can see something


# ---------------------------------------------------------------- generated programs


def check_generated(subject: Subject | None) -> None:
    """Hold what the analysis accepts against the oracle."""
    if subject is not None and accepts(subject):
        assert not interference.interferes(subject), subject.text


@pytest.mark.parametrize("start", range(0, 96, 12))
def test_what_is_accepted_does_not_interfere(start: int) -> None:
    for seed in range(start, start + 12):
        check_generated(interference.subject(seed))


@settings(max_examples=20, deadline=None)
@given(st.randoms(use_true_random=False))
def test_what_is_accepted_does_not_interfere_whatever_is_chosen(random: Random) -> None:
    check_generated(interference.subject_of(random))


@pytest.mark.parametrize("start", range(0, 24, 6))
def test_what_is_accepted_does_not_interfere_where_steps_run_at_the_same_time(start: int) -> None:
    for seed in range(start, start + 6):
        subject = interference.subject(seed)
        if subject is not None and accepts(subject):
            assert not interference_timed.interferes(subject), subject.text


def test_generated_programs_are_of_all_kinds() -> None:
    subjects = [one for one in map(interference.subject, range(70)) if one is not None]
    refused = [one for one in subjects if not accepts(one)]
    assert len(refused) >= 10 and len(subjects) - len(refused) >= 10
    assert sum(interference.interferes(one) for one in refused) >= 5


# ---------------------------------------------------------------- policies

PROGRAM = """mas 1
type Mood = good | bad
tool fetch(q: text(20)) -> text(20) else "" from "web.get"
tool send(body: text(20), mood: Mood = Mood.good) -> bool else false from "mail.send" effect
tool note(body: text(20)) -> bool else false from "log.note" effect
agent reader(page: text(20)) -> text(20) else "" on fast "Sum up {{ page }}"
agent judge(page: text(20)) -> Mood else Mood.bad on fast "Judge {{ page }}"
flow main(q: text(20)) -> bool {
BODY
}
"""
GRANTS = granted("web.get", "mail.send", "log.note")
WEB = {"web.get": UNTRUSTED, "mail.send": TRUSTED, "log.note": TRUSTED}
NONE = Trust({}, {}, {}, {}, ())


def codes(body: str, config: Config, text: str = PROGRAM) -> list[str]:
    """Return the codes of the errors of a program."""
    findings = Findings()
    source = Source("<input>", text.replace("BODY", body))
    pipeline.check_source(source, config, findings)
    return [found.diagnostic.code for found in findings.sorted() if found.diagnostic.severity == ERROR]


PAGE_TO_MAIL = "page = fetch(q)\n return send(page)"


@pytest.mark.parametrize(
    ("trust", "kind", "expected"),
    [
        (None, "python", []),  # the host's own functions are trusted as long as it says nothing
        (None, "host", []),
        (None, "mcp", ["MAS551"]),  # what others have written is not
        (NONE, "python", ["MAS551"]),  # with a policy, what it does not name is not trusted
        (NONE._replace(unnamed=TRUSTED), "python", []),
        (NONE._replace(sources=WEB), "python", ["MAS551"]),
        (NONE._replace(sources={**WEB, "web.get": "model"}), "python", []),
        (NONE._replace(sources={**WEB, "web.get": "model"}, effects={"mail.send": TRUSTED}), "python", ["MAS551"]),
        (NONE._replace(effects={"mail.send": UNTRUSTED}), "python", []),
    ],
)
def test_defaults(trust: Trust | None, kind: str, expected: list[str]) -> None:
    grants = {**GRANTS, "web.get": Grant(kind, function="a:b")}
    assert codes(PAGE_TO_MAIL, DEFAULT._replace(tools=grants, trust=trust)) == expected


@pytest.mark.parametrize("kind", ["http", "search", "read"])
def test_what_built_in_tools_bring_from_outside_is_not_trusted(kind: str) -> None:
    declared = {
        "http": 'tool get(url: text(20)) -> text(20) else "" from "x"',
        "search": 'tool get(query: text(20)) -> text(20)[1] else [] from "x"',
        "read": 'tool get(id: text(20)) -> text(20)? else none from "x"',
    }
    text = PROGRAM.replace('tool fetch(q: text(20)) -> text(20) else "" from "web.get"', declared[kind])
    grant = Grant(kind, path="/nowhere", allow=("example.org",))
    config = DEFAULT._replace(tools={**GRANTS, "x": grant})
    used = 'found = get(q)\n if found == none {\n return false\n }\n return send("a")'
    used = used if kind == "read" else "found = get(q)\n return send(text(len(found)))"
    assert codes(used, config, text) == ["MAS552" if kind == "read" else "MAS551"]


@pytest.mark.parametrize("kind", ["sandbox", "calculator"])
def test_what_built_in_tools_work_out_is_as_trusted_as_what_they_are_given(kind: str) -> None:
    declared = {
        "sandbox": 'tool get(code: text(20)) -> text(20) else "" from "x"',
        "calculator": 'tool get(expression: text(20)) -> text(20) else "" from "x"',
    }
    text = PROGRAM.replace('tool note(body: text(20)) -> bool else false from "log.note" effect', declared[kind])
    config = DEFAULT._replace(tools={**GRANTS, "x": Grant(kind)}, trust=NONE._replace(sources=WEB))
    assert codes("found = get(q)\n return send(found)", config, text) == []
    assert codes("page = fetch(q)\n found = get(page)\n return send(found)", config, text) == ["MAS551"]


@pytest.mark.parametrize(("most", "expected"), [(None, ["MAS551"]), (2, []), (64, [])])
def test_an_argument_of_few_words_can_be_endorsed(most: int | None, expected: list[str]) -> None:
    endorse = {} if most is None else {("mail.send", "mood"): most}
    config = DEFAULT._replace(tools=GRANTS, trust=NONE._replace(sources=WEB, endorse=endorse))
    assert codes("page = fetch(q)\n mood = judge(page)\n return send(q, mood)", config) == expected


def test_no_text_and_no_enum_with_more_words_can_be_endorsed() -> None:
    endorse = {("mail.send", "mood"): 2, ("mail.send", "body"): 64}
    config = DEFAULT._replace(tools=GRANTS, trust=NONE._replace(sources=WEB, endorse=endorse))
    assert codes(PAGE_TO_MAIL, config) == ["MAS551"]
    more = PROGRAM.replace("good | bad", "good | bad | odd")
    assert codes("page = fetch(q)\n mood = judge(page)\n return send(q, mood)", config, more) == ["MAS551"]


def test_inputs_go_by_their_name_or_by_that_of_their_flow_as_well() -> None:
    for name, expected in (("q", ["MAS551"]), ("main.q", ["MAS551"]), ("other.q", [])):
        config = DEFAULT._replace(tools=GRANTS, trust=NONE._replace(sources=WEB, inputs={name: UNTRUSTED}))
        assert codes("return send(q)", config) == expected


@pytest.mark.parametrize(
    ("readers", "tier", "expected"),
    [((), "fast", ["MAS554"]), (("smollm2",), "fast", []), (("smollm2",), "smart", ["MAS554"])],
)
def test_a_secret_goes_to_the_models_that_may_read_it(readers: tuple[str, ...], tier: str, expected: list[str]) -> None:
    trust = NONE._replace(sources=WEB, secrets=(Secret("page", ("web.get",), (), readers),))
    tiers = {**DEFAULT.tiers, "smart": "openai/gpt-4o-mini"}
    text = PROGRAM.replace("on fast", f"on {tier}")
    body = 'page = fetch(q)\n said = reader(page)\n return said == ""'
    assert codes(body, DEFAULT._replace(tools=GRANTS, tiers=tiers, trust=trust), text) == expected


# ---------------------------------------------------------------- other modules

HELPERS = """mas 1
tool send(to: text(10), body: text(20)) -> bool else false from "mail.send" effect
agent shorten(body: text(20)) -> text(20) else "" on fast "Shorten {{ body }}"
flow sent(short: text(20)) -> bool {
  done = send("all", short)
  return done
}
flow publish(body: text(20)) -> bool {
  short = shorten(body)
  return sent(short)
}
"""
USER = """mas 1
use helpers: publish
tool fetch(url: text(20)) -> text(20) else "" from "web.get"
flow main(url: text(20), page: text(20)) -> bool {
  found = fetch(url)
  one = publish(found)
  two = publish(url)
  three = publish(page)
  return one and two and three
}
"""


def test_what_another_module_does_is_told_at_every_call_of_it(tmp_path: Path) -> None:
    path = write(tmp_path, USER, {"helpers.mas": HELPERS})
    trust = NONE._replace(sources=WEB, inputs={"main.page": UNTRUSTED})
    findings = Findings()
    pipeline.check_file(str(path), findings, DEFAULT._replace(tools=GRANTS, trust=trust))
    shown = [
        (
            finding.diagnostic.code,
            finding.source.slice(finding.diagnostic.span),
            [(finding.source.slice(label.span), label.text) for label in finding.diagnostic.labels()],
        )
        for finding in findings.sorted()
    ]
    assert shown == [
        (
            "MAS551",
            "publish(found)",
            [("fetch(url)", "1: `fetch` gives untrusted text"), ("publish(found)", "2: it goes through `publish`")],
        ),
        (
            "MAS551",
            "publish(page)",
            [("page", "1: the input `page` is not trusted"), ("publish(page)", "2: it goes through `publish`")],
        ),
    ]


# ---------------------------------------------------------------- the configuration

TOOLS = '[tools]\n"web.get" = "web:get"\nmail.send = "mail:send"\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[trust]\nsource = 1", "5:1 MAS502"),
        ("[trust]\nunnamed = 3", "5:11 MAS503"),
        ("[trust]\nendings = 3", "5:11 MAS503"),
        ("[trust]\nsources = 3", "5:11 MAS503"),
        ('[trust.sources]\n"web.got" = "untrusted"', "5:1 MAS502"),
        ('[trust.sources]\n"web.get" = "bad"', "5:13 MAS503"),
        ('[trust.effects]\n"mail.sent" = "model"', "5:1 MAS502"),
        ('[trust.endorse."mail.send"]\nmood = 1', "5:8 MAS503"),
        ("[trust.endorse]\nmood = 2", "5:1 MAS502"),
        ('[trust.endorse."mail.sent"]\nmood = 2', "4:2 MAS502"),
        ("[trust.secrets]\npay = 1", "5:7 MAS503"),
        ('[trust.secrets.pay]\nfrm = ["web.get"]', "5:1 MAS502"),
        ('[trust.secrets.pay]\nfrom = ["web.got"]', "5:8 MAS503"),
        ('[trust.secrets.pay]\nfrom = ["web.get"]\nreaders = ["smolm2"]', "6:11 MAS503"),
        ('[trust.secrets.pay]\nfrom = "web.get"', "5:8 MAS503"),
        ('[trust.secrets.pay]\nreaders = ["smollm2"]', "4:2 MAS503"),
    ],
)
def test_mistakes_in_a_policy_are_told_at_their_place(text: str, said: str) -> None:
    findings = Findings()
    source = Source("mas.toml", TOOLS + text + "\n")
    parse_config(source, "/nowhere/mas.toml", findings)
    found = [f"{line}:{column} {one.code}" for line, column, one in _placed(findings, source)]
    assert said in found, render_short(findings.sorted())


def test_a_secret_from_a_tool_that_is_not_granted_is_told_once_with_what_to_add() -> None:
    findings = Findings()
    text = TOOLS + '[trust.secrets.pay]\nfrom = ["hr.pay"]\nreaders = ["gpt-nope"]\n'
    parse_config(Source("mas.toml", text), "/nowhere/mas.toml", findings)
    assert [finding.diagnostic.help() for finding in findings.sorted()] == [
        "there is no `hr.pay`: grant it under [tools], or take it out",
        "there is no `gpt-nope`: add it to [models] or [tools], write provider/model, or take it out",
    ]


def _placed(findings: Findings, source: Source) -> list[tuple[int, int, Diagnostic]]:
    return [(*source.position(one.diagnostic.span.start), one.diagnostic) for one in findings.sorted()]


def test_a_policy_is_read_whole() -> None:
    text = """[trust]
    unnamed = "model"
    endings = true
    sources = { "web.get" = "untrusted" }
    [trust.effects]
    mail.send = "trusted"
    [trust.inputs]
    q = "untrusted"
    main.r = "model"
    [trust.endorse."mail.send"]
    mood = 4
    [trust.secrets.pay]
    from = ["web.get"]
    inputs = ["main.q"]
    readers = ["smollm2", "openai/gpt-4o-mini", "mail.send"]
    """
    findings = Findings()
    config = parse_config(Source("mas.toml", TOOLS + text), "/nowhere/mas.toml", findings)
    assert not findings.sorted()
    assert config.trust == Trust(
        sources={"web.get": "untrusted"},
        effects={"mail.send": "trusted"},
        inputs={"q": "untrusted", "main.r": "model"},
        endorse={("mail.send", "mood"): 4},
        secrets=(Secret("pay", ("web.get",), ("main.q",), ("smollm2", "openai/gpt-4o-mini", "mail.send")),),
        unnamed="model",
        endings=True,
    )


# ---------------------------------------------------------------- budgets


@pytest.mark.parametrize(
    ("budget", "expected"),
    [("", []), ("budget calls 2", []), ("budget calls 1", ["MAS551"]), ("budget seconds 100", ["MAS551"])],
)
def test_a_budget_that_may_run_out_tells_what_was_spent(budget: str, expected: list[str]) -> None:
    body = "page = fetch(q)\n one = reader(page)\n two = reader(q)\n return send(two)"
    config = DEFAULT._replace(tools=GRANTS, trust=NONE._replace(sources=WEB))
    text = PROGRAM.replace("flow main", f"{budget}\nflow main")
    said = codes(body, config, text)
    assert [code for code in said if code.startswith("MAS55")] == expected


def test_the_hosts_ceiling_counts_as_a_budget() -> None:
    body = "page = fetch(q)\n one = reader(page)\n two = reader(q)\n return send(two)"
    config = DEFAULT._replace(tools=GRANTS, trust=NONE._replace(sources=WEB))
    most = bound(_program(PROGRAM.replace("BODY", body), config), {}).flows["main"].most
    for tokens, expected in ((most.tokens, []), (most.tokens - 1, ["MAS551"])):
        assert codes(body, config._replace(ceiling=DEFAULT.ceiling._replace(tokens=tokens))) == expected


# ---------------------------------------------------------------- size


def test_a_flow_is_looked_at_a_limited_number_of_times() -> None:
    params = ", ".join(f"p{number}: text(9)" for number in range(8))
    one = f"flow f0({params}) -> text(9) {{\n  x = send(p0)\n  return p7\n}}\n"
    for number in range(1, 12):
        calls = [
            f"  y{call} = f{number - 1}({', '.join(f'p{(call + at) % 8}' for at in range(8))})\n" for call in range(8)
        ]
        one += f"flow f{number}({params}) -> text(9) {{\n{''.join(calls)}  return y0 + y7\n}}\n"
    mixed = [", ".join("page" if row >> bit & 1 else "q" for bit in range(8)) for row in range(0, 256, 7)]
    calls = [f"  z{number} = f11({arguments})\n" for number, arguments in enumerate(mixed)]
    text = PROGRAM.replace("flow main", one + "flow main").replace("text(20)", "text(9)")
    body = f"page = fetch(q)\n{''.join(calls)}  return false"
    config = DEFAULT._replace(tools=GRANTS, trust=NONE._replace(sources=WEB))
    program = _program(text.replace("BODY", body), config._replace(trust=None))
    visits = 0

    class Counting(dict[str, frozenset[str]]):
        def __getitem__(self, key: str) -> frozenset[str]:
            nonlocal visits
            visits += key == "send"
            return super().__getitem__(key)

    policy = policy_of(program, config)
    found = analyse(program, policy._replace(takes=Counting(policy.takes)), Unproven())
    assert {breach.kind for breach in found.breaches} >= {"argument"}
    assert visits <= 10 * (COARSE + 2)


def _program(text: str, config: Config) -> Program:
    findings = Findings()
    program = pipeline.check_source(Source("<input>", text), config, findings)
    assert program is not None, render_short(findings.sorted())
    assert bound(program, {})
    return program


# ---------------------------------------------------------------- the command


def test_the_table_shows_programs_that_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mas.toml").write_text(
        '[tools]\n"web.get" = "web:get"\n"mail.send" = "mail:send"\n"log.note" = "log:note"\n'
        '[trust.sources]\n"web.get" = "untrusted"\n"mail.send" = "trusted"\n'
        '[trust.endorse."mail.send"]\nmood = 2\n'
        '[trust.secrets.pay]\nfrom = ["log.note"]\nreaders = []\n',
        encoding="utf-8",
    )
    body = "  page = fetch(q)\n  mood = judge(page)\n  one = send(q, mood)\n  two = note(page)\n  return one"
    path = tmp_path / "program.mas"
    path.write_text(PROGRAM.replace("BODY", body), encoding="utf-8")
    assert main(["trust", str(path)]) == 1
    shown = capsys.readouterr().out
    assert shown.startswith(
        "flow main\n"
        "  line  step       uses         decided by  is given   gives                  takes\n"
        "     9  main.page  tool fetch   trusted     trusted    untrusted\n"
        "    10  main.mood  agent judge  trusted     untrusted  untrusted\n"
        "    11  main.one   tool send    trusted     untrusted  untrusted              model (any mood)\n"
        "    12  main.two   tool note    trusted     untrusted  untrusted, secret pay  model  REFUSED\n"
    ), shown
    assert main(["trust", str(path), "--format", "json"]) == 1
    data = json.loads(capsys.readouterr().out)
    steps = data["programs"][0]["flows"][0]["steps"]
    assert [step["refused"] for step in steps] == [False, False, False, True]
    assert [finding["code"] for finding in data["findings"] if finding["severity"] == "error"] == ["MAS551"]


def test_the_table_of_a_program_with_other_errors_is_empty(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mas.toml").write_text("", encoding="utf-8")
    path = tmp_path / "program.mas"
    path.write_text("mas 1\nflow main(q) -> text { return p }\n", encoding="utf-8")
    assert main(["trust", str(path)]) == 1
    assert "flow main\n  line" not in capsys.readouterr().out
