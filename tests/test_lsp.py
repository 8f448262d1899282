"""The language server, feature by feature, through a real session: `mas lsp` in a process of its own.

The client is that of `pytest-lsp`, which checks what the server sends against the specification. Its fixture needs the
plugin of `pytest-asyncio`, which ends every test run at start where warnings are errors; that is kept out
(`-p no:asyncio`), and the session has an event loop of its own.

Texts have a mark, ‸, where the question is asked.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pygls", reason="the language server's library is not here: pip install -e '.[lsp]'")
pytest.importorskip("pytest_lsp", reason="the client is not here: pip install -e '.[dev]'")

from lsprotocol import types as lsp
from pygls.exceptions import JsonRpcException

from masdsl import resources
from masdsl.editor.positions import Positions
from masdsl.editor.tokens import MODIFIERS, TYPES
from tests.harness.lsp_session import Session

MARK = "‸"
ROOT = Path(__file__).resolve().parent.parent

PROGRAM = '''mas 1
use std.vote: vote
use helpers: tidy, Draft as D

type Mood = happy | sad
type Review { ok: bool, notes: text(20)[4], mood: Mood? }

tool send(address, body) -> bool else false from "mail.send" effect

## Writes what is asked for.
agent writer(topic, review: Review?) -> text(100) on fast retry 1
  """
  Write about {{ topic }}.
  {% if review is not none %}
  {% for note in review.notes %}
  - {{ note|upper }}
  {% endfor %}
  {% endif %}
  """

agent critic(draft: text(100)) -> Review on smart temp 0
  "Is this good? {{ draft }}"

agent strict = critic role "You are strict."

## Writes until the critic is content.
flow main(topic) -> text(100) {
  draft = writer(topic)
  refine: loop 3 {
    review = critic(draft)
    until review.ok
    draft = writer(topic, review)
  }
  drafts = 3 of writer(topic)
  best = vote(drafts)
  lengths = each one in drafts where len(one) > 2: len(one)
  if sum(lengths) > 300 {
    return best
  }
  return draft
}

test "content at once" {
  given writer = "Tea."
  given critic = Review(ok: true, notes: [])
  out = main("tea")
  expect out == "Tea." and ran(main.refine.review) == 1
}
'''
HELPERS = """mas 1

## A draft.
type Draft { body: text(200) }

agent tidy(draft: Draft) -> Draft on fast
  "Tidy up {{ draft.body }}"
"""
CONFIG = '[tiers]\nfast = "smollm2"\ncheap = "smollm2"\n\n[tools]\n"mail.send" = "mailer:send"\n'


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("editor")
    (place / "mas.toml").write_text(CONFIG, encoding="utf-8")
    (place / "helpers.mas").write_text(HELPERS, encoding="utf-8")
    return place


@pytest.fixture(scope="module")
def session(folder: Path) -> Iterator[Session]:
    made = Session(folder, watches=True)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def nothing_is_logged(request: pytest.FixtureRequest) -> Iterator[None]:
    """No test may pass over a fault of the server's own."""
    yield
    if "session" in request.fixturenames:
        assert request.getfixturevalue("session").log == []


def marked(text: str) -> tuple[str, lsp.Position]:
    """Return a text without its mark, and where that stood."""
    before, _, after = text.partition(MARK)
    place = Positions(before + after).place(len(before))
    return before + after, lsp.Position(place.line, place.column)


def in_program(word: str, number: int = 1) -> tuple[str, lsp.Position]:
    """Return the program with a position inside a word: `word` has the mark; the `number`th of such is meant."""
    plain = word.replace(MARK, "")
    at = -1
    for _ in range(number):
        at = PROGRAM.index(plain, at + 1)
    at += word.index(MARK)
    return marked(PROGRAM[:at] + MARK + PROGRAM[at:])


def opened(session: Session, text: str, name: str = "program.mas") -> lsp.TextDocumentIdentifier:
    """Open a text, or give an open one another."""
    uri = session.uri(name)
    if session.count(uri):
        session.shut(uri)
    return lsp.TextDocumentIdentifier(session.open(name, text))


def applied(text: str, edits: list[Any], encoding: str = "utf-16") -> str:
    """Return a text after edits, as a client makes them."""
    places = Positions(text, encoding)
    crlf = "\r\n" in text
    found = sorted(
        (
            places.offset(edit.range.start.line, edit.range.start.character),
            places.offset(edit.range.end.line, edit.range.end.character),
            edit.new_text.replace("\r\n", "\n"),
        )
        for edit in edits
    )
    made = places.text
    for start, end, new in reversed(found):
        made = made[:start] + new + made[end:]
    return made.replace("\n", "\r\n") if crlf else made


def of_range(text: str, found: lsp.Range) -> str:
    places = Positions(text)
    start = places.offset(found.start.line, found.start.character)
    return places.text[start : places.offset(found.end.line, found.end.character)]


# ---------------------------------------------------------------- diagnostics and their fixes


def test_a_faultless_program_has_no_diagnostics(session: Session) -> None:
    program = opened(session, PROGRAM)
    assert session.errors(program.uri) == []


def test_diagnostics_follow_what_is_typed(session: Session) -> None:
    program = opened(session, PROGRAM)
    session.change(program.uri, PROGRAM.replace("writer(topic)", "writr(topic)", 1), 2)
    assert session.errors(program.uri) == ["MAS102"]
    assert session.versions[program.uri] == 2
    found = session.diagnostics[program.uri][0]
    assert of_range(PROGRAM.replace("writer(topic)", "writr(topic)", 1), found.range) == "writr"
    assert "writer" in found.message and found.severity == lsp.DiagnosticSeverity.Error
    session.change(program.uri, PROGRAM, 3)
    assert session.errors(program.uri) == []


