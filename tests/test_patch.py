"""What each edit does, and what is refused: patches on one program, and what becomes of its text."""

from __future__ import annotations

from difflib import ndiff

import pytest

import masdsl
from masdsl import limits
from masdsl.config import DEFAULT
from masdsl.diagnostics.base import Findings
from masdsl.patch.apply import apply_edits
from masdsl.patch.identity import base_of
from masdsl.patch.sites import moved, redone
from masdsl.source import Source
from masdsl.syntax import ast
from masdsl.syntax.parse import parse_patch, parse_program
from tests.harness.programs import granted

CONFIG = DEFAULT._replace(tools=granted("sandbox", "there"))
PROGRAM = """\
# Written by hand.
mas 1

type Kind = math | code
type Review { ok: bool, issues: text(60)[8] }

budget calls 30

tool run_tests(code: text(1500)) -> bool from "sandbox" timeout 30

## Writes code.
agent coder(spec, notes: text(60)[8] = []) -> text(1500) on smart temp 0.2
  "Write {{ spec }}, minding {{ notes|join('; ') }}"

agent reviewer(spec, code: text(1500)) -> Review on fast
  "List concrete defects of {{ code }}."

flow main(spec) -> text(1500) {
  drafts = 3 of coder(spec)  # several
  code = first(drafts) else ""
  # until the tests pass
  refine: loop 3 {
    ok = run_tests(code) else false
    until ok
    r = reviewer(spec, code)
    code = coder(spec, r.issues)
  }
  if code == "" {
    code = coder(spec) else "none"
  }
  return code
}

test "stops" {
  given coder = "x"
  given run_tests = true
  out = main("s")
  expect out == "x" and ran(main.refine.ok) == 1 and ran(main.drafts) == 3
}
"""


def tree(text: str) -> ast.Program:
    parsed = parse_program(Source("p.mas", text), Findings())
    assert parsed.ok and isinstance(parsed.document, ast.Program)
    return parsed.document


def patched(edits: str, program: str = PROGRAM) -> str:
    return masdsl.apply(Source("p", f"patch 1\n{edits}\n"), Source("<p.mas>", program), config=CONFIG).text


def changed(edits: str, program: str = PROGRAM) -> list[str]:
    """The lines that a patch takes away and those that it brings."""
    lines = ndiff(program.split("\n"), patched(edits, program).split("\n"))
    return [line[:2] + line[2:].strip() for line in lines if line[0] in "-+" and line[2:].strip()]


def refused(edits: str, program: str = PROGRAM, head: str = "patch 1\n") -> list[tuple[str, str]]:
    """The codes of a patch that is refused, and where each finding points to."""
    patch = Source("p", f"{head}{edits}\n")
    with pytest.raises(masdsl.ProgramError) as raised:
        masdsl.apply(patch, Source("<p.mas>", program), config=CONFIG)
    return [(found.diagnostic.code, found.source.slice(found.diagnostic.span)) for found in raised.value.findings]


def test_the_program_of_these_tests_is_canonical_and_sound() -> None:
    assert masdsl.format(PROGRAM) == PROGRAM
    assert [f for f in masdsl.check(Source("<p>", PROGRAM), config=CONFIG) if f.diagnostic.severity == "error"] == []


