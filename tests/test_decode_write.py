"""Programs that are written piece by piece: whatever a model does, they parse, check and fit their budget."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

pytest.importorskip("llguidance", reason="masdsl[decode] is not installed")

from masdsl.config import DEFAULT
from masdsl.decode.draft import Draft, Refused, begin, closed, fed, literal_of
from masdsl.decode.models import GrammarModel, NoGrammar
from masdsl.decode.pieces import next_piece
from masdsl.decode.profile import Profile
from masdsl.decode.write import Piece, Written, write
from masdsl.diagnostics.base import ERROR, Findings
from masdsl.pipeline import build, check_source
from masdsl.runtime.models.base import Message
from masdsl.source import Source
from masdsl.types import Bool, Enum, Float, Int, List, Optional, Record, Text
from tests.harness.random_writer import RandomChat, RandomWriter

HEADER = "budget calls 12\n"


def written(
    seed: int, *, tokens: int = 5_000, header: str = HEADER, signature: str = "flow main(query) -> text"
) -> Written:
    draft = begin(signature, DEFAULT, header=header)
    return asyncio.run(write(draft, RandomWriter(), tokens=tokens, seed=seed))


def faults(text: str) -> list[str]:
    """Return the errors of a program, and its bounds above budgets."""
    findings = Findings()
    check_source(Source("x", text), DEFAULT, findings)
    return [
        str(one.diagnostic)
        for one in findings.sorted()
        if one.diagnostic.severity == ERROR or one.diagnostic.code.startswith("MAS4")
    ]


KINDS = ("for", "if", "each", " of ", "else", "type")


def test_a_model_that_knows_nothing_writes_sound_programs() -> None:
    kinds: Counter[str] = Counter()
    refused = 0
    for seed in range(30):
        one = written(seed)
        assert one.finished, one.reason
        assert faults(one.text) == [], one.text
        refused += len(one.refused)
        kinds.update(word for word in KINDS if word in one.text)
    assert refused <= 3, "types and names leave nearly nothing for the checker to refuse"
    assert all(kinds[word] for word in KINDS), kinds


@pytest.mark.parametrize("tokens", [0, 1, 30, 90, 150, 250, 400])
def test_tokens_that_run_out_leave_a_sound_program(tokens: int) -> None:
    for seed in range(3):
        one = written(seed, tokens=tokens)
        assert faults(one.text) == [], one.text
        assert one.finished or "tokens" in one.reason
        assert one.tokens <= tokens


@pytest.mark.parametrize(
    ("signature", "header"),
    [
        ("flow main(query, hint: text(20)?) -> (answer: float, sure: bool)", HEADER),
        ("flow solve(queries: text[4]+) -> Grade[3]+", "type Grade = good | bad\nbudget calls 4\n"),
        ("flow main(query) -> int?", "budget calls 1 tokens 20k seconds 600\n"),
        ("flow main(query) -> text", "type Pair { a: int, b: text(9) }\nbudget calls 3\n"),
    ],
)
def test_other_tasks(signature: str, header: str) -> None:
    for seed in range(4):
        one = written(seed, signature=signature, header=header)
        assert faults(one.text) == [] and signature in one.text, one.text
        findings = Findings()
        program = check_source(Source("x", one.text), DEFAULT, findings)
        assert program is not None
        build(program)


def test_a_signature_with_faults_is_refused() -> None:
    for signature in ("flow main(query) -> Nothing", "flow main(", "nonsense"):
        with pytest.raises(Refused):
            begin(signature, DEFAULT)


# ---------------------------------------------------------------- pieces that are given


def drafted(*pieces: str, header: str = HEADER) -> Draft:
    draft = begin("flow main(query) -> text", DEFAULT, header=header)
    for piece in pieces:
        draft = fed(draft, piece)
    return draft


AGENTS = (
    "type Kind = easy | hard\n",
    "type Review { ok: bool, kind: Kind }\n",
    "agent coder(spec: text) -> text(300)\n",
    '"Write {{ spec }}"\n',
    "agent critic(code: text(300)) -> Review\n",
    '"Judge {{ code }}"\n',
    "flow main(query) -> text {\n",
)


@pytest.mark.parametrize(
    ("pieces", "piece", "code"),
    [
        ((), "a = coder(missing)\n", "MAS101"),
        ((), "a = nobody(query)\n", "MAS10"),
        ((), "a = critic(query, query)\n", "MAS2"),
        ((), "a = 13 of coder(query)\n", "MAS4"),
        (("loop 4 {\n",), "a = 4 of coder(query)\n", "MAS4"),
        ((), "until true\n", "MAS3"),
        (("r = critic(query)\n",), "match r.kind == 1 {\n", "MAS"),
        (("a = coder(query)\n",), "a = coder(query)\n", "MAS3"),
    ],
)
def test_what_the_checker_refuses(pieces: tuple[str, ...], piece: str, code: str) -> None:
    draft = drafted(*AGENTS, *pieces)
    with pytest.raises(Refused) as caught:
        fed(draft, piece)
    assert caught.value.findings[0].diagnostic.code.startswith(code), str(caught.value)
    assert faults(closed(draft)) == []


def test_every_place_can_be_closed() -> None:
    pieces = (
        *AGENTS,
        "code = coder(query)\n",
        "loop 2 {\n",
        "review = critic(code)\n",
        "until review.ok\n",
        "match review.kind {\n",
        "easy {\n",
        "code = coder(code)\n",
        "}\n",
        "else {\n",
        "if review.ok {\n",
        "return code\n",
        "}\n",
        "else {\n",
        "code = coder(query)\n",
        "}\n",
        "}\n",
        "}\n",
        "}\n",
        "return code\n",
        "}\n",
    )
    draft = drafted()
    for piece in pieces:
        assert faults(closed(draft)) == [], closed(draft)
        draft = fed(draft, piece)
    assert draft.done and next_piece(draft) is None and faults(draft.text) == []


def test_a_model_that_insists_is_given_up() -> None:
    class Stubborn:
        async def piece(self, prefix: str, grammar: object, *, most: int, seed: int) -> Piece:
            return Piece("a = nobody(query)\n", True, 5)

    one = asyncio.run(write(drafted(*AGENTS), Stubborn(), tokens=1_000))
    assert not one.finished and "4 pieces in a row were refused" in one.reason and len(one.refused) == 4
    assert faults(one.text) == []


def test_a_chat_model_goes_on_with_what_is_written() -> None:
    chat = RandomChat()
    asked = (Message("system", "You write programs."), Message("user", "Write one."))
    model = GrammarModel(chat, asked, temperature=0.5, piece_tokens=400)
    one = asyncio.run(write(drafted(), model, tokens=5_000, seed=3))
    assert one.finished and faults(one.text) == []
    assert model.calls == len(chat.requests) == one.pieces + len(one.refused)
    assert (model.tokens_in, model.tokens_out) == (7 * model.calls, one.tokens)
    prefixes = [request.messages[-1].content for request in chat.requests]
    assert prefixes == sorted(prefixes, key=len) and all(one.text.startswith(prefix) for prefix in prefixes)
    assert all(request.messages[:-1] == asked and request.temperature == 0.5 for request in chat.requests)


def test_a_chat_model_without_grammars_is_refused() -> None:
    chat = RandomChat()
    chat.grammars = ""
    with pytest.raises(NoGrammar, match="random takes no grammars"):
        GrammarModel(chat, ())


def test_the_profile_bounds_what_is_written() -> None:
    profile = Profile(agents=1, statements=2, depth=0, types=0, prompt=20)
    for seed in range(5):
        draft = begin("flow main(query) -> text", DEFAULT, profile, HEADER)
        one = asyncio.run(write(draft, RandomWriter(), tokens=5_000, seed=seed))
        assert one.finished and one.text.count("agent ") == 1 and "type " not in one.text
        assert one.text.count(" = ") <= 2 and "{\n" not in one.text.split("{\n", 1)[1]


@pytest.mark.parametrize(
    ("kind", "literal"),
    [
        (Text(9), '""'),
        (Int(), "0"),
        (Float(), "0.0"),
        (Bool(), "false"),
        (Optional(Int()), "none"),
        (List(Int(), 0, 3), "[]"),
        (List(Bool(), 2, 3), "[false, false]"),
        (Record("R", "", (("a", Enum("K", "", ("x", "y"))), ("b", Int()))), "R(a: K.x, b: 0)"),
        (Record(None, "", (("a", Int()),)), "(a: 0)"),
    ],
)
def test_the_shortest_value_of_a_type(kind: object, literal: str) -> None:
    assert literal_of(kind) == literal  # type: ignore[arg-type]