@pytest.mark.parametrize(
    "cut",
    [
        "flow main(topic) ->",
        "  draft = writer(",
        'agent a(b) -> text\n  "{{ ',
        "use std.",
        'x = """',
        "}",
        "flow f(",
        "\x00",
    ],
)
def test_broken_texts_keep_their_other_diagnostics(session: Session, cut: str) -> None:
    """A part that does not parse does not hide what is wrong in others."""
    text = PROGRAM.replace("review.ok\n", "review.okay\n")
    program = opened(session, f"{text}\n{cut}\n")
    assert "MAS105" in session.codes(program.uri) or len(session.codes(program.uri)) > 1
    assert "MAS106" in session.codes(program.uri) or "MAS104" in session.codes(program.uri)


def test_a_fix_is_a_code_action_that_mends(session: Session) -> None:
    text = PROGRAM.replace("review.ok\n", "review.okk\n")
    program = opened(session, text)
    found = session.diagnostics[program.uri]
    context = lsp.CodeActionContext(found, only=[lsp.CodeActionKind.QuickFix])
    actions = session.ask("text_document_code_action", lsp.CodeActionParams(program, found[0].range, context))
    fixes = [action for action in actions if action.diagnostics[0].code == found[0].code]
    assert fixes and applied(text, fixes[0].edit.changes[program.uri]) == PROGRAM


def test_all_safe_fixes_are_one_action(session: Session) -> None:
    text = "mas 1\n\nflow main(topic) -> text {\n  return topic;\n}\n"
    program = opened(session, text)
    whole = lsp.Range(lsp.Position(0, 0), lsp.Position(5, 0))
    context = lsp.CodeActionContext([], only=["source.fixAll"])
    actions = session.ask("text_document_code_action", lsp.CodeActionParams(program, whole, context))
    assert [action.kind for action in actions] == ["source.fixAll.mas"]
    session.change(program.uri, applied(text, actions[0].edit.changes[program.uri]), 2)
    assert session.errors(program.uri) == []


def test_a_warning_can_be_allowed_where_it_stands(session: Session) -> None:
    text = (
        'mas 1\n\nagent idle(topic) -> text on fast\n  "{{ topic }}"\n\nflow main(topic) -> text {\n  return topic\n}\n'
    )
    program = opened(session, text)
    found = session.diagnostics[program.uri]
    assert [one.severity for one in found] == [lsp.DiagnosticSeverity.Warning]
    params = lsp.CodeActionParams(program, found[0].range, lsp.CodeActionContext(found))
    action = next(one for one in session.ask("text_document_code_action", params) if one.title.startswith("allow"))
    session.change(program.uri, applied(text, action.edit.changes[program.uri]), 2)
    assert session.errors(program.uri) == []


@pytest.mark.parametrize("at", range(40, len(PROGRAM), 211))
def test_no_request_fails_on_a_text_that_ends_anywhere(session: Session, at: int) -> None:
    program = opened(session, PROGRAM[:at])
    here = Positions(PROGRAM[:at]).place(at)
    place = lsp.Position(here.line, here.column)
    whole = lsp.Range(lsp.Position(0, 0), place)
    options = lsp.FormattingOptions(2, True)
    for method, params in (
        ("hover", lsp.HoverParams(program, place)),
        ("completion", lsp.CompletionParams(program, place)),
        ("signature_help", lsp.SignatureHelpParams(program, place)),
        ("definition", lsp.DefinitionParams(program, place)),
        ("references", lsp.ReferenceParams(lsp.ReferenceContext(True), program, place)),
        ("document_highlight", lsp.DocumentHighlightParams(program, place)),
        ("code_action", lsp.CodeActionParams(program, whole, lsp.CodeActionContext([]))),
        ("formatting", lsp.DocumentFormattingParams(program, options)),
        ("document_symbol", lsp.DocumentSymbolParams(program)),
        ("semantic_tokens_full", lsp.SemanticTokensParams(program)),
        ("folding_range", lsp.FoldingRangeParams(program)),
        ("inlay_hint", lsp.InlayHintParams(program, whole)),
        ("code_lens", lsp.CodeLensParams(program)),
    ):
        session.ask(f"text_document_{method}", params)


def test_parts_of_a_text_may_change_one_after_the_other(session: Session) -> None:
    def at(line: int, begin: int, end: int, text: str) -> lsp.TextDocumentContentChangePartial:
        return lsp.TextDocumentContentChangePartial(lsp.Range(lsp.Position(line, begin), lsp.Position(line, end)), text)

    first = 'mas 1\r\n\r\nagent a(x) -> int\r\n  "\U0001f600\U0001f600 {{ x }}"\r\n'
    uri = session.open("parts.mas", first)
    assert session.codes(uri) == []
    session.edit(uri, [at(3, 11, 12, "y"), at(3, 3, 5, "é")], 2)
    assert session.errors(uri)
    session.edit(uri, [at(3, 10, 11, "x")], 3)
    assert session.errors(uri) == []
    whole = lsp.TextDocumentContentChangeWholeDocument("mas 1\n")
    end = lsp.TextDocumentContentChangePartial(lsp.Range(lsp.Position(9, 9), lsp.Position(9, 9)), "agent")
    session.edit(uri, [whole, end], 4)
    assert session.errors(uri)
    session.shut(uri)


# ---------------------------------------------------------------- hover