EDITS = {
    "set reviewer.on = smart": [
        "- agent reviewer(spec, code: text(1500)) -> Review on fast",
        "+ agent reviewer(spec, code: text(1500)) -> Review on smart",
    ],
    'bind reviewer = "openai/gpt-4o-mini"': [
        "- agent reviewer(spec, code: text(1500)) -> Review on fast",
        '+ agent reviewer(spec, code: text(1500)) -> Review on "openai/gpt-4o-mini"',
    ],
    "set coder.retry = 2 drop coder.temp": [
        "- agent coder(spec, notes: text(60)[8] = []) -> text(1500) on smart temp 0.2",
        "+ agent coder(spec, notes: text(60)[8] = []) -> text(1500) on smart retry 2",
    ],
    "set coder.tools = [run_tests] set coder.steps = 2": [
        "- agent coder(spec, notes: text(60)[8] = []) -> text(1500) on smart temp 0.2",
        "+ agent coder(spec, notes: text(60)[8] = []) -> text(1500) on smart temp 0.2 tools [run_tests] steps 2",
    ],
    'set reviewer.prompt = "Look."': ['- "List concrete defects of {{ code }}."', '+ "Look."'],
    'set coder.else = "nothing"': [
        "- agent coder(spec, notes: text(60)[8] = []) -> text(1500) on smart temp 0.2",
        '+ agent coder(spec, notes: text(60)[8] = []) -> text(1500) else "nothing" on smart temp 0.2',
    ],
    "set run_tests.timeout = 5": [
        '- tool run_tests(code: text(1500)) -> bool from "sandbox" timeout 30',
        '+ tool run_tests(code: text(1500)) -> bool from "sandbox" timeout 5',
    ],
    "set main.refine.times = 2": ["- refine: loop 3 {", "+ refine: loop 2 {"],
    "set main.drafts.count = 2": ["- drafts = 3 of coder(spec)  # several", "+ drafts = 2 of coder(spec)  # several"],
    "set main.calls = 20": ["- flow main(spec) -> text(1500) {", "+ flow main(spec) -> text(1500) budget calls 20 {"],
    "budget calls 40 tokens 900k": ["- budget calls 30", "+ budget calls 40 tokens 900k"],
    "drop Kind": ["- type Kind = math | code"],
    "drop Kind.math": ["- type Kind = math | code", "+ type Kind = code"],
    "drop budget": ["- budget calls 30"],
    "drop main.if": ['- if code == "" {', '- code = coder(spec) else "none"', "- }"],
    "drop main.if.code.else": ['- code = coder(spec) else "none"', "+ code = coder(spec)"],
    "replace main.if.code.else = upper(spec)": [
        '- code = coder(spec) else "none"',
        "+ code = coder(spec) else upper(spec)",
    ],
    "replace main.drafts = 2 of coder(upper(spec))": [
        "- drafts = 3 of coder(spec)  # several",
        "+ drafts = 2 of coder(upper(spec))  # several",
    ],
    "replace main.refine.until = ok and true": ["- until ok", "+ until ok and true"],
    "replace main.if = true": ['- if code == "" {', "+ if true {"],
    "replace main.if { n = spec }": [
        '- if code == "" {',
        '- code = coder(spec) else "none"',
        "- }",
        "+ n = spec",
    ],
    "replace main.if.else { code = spec }": ["- }", "+ } else {", "+ code = spec", "+ }"],
    "replace type Kind = math | logic": ["- type Kind = math | code", "+ type Kind = math | logic"],
    "replace flow main(spec, more = \"\") -> text(1500) {}": [
        "- flow main(spec) -> text(1500) {",
        '+ flow main(spec, more = "") -> text(1500) {',
    ],
    "after main.drafts { n = len(drafts) m = n }": ["+ n = len(drafts)", "+ m = n"],
    "before main.return { n = 1 }": ["+ n = 1"],
    "wrap main.if in again: loop 2": ["+ again: loop 2 {", "+ }"],
    "wrap main.refine.r in if true otherwise main.if.code = spec": None,
    'otherwise main.drafts = "none"': [
        "- drafts = 3 of coder(spec)  # several",
        '+ drafts = 3 of coder(spec) else "none"  # several',
    ],
    "redo main.refine.code": [],
}  # fmt: skip


@pytest.mark.parametrize("edits", [edits for edits, lines in EDITS.items() if lines is not None])
def test_an_edit_changes_this_and_nothing_else(edits: str) -> None:
    def bare(lines: list[str]) -> list[str]:
        return sorted(line for line in lines if line not in ("- }", "+ }", "+ } else {"))

    wanted = EDITS[edits]
    assert wanted is not None
    if " wrap " in f" {edits}":
        result = changed(edits)
        assert wanted[0] in result
    else:
        assert bare(changed(edits)) == bare(wanted)


def test_new_declarations_stand_where_they_may_be_used() -> None:
    text = patched(
        'add agent check(code: text(1500)) -> Verdict else Verdict.bad on fast "Does it run?"\n'
        "add type Verdict = good | bad\n"
        "add flow sure(code: text(1500)) -> bool { v = check(code) return v == Verdict.good }\n"
        'add test "new" { given check = Verdict.good out = sure("x") expect out }\n'
        "after main.refine.ok { fine = sure(code) until fine }"
    )
    heads = [
        line.split()[1].split("(")[0] for line in text.split("\n") if line[:5] in ("type ", "agent", "tool ", "flow ")
    ]
    assert heads == ["Kind", "Review", "Verdict", "run_tests", "coder", "reviewer", "check", "sure", "main"]
    assert text.rstrip().endswith("expect out\n}")


def test_a_declaration_may_be_placed() -> None:
    text = patched('after coder add agent other(q) -> text on fast "Go." before Kind add use std.vote')
    assert text.index("agent coder") < text.index("agent other") < text.index("agent reviewer")
    assert text.index("use std.vote") < text.index("type Kind")