@pytest.mark.parametrize(
    ("word", "number", "shown"),
    [
        ("wri‸ter(topic)", 1, ["agent writer(topic, review: Review?) -> text(100)", "Writes what is asked", "2 calls"]),
        ("str‸ict =", 1, ["agent strict = critic", "strict(draft: text(100)) -> Review"]),
        ("ma‸in(topic)", 1, ["flow main(topic) -> text(100)", "Writes until the critic", "at most"]),
        ("dra‸ft =", 1, ["draft: text(100)", "this step: at most 2 calls"]),
        ("ref‸ine:", 1, ["refine", "this step: at most"]),
        ("review.o‸k", 1, ["ok: bool", "field of `Review`"]),
        ("vo‸te(drafts)", 1, ["extern vote", "The most frequent", "std.vote"]),
        ("le‸n(one)", 1, ["len(text or T[n]) -> int", "characters of a text"]),
        ("on fa‸st", 1, ["tier `fast`", "smollm2"]),
        ("{{ to‸pic", 1, ["topic: text(800)", "parameter of `writer`"]),
        ("{{ no‸te", 1, ["note: text(20)"]),
        ("for no‸te in", 1, ["note: text(20)", "item"]),
        ("review.no‸tes %", 1, ["notes: text(20)[4]"]),
        ("Draft as ‸D", 1, ["type Draft", "A draft.", "from `helpers`"]),
        ("st‸d.vote", 1, ["use std.vote"]),
        ("on‸e in drafts", 1, ["one: text(100)"]),
        ("ra‸n(main", 1, ["how often a step ran"]),
        ("main.refine.rev‸iew", 1, ["review"]),
    ],
)
def test_hover(session: Session, word: str, number: int, shown: list[str]) -> None:
    text, at = in_program(word, number)
    program = opened(session, text)
    found = session.ask("text_document_hover", lsp.HoverParams(program, at))
    assert found is not None
    for part in shown:
        assert part in found.contents.value, found.contents.value


def test_a_name_without_a_known_type_is_shown_without_one(session: Session) -> None:
    text, at = marked(_flow("x = wrter(topic)\n  y = ‸x"))
    program = opened(session, text)
    found = session.ask("text_document_hover", lsp.HoverParams(program, at))
    assert found.contents.value == "```mas\nx\n```"


def test_nothing_is_said_about_blanks(session: Session) -> None:
    program = opened(session, PROGRAM)
    assert session.ask("text_document_hover", lsp.HoverParams(program, lsp.Position(3, 0))) is None


# ---------------------------------------------------------------- completion

_HEAD, _, _TAIL = PROGRAM.partition("  return draft\n")


def _flow(line: str) -> str:
    return f"{_HEAD}  {line}\n  return draft\n{_TAIL}"


@pytest.mark.parametrize(
    ("text", "offered", "not_offered"),
    [
        (_flow("x = dr‸"), ["draft", "drafts"], ["refine"]),
        (_flow("x = ‸"), ["draft", "topic", "writer", "critic", "len", "vote", "Review"], ["review", "until"]),
        (_flow("dr‸"), ["draft", "drafts"], ["len"]),
        (_flow("‸"), ["return", "loop", "match", "draft"], ["agent"]),
        (_flow("x = critic(draft)\n  y = x.‸"), ["ok", "notes", "mood"], ["draft"]),
        (_flow("x = critic(draft)\n  y = x.no‸ + 1"), ["notes"], []),
        (_flow("m = Mood.‸"), ["happy", "sad"], ["draft"]),
        (_flow("x = writer(‸)"), ["topic:", "review:", "draft"], []),
        (_flow("x = Review(‸)"), ["ok:", "notes:", "mood:"], []),
        (_flow("x = each d in drafts: len(‸)"), ["d", "draft"], []),
        (_flow("kind = Mood.happy\n  match kind {\n    ‸\n  }"), ["happy", "sad"], ["draft"]),
        (_flow("x = deb‸"), ["debate"], []),
        (PROGRAM.replace("on smart", "on ‸"), ["fast", "smart", "default", "cheap"], ["draft"]),
        (PROGRAM.replace("temp 0", "‸"), ["temp", "max", "retry", "tools"], ["flow"]),
        (PROGRAM + "\n‸", ["agent", "flow", "tool", "test", "type"], ["until"]),
        (PROGRAM.replace("use std.vote", "use std.‸"), ["vote", "debate", "refine"], ["std"]),
        (PROGRAM.replace("use std.vote: vote", "use ‸"), ["std", "helpers"], ["program"]),
        (PROGRAM.replace("use std.vote: vote", "use std.vote: ‸"), ["vote"], ["debate"]),
        (PROGRAM.replace("tidy, Draft as D", "‸"), ["tidy", "Draft"], []),
        (PROGRAM.replace("(draft: text(100)) ->", "(draft: ‸) ->"), ["text", "int", "Mood", "Review"], ["draft"]),
        (PROGRAM.replace("(draft: text(100)) -> Review", "(draft: text(100)) -> ‸"), ["text", "Review"], []),
        (PROGRAM.replace("{{ topic }}", "{{ ‸ }}"), ["topic", "review"], ["note", "draft"]),
        (PROGRAM.replace("{{ topic }}", "{{ to‸"), ["topic"], []),
        (PROGRAM.replace("{{ note|upper }}", "{{ ‸ }}"), ["note", "loop", "topic"], []),
        (PROGRAM.replace("in review.notes", "in review.‸"), ["notes", "ok"], ["topic"]),
        (PROGRAM.replace("note|upper", "note|‸"), ["upper", "lower", "join"], ["topic"]),
        (PROGRAM.replace("{% endif %}", "{% ‸ %}"), ["endif", "for", "else"], []),
        (PROGRAM.replace('"mail.send"', '"‸"'), ["mail.send"], []),
        (PROGRAM.replace("given critic", "given ‸"), ["critic", "writer", "send"], ["main"]),
        (PROGRAM.replace("expect out", "expect ‸"), ["out", "calls", "ran"], []),
        (PROGRAM.replace("ran(main.refine.review)", "ran(main.‸)"), ["draft", "refine", "drafts"], ["ok"]),
        (PROGRAM.replace("## Writes until", "## ‸ until"), [], ["draft", "agent"]),
        (PROGRAM.replace("You are strict", "You ‸"), [], ["draft", "topic"]),
    ],
)
def test_completion(session: Session, text: str, offered: list[str], not_offered: list[str]) -> None:
    text, at = marked(text)
    program = opened(session, text)
    found = session.ask("text_document_completion", lsp.CompletionParams(program, at))
    labels = [item.label for item in found.items]
    assert set(offered) <= set(labels), sorted(labels)
    assert not set(not_offered) & set(labels), sorted(labels)


def test_what_is_not_imported_comes_with_its_import(session: Session) -> None:
    text, at = marked(_flow("answer = deba‸"))
    program = opened(session, text)
    found = session.ask("text_document_completion", lsp.CompletionParams(program, at))
    item = next(item for item in found.items if item.label == "debate")
    made = applied(text, [item.text_edit, *item.additional_text_edits])
    assert "use helpers: tidy, Draft as D\nuse std.debate\n" in made
    assert "answer = debate\n" in made


# ---------------------------------------------------------------- definition, references, highlights


@pytest.mark.parametrize(
    ("word", "number", "file", "line"),
    [
        ("wri‸ter(topic)", 1, "program.mas", "agent writer"),
        ("= ‸draft", 1, None, None),
        ("critic(dra‸ft)", 1, "program.mas", "  draft = writer(topic)"),
        ("{{ to‸pic", 1, "program.mas", "agent writer"),
        ("{{ no‸te", 1, "program.mas", "  {% for note"),
        ("review.o‸k", 1, "program.mas", "type Review"),
        ("Review(o‸k:", 1, "program.mas", "type Review"),
        ("vo‸te(drafts)", 1, "vote.mas", "extern vote"),
        ("std.vo‸te:", 1, "vote.mas", "mas 1"),
        ("ti‸dy, Draft", 1, "helpers.mas", "agent tidy"),
        ("Draft as ‸D", 1, "helpers.mas", "type Draft"),
        ("main.refine.rev‸iew", 1, "program.mas", "    review = critic"),
        ("main.ref‸ine.review", 1, "program.mas", "  refine:"),
        ("given cri‸tic", 1, "program.mas", "agent critic"),
        ("le‸n(one)", 1, None, None),
    ],
)
def test_definition(session: Session, word: str, number: int, file: str | None, line: str | None) -> None:
    if "= ‸draft" in word:
        text, at = marked(PROGRAM.replace("return draft", "copy = ‸unknown\n  return draft"))
    else:
        text, at = in_program(word, number)
    program = opened(session, text)
    found = session.ask("text_document_definition", lsp.DefinitionParams(program, at))
    if file is None or line is None:
        assert found is None
        return
    assert found.uri.endswith(f"/{file}")
    path = {
        "program.mas": None,
        "vote.mas": Path(resources.find("stdlib", "vote.mas")),
        "helpers.mas": session.folder / "helpers.mas",
    }[file]
    lines = (text if path is None else path.read_text(encoding="utf-8")).split("\n")
    assert lines[found.range.start.line].startswith(line)


def test_references_reach_into_prompts_tests_and_other_files(session: Session, folder: Path) -> None:
    user = "mas 1\nuse helpers: Draft, tidy\n\nflow other(d: Draft) -> Draft {\n  return tidy(d)\n}\n"
    (folder / "user.mas").write_text(user, encoding="utf-8")
    program = opened(session, PROGRAM)

    def places(word: str, declaration: bool = True) -> list[tuple[str, int]]:
        _, at = in_program(word)
        params = lsp.ReferenceParams(lsp.ReferenceContext(declaration), program, at)
        found = session.ask("text_document_references", params)
        return sorted((one.uri.rpartition("/")[2], one.range.start.line) for one in found)

    def lines(part: str) -> list[int]:
        return [number for number, line in enumerate(PROGRAM.split("\n")) for _ in range(line.count(part))]

    assert places("ti‸dy, Draft") == [("helpers.mas", 5), ("program.mas", 2), ("user.mas", 1), ("user.mas", 4)]
    review = [number for number in lines("review") if number > 25]
    assert places("rev‸iew = critic") == [("program.mas", number) for number in review]
    assert len(places("writer(to‸pic, rev")) == 2
    assert places("writer(to‸pic, rev", declaration=False) == [("program.mas", lines("{{ topic")[0])]
    (folder / "user.mas").unlink()


def test_highlights_tell_writing_from_reading(session: Session) -> None:
    text, at = in_program("dra‸ft = writer(topic)\n  refine")
    program = opened(session, text)
    found = session.ask("text_document_document_highlight", lsp.DocumentHighlightParams(program, at))
    kinds = [one.kind for one in sorted(found, key=lambda one: (one.range.start.line, one.range.start.character))]
    write, read = lsp.DocumentHighlightKind.Write, lsp.DocumentHighlightKind.Read
    assert kinds == [write, read, write, read]


# ---------------------------------------------------------------- renaming


@pytest.mark.parametrize(
    ("word", "new", "gone"),
    [
        ("dra‸ft = writer(topic)\n  refine", "text_so_far", r"draft = writer"),
        ("refine‸: loop", "polish", "refine"),
        ("rev‸iew = critic", "verdict", "main.refine.review"),
        ("writer(to‸pic, rev", "subject", "{{ topic"),
        ("{{ no‸te", "remark", "for note"),
        ("cri‸tic(draft: ", "judge", "critic("),
        ("Rev‸iew {", "Verdict", "Review"),
        ("notes‸:", "remarks", "review.notes"),
        ("on‸e in drafts", "each_one", "len(one)"),
        ("Draft as ‸D", "Kept", "as D"),
        ("ma‸in(topic)", "start", "ran(main"),
        ("hap‸py |", "glad", "happy"),
    ],
)
def test_renaming_keeps_the_program_right(session: Session, word: str, new: str, gone: str) -> None:
    text, at = in_program(word)
    program = opened(session, text)
    prepared = session.ask("text_document_prepare_rename", lsp.PrepareRenameParams(program, at))
    assert prepared.placeholder == of_range(text, prepared.range)
    edit = session.ask("text_document_rename", lsp.RenameParams(program, at, new))
    made = applied(text, edit.changes[program.uri])
    assert gone not in made and new in made
    session.change(program.uri, made, 2)
    assert session.errors(program.uri) == []