def test_comments_stay_with_what_they_are_about() -> None:
    text = patched("drop main.if rename main.drafts = tries set main.refine.times = 2 bind coder = fast")
    for comment in ("# Written by hand.", "## Writes code.", "# several", "# until the tests pass"):
        assert comment in text
    assert "  tries = 3 of coder(spec)  # several\n" in text
    assert "  # until the tests pass\n  refine: loop 2 {\n" in text


def test_comments_of_a_patch_come_with_what_it_adds() -> None:
    text = patched(
        '# about the edit\nset main.refine.times = 2\n## Checks.\nadd agent check(q) -> bool on fast "Go."\n'
        "after main.drafts {\n  # why\n  n = 1  # one\n}"
    )
    assert "## Checks.\nagent check" in text and "  # why\n  n = 1  # one\n" in text
    assert "about the edit" not in text


RENAMES = {
    "rename coder = author": ["author(spec, notes:", "3 of author(spec)", "given author = "],
    "rename Review = Verdict": ["type Verdict {", "-> Verdict on fast"],
    "rename main = start": ["flow start(", "out = start(", "ran(start.refine.ok)", "ran(start.drafts)"],
    "rename main.drafts = tries": ["tries = 3 of", "first(tries)", "ran(main.tries)"],
    "rename main.refine = polish": ["polish: loop 3", "ran(main.polish.ok)"],
    "rename main.if = empty": ["empty: if code"],
    "rename main.code = text_": ["text_ = first(drafts)", "run_tests(text_)", "return text_"],
    "rename main.spec = task": ["flow main(task)", "coder(task)"],
    "rename coder.notes = hints": ["coder(spec, hints: ", "{{ hints|join('; ') }}"],
}


@pytest.mark.parametrize("edit", RENAMES)
def test_a_new_name_is_used_everywhere(edit: str) -> None:
    text = patched(edit)
    assert all(part in text for part in RENAMES[edit]), text


def test_addresses_in_tests_follow_through_flows_that_are_called() -> None:
    program = """\
mas 1

agent ask(q) -> text on fast
  "Go."

flow inner(q) -> text {
  loop 2 {
    a = ask(q)
  }
  return q
}

flow main(q) -> text {
  b = inner(q) else inner("x")
  return b
}

test "t" {
  given ask = "x"
  out = main("q")
  expect ran(main.b.loop.a) == 2 and ran(main.b.else.loop.a) == 0
}
"""
    text = patched("rename inner.loop = again rename main.b = c rename inner.again.a = d", program)
    assert "ran(main.c.again.d) == 2 and ran(main.c.else.again.d) == 0" in text


REFUSED = [
    ("set coder.max = 3 drop nothing", [("MAS802", "nothing")]),
    ("drop main.refin.code", [("MAS802", "refin")]),
    ("replace main.refine.cod = spec", [("MAS802", "cod")]),
    ("set main.times = 3", [("MAS803", "times")]),
    ("set coder = 3", [("MAS803", "coder")]),
    ("set coder.temp = \"hot\"", [("MAS804", '"hot"')]),
    ("set coder.else = spec", [("MAS804", "spec")]),
    ("replace main.refine = spec", [("MAS803", "main.refine")]),
    ("replace main.refine.until = ok else true", [("MAS804", "ok else true")]),
    ("after coder { n = 1 }", [("MAS803", "coder")]),
    ("otherwise main.refine = spec", [("MAS803", "main.refine")]),
    ("drop coder.prompt", [("MAS803", "prompt")]),
    ("rename Review.issues = faults", [("MAS803", "Review.issues")]),
    ("rename coder = Author", [("MAS803", "Author")]),
    ("rename coder = drafts", [("MAS806", "drafts")]),
    ("rename main.code = drafts", [("MAS806", "drafts")]),
    ("add type Kind = a | b", [("MAS806", "Kind")]),
    ("add budget calls 1", [("MAS803", "budget calls 1")]),
    ("redo coder", [("MAS803", "coder")]),
    ("bind run_tests = fast", [("MAS803", "run_tests")]),
    ("bind coder = fast bind coder = smart", [("MAS805", "bind coder = smart")]),
    ("set coder.on = fast set coder.temp = 0.1 bind coder = smart", [("MAS805", "bind coder = smart")]),
    ("replace main.code = upper(drafts)", [("MAS807", "upper(drafts)")]),
    ("bind coder = smrt", [("MAS807", "smrt")]),
    ("after main.drafts { n = nobody(spec) }", [("MAS807", "nobody")]),
    ("set main.refine.times = 0", [("MAS807", "0")]),
    ("budget calls 1", [("MAS807", "calls 1")]),
]  # fmt: skip


@pytest.mark.parametrize(("edits", "wanted"), REFUSED, ids=[edits for edits, _ in REFUSED])
def test_a_patch_is_refused_where_it_is_wrong(edits: str, wanted: list[tuple[str, str]]) -> None:
    assert refused(edits) == wanted