def test_renaming_what_another_file_declares_changes_both(session: Session, folder: Path) -> None:
    text, at = in_program("ti‸dy, Draft")
    program = opened(session, text)
    edit = session.ask("text_document_rename", lsp.RenameParams(program, at, "clean"))
    changed = {uri.rpartition("/")[2]: edits for uri, edits in edit.changes.items()}
    assert set(changed) == {"program.mas", "helpers.mas"}
    assert "agent clean(draft: Draft)" in applied(HELPERS, changed["helpers.mas"])
    assert "use helpers: clean, Draft as D" in applied(text, changed["program.mas"])


def test_what_is_imported_by_its_modules_name_is_then_named(session: Session, folder: Path) -> None:
    (folder / "shout.mas").write_text("mas 1\n\nflow shout(x) -> text {\n  return upper(x)\n}\n", encoding="utf-8")
    text, at = marked("mas 1\nuse shout\n\nflow main(x) -> text {\n  return sho‸ut(x)\n}\n")
    program = opened(session, text)
    edit = session.ask("text_document_rename", lsp.RenameParams(program, at, "scream"))
    made = applied(text, edit.changes[program.uri])
    assert "use shout: scream\n" in made and "return scream(x)" in made
    (folder / "shout.mas").unlink()


@pytest.mark.parametrize(
    ("word", "new", "reason"),
    [
        ("dra‸ft = writer(topic)\n  refine", "best", "best"),
        ("dra‸ft = writer(topic)\n  refine", "writer", "writer"),
        ("dra‸ft = writer(topic)\n  refine", "Draft", "no such name"),
        ("dra‸ft = writer(topic)\n  refine", "loop", "word of the language"),
        ("dra‸ft = writer(topic)\n  refine", "len", "built-in"),
        ("vo‸te(drafts)", "poll", "standard library"),
        ("le‸n(one)", "size", "built-in function keeps its name"),
        ("on fa‸st", "slow", "mas.toml"),
        ("std.vo‸te:", "poll", "called like its file"),
    ],
)
def test_a_rename_that_would_break_the_program_is_refused_with_the_reason(
    session: Session, word: str, new: str, reason: str
) -> None:
    text, at = in_program(word)
    program = opened(session, text)
    with pytest.raises(JsonRpcException, match=reason):
        session.ask("text_document_rename", lsp.RenameParams(program, at, new))


def test_a_program_with_errors_is_not_renamed_in(session: Session) -> None:
    text, at = marked(PROGRAM.replace("review.ok", "review.okk").replace("best = vote", "be‸st = vote"))
    program = opened(session, text)
    with pytest.raises(JsonRpcException, match="mend them first"):
        session.ask("text_document_rename", lsp.RenameParams(program, at, "most"))


# ---------------------------------------------------------------- outline, folding, layout


def test_document_symbols(session: Session) -> None:
    program = opened(session, PROGRAM)
    found = session.ask("text_document_document_symbol", lsp.DocumentSymbolParams(program))
    by_name = {one.name: one for one in found}
    assert list(by_name) == ["Mood", "Review", "send", "writer", "critic", "strict", "main", "content at once"]
    assert [one.name for one in by_name["Review"].children] == ["ok", "notes", "mood"]
    assert [one.name for one in by_name["main"].children] == ["draft", "refine", "drafts", "best", "lengths", "if"]
    assert by_name["main"].detail == "-> text(100)"
    for one in found:
        assert one.range.start <= one.selection_range.start and one.selection_range.end <= one.range.end


def test_workspace_symbols(session: Session) -> None:
    opened(session, PROGRAM)
    found = session.ask("workspace_symbol", lsp.WorkspaceSymbolParams("tdy"))
    assert [(one.name, one.location.uri.rpartition("/")[2]) for one in found] == [("tidy", "helpers.mas")]
    assert session.ask("workspace_symbol", lsp.WorkspaceSymbolParams("nothing_like_it")) in ([], ())


def test_folding(session: Session) -> None:
    program = opened(session, PROGRAM)
    found = session.ask("text_document_folding_range", lsp.FoldingRangeParams(program))
    lines = PROGRAM.split("\n")
    folded = {(lines[one.start_line].strip(), one.kind) for one in found}
    assert ("use std.vote: vote", lsp.FoldingRangeKind.Imports) in folded
    assert ('"""', lsp.FoldingRangeKind.Region) in folded
    assert ("refine: loop 3 {", lsp.FoldingRangeKind.Region) in folded
    assert all(one.start_line < one.end_line for one in found)


def test_formatting(session: Session) -> None:
    text = PROGRAM.replace("  draft = writer(topic)\n  refine", "  draft   =   writer( topic )\n\n  refine")
    program = opened(session, text)
    options = lsp.FormattingOptions(2, True)
    edits = session.ask("text_document_formatting", lsp.DocumentFormattingParams(program, options))
    assert applied(text, edits) == PROGRAM
    session.change(program.uri, "mas 1\nflow (", 2)
    assert session.ask("text_document_formatting", lsp.DocumentFormattingParams(program, options)) is None