def test_what_breaks_elsewhere_is_shown_in_the_program_as_it_would_be() -> None:
    patch = Source("p", "patch 1 drop main.drafts\n")
    with pytest.raises(masdsl.ProgramError) as raised:
        masdsl.apply(patch, Source("<p.mas>", PROGRAM), config=CONFIG)
    found = raised.value.findings[0]
    assert found.source.name == "<p.mas>" and found.source.slice(found.diagnostic.span) == "drafts"
    assert "drafts = 3 of" not in found.source.text


def test_every_faulty_edit_is_told() -> None:
    assert [code for code, _ in refused("drop nothing set coder.temp = [] rename coder = main")] == [
        *("MAS802", "MAS804", "MAS806")
    ]


def test_the_base_is_a_prefix_of_the_hash_that_layout_and_comments_do_not_change() -> None:
    base = base_of(tree(PROGRAM))
    other = (
        PROGRAM.replace("# several", "# many").replace("\n  ", "\n").replace("on smart temp 0.2", "temp 0.2 on smart")
    )
    assert base_of(tree(other)) == base
    assert base_of(tree(PROGRAM.replace("drafts", "tries"))) != base
    for digits in (4, 12, 64):
        patch = Source("p", f'patch 1 on "{base[:digits]}" bind coder = fast')
        assert "on fast temp" in masdsl.apply(patch, Source("<p>", other), config=CONFIG).text
    assert refused("bind coder = fast", head=f'patch 1 on "{base[:3]}"\n') == [("MAS801", f'"{base[:3]}"')]
    assert refused("bind coder = fast", head='patch 1 on "ffff"\n') == [("MAS801", '"ffff"')]


def test_a_patch_may_mend_a_program_that_has_errors() -> None:
    wrong = PROGRAM.replace("3 of coder(spec)", "3 of coder(sec)")
    assert masdsl.check(Source("<p>", wrong))
    assert "3 of coder(spec)" in patched("replace main.drafts = 3 of coder(spec)", wrong)


def test_limits_hold_at_their_values() -> None:
    edits = "".join(f'add agent a{number}(q) -> text on fast "Go."\n' for number in range(50))
    more = "".join(f"set a{number}.temp = 0.{number}1\n" for number in range(limits.PATCH_EDITS - 50))
    assert "a49" in patched(edits + more)
    assert [code for code, _ in refused(f"{edits}{more}bind coder = fast")] == ["MAS009"]
    head = "patch 1\nbind coder = fast #"
    room = limits.PATCH_BYTES - len(head) - 1
    assert (
        "on fast temp" in masdsl.apply(Source("p", f"{head}{'x' * room}\n"), Source("<p>", PROGRAM), config=CONFIG).text
    )
    assert refused("x" * (room + 1), head=head)[0][0] == "MAS009"


def test_an_edit_on_the_tree_leaves_the_program_it_was_made_for_as_it_is() -> None:
    program = tree(PROGRAM)
    parsed = parse_patch(Source("p", "patch 1 drop main.if drop coder"), Findings())
    assert isinstance(parsed.document, ast.Patch)
    assert apply_edits(parsed.document, program) != program
    assert program == tree(PROGRAM)


def test_steps_are_found_again_after_a_patch() -> None:
    parsed = parse_patch(
        Source(
            "p",
            "patch 1 rename main.refine = polish wrap main.if in again: loop 2 rename main.drafts = tries "
            "before main.polish { loop 2 { n = coder(spec) } } redo main.polish.r drop main.again.if.code.else",
        ),
        Findings(),
    )
    assert isinstance(parsed.document, ast.Patch)
    assert moved(parsed.document, tree(PROGRAM)) == {
        "main.tries": "main.drafts",
        "main.polish": "main.refine",
        **{f"main.polish.{name}": f"main.refine.{name}" for name in ("ok", "ok.else", "until", "r", "code")},
        "main.again.if": "main.if",
        "main.again.if.code": "main.if.code",
    }
    assert redone(parsed.document) == ("main.polish.r",)


def test_numbers_of_addresses_shift_with_what_is_before_them() -> None:
    program = tree(
        'mas 1 flow main(q) -> text { loop 2 { a = q } loop 3 { b = q } c = q else q + "!" else "" return c }'
    )
    parsed = parse_patch(Source("p", "patch 1 drop main.loop drop main.c.else"), Findings())
    assert isinstance(parsed.document, ast.Patch)
    assert moved(parsed.document, program) == {
        "main.loop": "main.loop_2",
        "main.loop.b": "main.loop_2.b",
        "main.c.else": "main.c.else_2",
    }