# ---------------------------------------------------------------- semantic tokens


def _decoded(text: str, data: list[int]) -> list[tuple[str, str, tuple[str, ...]]]:
    line = column = 0
    found = []
    places = Positions(text)
    for at in range(0, len(data), 5):
        step, along, width, kind, bits = data[at : at + 5]
        line, column = line + step, along if step else column + along
        start, end = places.offset(line, column), places.offset(line, column + width)
        modifiers = tuple(name for number, name in enumerate(MODIFIERS) if bits >> number & 1)
        found.append((places.text[start:end], TYPES[kind], modifiers))
    return found


def test_semantic_tokens_with_the_templates_in_prompts(session: Session) -> None:
    program = opened(session, PROGRAM)
    whole = session.ask("text_document_semantic_tokens_full", lsp.SemanticTokensParams(program))
    found = _decoded(PROGRAM, list(whole.data))
    for wanted in (
        ("agent", "keyword", ()),
        ("writer", "class", ("declaration",)),
        ("main", "function", ("declaration",)),
        ("Review", "type", ("declaration",)),
        ("happy", "enumMember", ("declaration",)),
        ("len", "function", ("defaultLibrary",)),
        ("refine", "label", ("declaration",)),
        ("## Writes what is asked for.", "comment", ("documentation",)),
        ("{{", "macro", ()),
        ("{%", "macro", ()),
        ("for", "keyword", ()),
        ("note", "variable", ("declaration",)),
        ("upper", "function", ()),
        ("notes", "property", ()),
        ("topic", "parameter", ("readonly",)),
        ("  Write about ", "string", ()),
        ("fast", "enumMember", ()),
        ("3", "number", ()),
    ):
        assert wanted in found, wanted
    every = "".join(text for text, _, _ in found)
    assert len(every) > len(PROGRAM) * 0.6
    begin, end = lsp.Position(10, 0), lsp.Position(19, 0)
    params = lsp.SemanticTokensRangeParams(program, lsp.Range(begin, end))
    some = _decoded(PROGRAM, list(session.ask("text_document_semantic_tokens_range", params).data))
    assert set(some) < set(found) and ("{{", "macro", ()) in some


# ---------------------------------------------------------------- signatures, hints, lenses


@pytest.mark.parametrize(
    ("line", "label", "active"),
    [
        ("x = writer(‸", "writer(topic, review: Review?) -> text(100)", "topic"),
        ("x = writer(topic, ‸)", "writer(topic, review: Review?) -> text(100)", "review: Review?"),
        ("x = writer(review: no‸, topic: topic)", "writer(topic, review: Review?) -> text(100)", "review: Review?"),
        ("x = strict(‸)", "critic(draft: text(100)) -> Review", "draft: text(100)"),
        ("x = Review(ok: true, no‸)", "Review(ok: bool, notes: text(20)[4], mood: Mood?)", "notes: text(20)[4]"),
        ("x = len(‸)", "len(text or T[n]) -> int", None),
        ("x = vote(dr‸", "vote(", None),
    ],
)
def test_signature_help(session: Session, line: str, label: str, active: str | None) -> None:
    text, at = marked(_flow(line))
    program = opened(session, text)
    found = session.ask("text_document_signature_help", lsp.SignatureHelpParams(program, at))
    signature = found.signatures[0]
    assert signature.label.startswith(label)
    if active is not None:
        start, end = signature.parameters[found.active_parameter].label
        assert signature.label[start:end] == active


def test_no_signature_outside_of_a_call(session: Session) -> None:
    text, at = marked(_flow("x = (1 + ‸2)"))
    program = opened(session, text)
    assert session.ask("text_document_signature_help", lsp.SignatureHelpParams(program, at)) is None


def test_inlay_hints_show_types_and_the_worst_case_of_steps(session: Session) -> None:
    program = opened(session, PROGRAM)
    whole = lsp.Range(lsp.Position(0, 0), lsp.Position(99, 0))
    found = session.ask("text_document_inlay_hint", lsp.InlayHintParams(program, whole))
    lines = PROGRAM.split("\n")
    shown: dict[str, list[str]] = {}
    for one in found:
        shown.setdefault(lines[one.position.line].strip(), []).append(one.label)
    assert ": text(100)" in shown["draft = writer(topic)"] and "≤ 2 calls" in str(shown["draft = writer(topic)"])
    assert any("≤ 9 calls" in label for label in shown["refine: loop 3 {"])
    assert ": text(100)[3]+" in shown["drafts = 3 of writer(topic)"]
    assert any("≤ 6 calls" in label for label in shown["drafts = 3 of writer(topic)"])


def test_steps_of_every_branch_have_their_worst_case(session: Session) -> None:
    text = (ROOT / "examples" / "router" / "router.mas").read_text(encoding="utf-8")
    program = opened(session, text, "router.mas")
    whole = lsp.Range(lsp.Position(0, 0), lsp.Position(99, 0))
    found = session.ask("text_document_inlay_hint", lsp.InlayHintParams(program, whole))
    lines = text.split("\n")
    costly = [lines[one.position.line].strip() for one in found if one.label.startswith("≤ 1 call")]
    steps = ["kind = router(question)", "answer = accountant(question)", "answer = engineer(question)"]
    assert sorted(costly) == sorted([*steps, "choose: match kind {"])
    session.shut(program.uri)


def test_lenses_show_the_worst_case_and_run_flows_and_tests(session: Session) -> None:
    program = opened(session, PROGRAM)
    found = session.ask("text_document_code_lens", lsp.CodeLensParams(program))
    path = str(session.folder / "program.mas")
    commands = {one.command.title: one.command.arguments for one in found}
    assert [["mas", "run", path]] == list(commands["run"])
    assert [["mas", "test", path, "-k", "content at once"]] == list(commands["run test"])
    assert any(title.startswith("at most 17 calls, ") for title in commands)
    done = subprocess.run(
        [sys.executable, "-m", "masdsl", *commands["run test"][0][1:]],
        cwd=session.folder,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    (session.folder / "program.mas").write_text(PROGRAM, encoding="utf-8")
    assert done.returncode == 2  # the file is not saved yet
    done = subprocess.run(
        [sys.executable, "-m", "masdsl", *commands["run test"][0][1:]],
        cwd=session.folder,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    (session.folder / "program.mas").unlink()
    assert done.returncode == 0 and "1 test passed" in done.stdout, done.stdout + done.stderr


# ---------------------------------------------------------------- files that change


def test_a_module_that_changes_is_seen_by_those_that_import_it(session: Session) -> None:
    program = opened(session, PROGRAM)
    assert session.errors(program.uri) == []
    before = session.count(program.uri)
    helpers = opened(session, HELPERS.replace("agent tidy", "agent tidied"), "helpers.mas")
    session.wait(program.uri, before)
    assert session.errors(program.uri) == ["MAS112"]
    before = session.count(program.uri)
    session.shut(helpers.uri)  # what is on the disk counts again
    session.wait(program.uri, before)
    assert session.errors(program.uri) == []


def test_a_change_of_the_configuration_is_seen(session: Session, folder: Path) -> None:
    assert lsp.WORKSPACE_DID_CHANGE_WATCHED_FILES in session.registered
    program = opened(session, PROGRAM.replace("on fast", "on cheap"))
    assert session.errors(program.uri) == []
    (folder / "mas.toml").write_text(CONFIG.replace("cheap", "dear"), encoding="utf-8")
    before = session.count(program.uri)
    change = lsp.FileEvent((folder / "mas.toml").as_uri(), lsp.FileChangeType.Changed)
    session.notify("workspace_did_change_watched_files", lsp.DidChangeWatchedFilesParams([change]))
    session.wait(program.uri, before)
    assert session.errors(program.uri) == ["MAS120"]
    (folder / "mas.toml").write_text(CONFIG, encoding="utf-8")
    before = session.count(program.uri)
    session.notify("workspace_did_change_watched_files", lsp.DidChangeWatchedFilesParams([change]))
    session.wait(program.uri, before)
    assert session.errors(program.uri) == []


def test_faults_of_the_configuration_are_told_at_its_file(session: Session, folder: Path) -> None:
    (folder / "mas.toml").write_text(CONFIG + "[budgt]\ncalls = 3\n", encoding="utf-8")
    uri = (folder / "mas.toml").as_uri()
    before = session.count(uri)
    opened(session, PROGRAM)
    assert len(session.wait(uri, before)) == 1
    (folder / "mas.toml").write_text(CONFIG, encoding="utf-8")
    before = session.count(uri)
    opened(session, PROGRAM)
    assert session.wait(uri, before) == []


def test_a_text_that_is_no_file_is_checked_as_well(session: Session) -> None:
    uri = session.open("untitled:Untitled-1", "mas 1\nuse std.vote\n\nflow main(x) -> text {\n  return y\n}\n")
    assert "MAS101" in session.codes(uri)
    params = lsp.CodeLensParams(lsp.TextDocumentIdentifier(uri))
    assert all(one.command.title != "run" for one in session.ask("text_document_code_lens", params))
    session.shut(uri)


@pytest.mark.parametrize(("text", "codes"), [("bind 1\nwriter = fast\n", []), ("patch 1\ndrop main..x\n", ["MAS010"])])
def test_bindings_and_patches_are_parsed(session: Session, text: str, codes: list[str]) -> None:
    program = opened(session, text)
    assert session.codes(program.uri)[:1] == codes
    options = lsp.FormattingOptions(2, True)
    edits = session.ask("text_document_formatting", lsp.DocumentFormattingParams(program, options))
    assert (edits is None) == bool(codes)


# ---------------------------------------------------------------- units of columns

WIDE = 'mas 1\n\nflow main(x) -> text {\n  # 🦜é\n  return "🦜 é" + unknwn + x\n}\n'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_columns_are_in_the_units_of_the_client(tmp_path: Path, encoding: str, line_end: str) -> None:
    session = Session(tmp_path, encodings=(encoding,))
    assert session.capabilities.position_encoding == encoding
    text = WIDE.replace("\n", line_end)
    uri = session.open("wide.mas", text)
    found = session.diagnostics[uri][0].range
    line = WIDE.split("\n")[4]
    units = {"utf-8": 1, "utf-16": 2, "utf-32": 4}[encoding]
    codec = {"utf-8": "utf-8", "utf-16": "utf-16-le", "utf-32": "utf-32-le"}[encoding]
    column = len(line[: line.index("unknwn")].encode(codec)) // units
    assert (found.start.line, found.start.character, found.end.character) == (4, column, column + 6)
    last = len(line[: line.rindex("x")].encode(codec)) // units
    session.change(uri, text.replace("unknwn", '"a"'), 2)
    at = lsp.Position(4, last - 3)
    edit = session.ask("text_document_rename", lsp.RenameParams(lsp.TextDocumentIdentifier(uri), at, "yy"))
    made = applied(text.replace("unknwn", '"a"'), edit.changes[uri], encoding)
    assert made == text.replace("unknwn", '"a"').replace("(x)", "(yy)").replace("+ x", "+ yy")
    assert session.log == []
    session.close()


# ---------------------------------------------------------------- what the client can show

_PLAIN = [lsp.MarkupKind.PlainText]


def _plain_text_alone(document: lsp.TextDocumentClientCapabilities) -> None:
    assert document.hover and document.completion and document.completion.completion_item
    assert document.signature_help and document.signature_help.signature_information
    document.hover.content_format = _PLAIN
    document.completion.completion_item.documentation_format = _PLAIN
    document.signature_help.signature_information.documentation_format = _PLAIN
    document.signature_help.signature_information.parameter_information = None
    document.document_symbol = None


def _says_nothing(document: lsp.TextDocumentClientCapabilities) -> None:
    document.hover = document.completion = document.signature_help = document.document_symbol = None


def _prefers_plain_text(document: lsp.TextDocumentClientCapabilities) -> None:
    assert document.hover is not None
    document.hover.content_format = [lsp.MarkupKind.PlainText, lsp.MarkupKind.Markdown]


_HOVER = "agent writer(topic, review: Review?) -> text(100) on fast retry 1"


@pytest.mark.parametrize("less", [_plain_text_alone, _says_nothing, _prefers_plain_text])
def test_a_client_that_takes_plain_text_gets_no_markdown(
    folder: Path, less: Callable[[lsp.TextDocumentClientCapabilities], None]
) -> None:
    session = Session(folder, less=less)
    text, at = in_program("wri‸ter(topic)")
    program = lsp.TextDocumentIdentifier(session.open("program.mas", text))
    kind = None if less is _says_nothing else lsp.MarkupKind.PlainText

    def shown(content: lsp.MarkupContent | str) -> str:
        if kind is None:
            assert isinstance(content, str)
            return content
        assert isinstance(content, lsp.MarkupContent) and content.kind == kind
        return content.value

    about = shown(session.ask("text_document_hover", lsp.HoverParams(program, at)).contents)
    assert about.startswith(f"{_HOVER}\n\nWrites what is asked for.") and "`" not in about
    if less is not _prefers_plain_text:
        text, at = marked(_flow("x = writer(‸"))
        session.change(program.uri, text, 2)
        (call,) = session.ask("text_document_signature_help", lsp.SignatureHelpParams(program, at)).signatures
        assert shown(call.documentation) == "Writes what is asked for."
        assert [one.label for one in call.parameters] == ["topic", "review: Review?"]
        text, at = marked(_flow("x = writ‸"))
        session.change(program.uri, text, 3)
        items = session.ask("text_document_completion", lsp.CompletionParams(program, at)).items
        docs = {item.label: shown(item.documentation) for item in items if item.documentation}
        assert docs["writer"] == "Writes what is asked for."
        listed = session.ask("text_document_document_symbol", lsp.DocumentSymbolParams(program))
        assert ("notes", "Review") in [(one.name, one.container_name) for one in listed]
    assert session.log == []
    session.close()


@pytest.mark.parametrize("editor", ["neovim@v0.6.1", "neovim", "emacs"])
def test_every_answer_is_one_that_the_editor_can_take(folder: Path, editor: str) -> None:
    """`pytest-lsp` holds the answers against what the editor says of itself."""
    session = Session(folder, editor=editor)
    text, at = in_program("wri‸ter(topic)")
    program = lsp.TextDocumentIdentifier(session.open("program.mas", text))
    assert session.ask("text_document_hover", lsp.HoverParams(program, at)).contents.value.startswith("```mas\nagent")
    assert session.ask("text_document_completion", lsp.CompletionParams(program, at)).items
    assert session.ask("text_document_document_symbol", lsp.DocumentSymbolParams(program))
    assert session.ask("text_document_code_lens", lsp.CodeLensParams(program))
    assert session.ask("text_document_folding_range", lsp.FoldingRangeParams(program))
    edit = session.ask("text_document_rename", lsp.RenameParams(program, at, "author"))
    assert "agent author(topic" in applied(text, edit.changes[program.uri])
    text, at = marked(_flow("x = writer(topic, ‸)"))
    session.change(program.uri, text, 2)
    shown = session.ask("text_document_signature_help", lsp.SignatureHelpParams(program, at))
    assert shown.active_parameter == 1 and shown.signatures[0].parameters
    assert session.log == []
    session.close()


# ---------------------------------------------------------------- what goes wrong


def test_a_fault_of_ours_is_logged_and_the_session_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    from masdsl.lsp.server import MasServer, guarded

    said: list[str] = []
    server = MasServer()
    monkeypatch.setattr(server, "window_log_message", lambda params: said.append(params.message))

    def fails(server: MasServer, params: object) -> None:
        raise ZeroDivisionError("of ours")

    assert guarded(fails)(server, None) is None
    assert "ZeroDivisionError: of ours" in said[0] and "test_lsp" in said[0]


@pytest.mark.parametrize(("last", "code"), [(["shutdown", "exit"], 0), (["exit"], 1), ([], 0)])
def test_the_process_ends_quietly_and_with_the_code_of_the_protocol(last: list[str], code: int) -> None:
    begin: dict[str, object] = {"processId": None, "capabilities": {}, "rootUri": None}
    said: list[dict[str, Any]] = [{"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": begin}]
    said += [{"jsonrpc": "2.0", "method": "initialized", "params": {}}]
    said += [{"jsonrpc": "2.0", "method": one} | ({"id": 2} if one == "shutdown" else {}) for one in last]
    bodies = [json.dumps(one).encode() for one in said]
    done = subprocess.run(
        [sys.executable, "-m", "masdsl", "lsp"],
        input=b"".join(b"Content-Length: %d\r\n\r\n%b" % (len(body), body) for body in bodies),
        capture_output=True,
        cwd=ROOT,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (code, b"")
    assert done.stdout.count(b'"capabilities"') == 1


def test_without_the_extra_the_command_says_what_to_install() -> None:
    code = "import sys; sys.modules['pygls'] = None; from masdsl.cli import main; sys.exit(main(['lsp']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 2
    assert "pip install 'masdsl[lsp]'" in done.stderr and "Traceback" not in done.stderr
