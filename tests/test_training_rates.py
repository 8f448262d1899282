"""Rates of generators: every stage by a text that gets just so far, no fallback, resumed where it stopped."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from masdsl.config import DEFAULT, Grant
from masdsl.meta.emission import Terms
from masdsl.meta.extract import extract
from masdsl.meta.host import Host
from masdsl.meta.roles import PoolGenerator
from masdsl.meta.trained import TrainedGenerator, compact_text, messages_of, tools_of
from masdsl.runtime.models.base import ModelError, Price, Reply, Request
from training.data.export import Example
from training.rates.asking import Asked, read_asked
from training.rates.command import main
from training.rates.measuring import Constant, Measured, measure
from training.rates.rates import against, rates_of, table

GOOD = 'mas 1\nagent solver(query) -> int "Work it out."\nflow main(query) -> int {\nreturn solver(query)\n}\n'
FIVE = """mas 1
use std.vote: vote
agent solver(query) -> int temp 0.7 "Work it out."
flow main(query) -> int {
found = 5 of solver(query)
return vote(found)
}
"""
SUM = Asked("sum", "What is 17 + 25?", "42", "numeric", "sum", "flow main(query) -> int", (), 3)
TERMS = Terms(constrained=False, timeout=5)


class Says:
    """A model that gives the next of some replies, the last one for ever."""

    def __init__(self, *replies: str) -> None:
        self.replies = list(replies)
        self.asked: list[Request] = []

    name = "says"
    price = Price(0.0, 0.0)

    async def complete(self, request: Request) -> Reply:
        self.asked.append(request)
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if reply == "fails":
            raise ModelError("unavailable", "it is away")
        return Reply(reply, input_tokens=10, output_tokens=20)

    async def close(self) -> None:
        pass


def host_of(*answers: object) -> Host:
    model = Says(*(str(one) for one in answers or ("42",)))
    return Host(DEFAULT._replace(tools={"calculator": Grant("calculator")}), models={"default": model})


def measured(reply: str, asked: Asked = SUM, host: Host | None = None, *, run: bool = True) -> Measured:
    return asyncio.run(measure(TrainedGenerator(Says(reply)), asked, host or host_of(), TERMS, run=run))


def stages(one: Measured) -> tuple[bool, ...]:
    return one.written, one.parses, one.checks, one.fits, one.mended, one.ran


@pytest.mark.parametrize(
    ("reply", "reached"),
    [
        ("I do not know.", (False,) * 6),
        ("```mas\nmas 1\nflow main(query -> int {\n```", (True, False, False, False, False, False)),
        (GOOD.replace("return solver", "return resolver"), (True, True, False, False, True, False)),
        (GOOD.replace("-> int", "-> text"), (True, True, True, False, False, False)),
        (FIVE, (True, True, True, False, True, False)),
        (GOOD.replace("solver(query)\n", "7\n"), (True, True, True, False, False, False)),
        (f"One call will do.\n\n```mas\n{GOOD}```", (True,) * 6),
    ],
    ids=["nothing", "no syntax", "a name that is mended", "another type", "too many calls", "no model decides", "good"],
)
def test_how_far_a_text_gets(reply: str, reached: tuple[bool, ...]) -> None:
    one = measured(reply)
    assert stages(one) == reached, one.why
    assert (one.why == "") == all(reached)
    assert one.tokens_out == 20, "one try, whatever came of it"


def test_what_a_run_gave_is_graded_and_counted() -> None:
    right, wrong = measured(GOOD), measured(GOOD, host=host_of("43"))
    assert (right.score, wrong.score) == (1.0, 0.0)
    assert right.gold and right.calls == 1 and right.hash == wrong.hash != ""
    lost = measured(GOOD, host=host_of("fails"))
    assert not lost.ran and lost.fits and "it is away" in lost.why and lost.score == 0
    assert not measured(GOOD, SUM._replace(answer=None)).gold
    unrun = measured(GOOD, run=False)
    assert unrun.fits and not unrun.ran and not unrun.calls


def test_nothing_takes_the_place_of_a_program_that_is_none() -> None:
    model = Says("no", f"```mas\n{GOOD}```")
    one = asyncio.run(measure(TrainedGenerator(model), SUM, host_of(), TERMS._replace(tries=5)))
    assert not one.written and len(model.asked) == 1 and one.score == 0.0


def test_the_simple_ones_are_measured_by_the_same_rules() -> None:
    constant = asyncio.run(measure(Constant(), SUM._replace(calls=6), host_of(), TERMS, run=False))
    assert constant.fits and "3 of solver" in constant.program and constant.tokens_out == 0
    asked = Asked("why", "Compare two plans, and debate which of them is better.")
    near = asyncio.run(measure(PoolGenerator(), asked, host_of(), TERMS, run=False, examples=24))
    assert near.fits and near.program


def test_rates_are_shares_of_all_queries() -> None:
    found = [measured(GOOD), measured("nothing"), measured(GOOD, SUM._replace(answer=None))]
    rates = rates_of("one", found)
    assert [round(one.mean, 2) for one in (rates.parses, rates.checks, rates.fits)] == [0.67] * 3
    assert rates.ran is not None and rates.right is not None
    assert (rates.right.mean, rates.right.samples) == (0.5, 2), "of those with a gold answer, the failed one a zero"
    assert (rates.programs, rates.tokens, rates.calls) == (1, 20, 1)
    assert "| one | 3 | 67 % (21-94) |" in table([rates])
    assert rates_of("one", [measured(GOOD, run=False)], run=False).ran is None


def test_generators_are_compared_query_by_query() -> None:
    queries = [SUM._replace(id=str(number)) for number in range(6)]
    right = [measured(GOOD, one) for one in queries]
    none = [measured("nothing", one) for one in reversed(queries)]
    rates = against(rates_of("none", none), none, right)
    assert rates.paired is not None and (rates.paired.samples, rates.paired.less, rates.paired.more) == (6, 6, 0)
    assert rates.paired.difference == -1 and rates.paired.p == pytest.approx(2 / 2**6)
    assert "| -100 % (p 0.031) |" in table([rates])
    assert against(rates_of("none", none), none, []).paired is None


def test_a_trained_model_is_asked_as_it_was_trained() -> None:
    program = FIVE.replace("agent", 'tool calculator(expression: text(60)) -> int from "calculator"\nagent', 1)
    example = Example("1", SUM.query, "A vote.", program, "h", {}, SUM.signature, tools_of(program), 7)
    model = Says("no")
    tools = ('tool calculator(expression: text(60)) -> int from "calculator"',)

    asyncio.run(measure(TrainedGenerator(model), SUM._replace(tools=tools, calls=7), host_of(), TERMS, run=False))
    row = example.row("compact")
    assert row["prompt"] == [{"role": one.role, "content": one.content} for one in model.asked[0].messages]
    (said,) = row["completion"]
    assert extract(said["content"], "mas") == (compact_text(program), "A vote.")
    assert compact_text(program).splitlines()[1:3] == [tools[0], "use std.vote: vote"]


def test_many_calls_and_long_queries_are_told_in_short() -> None:
    (_, said) = messages_of("word " * 2_000, SUM.signature, calls=5_000)
    assert len(said.content) < 1_200 and "at most 20 calls" in said.content
    assert "at most 20 calls" in messages_of("q", SUM.signature)[1].content


# ---------------------------------------------------------------- the command


def config_in(folder: Path, text: str, rows: Sequence[object]) -> str:
    (folder / "queries.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (folder / "rates.toml").write_text(text, encoding="utf-8")
    script = {"replies": [f"```mas\n{GOOD}```", "42"]}
    (folder / "script.json").write_text(json.dumps(script), encoding="utf-8")
    return str(folder / "rates.toml")


CONFIG = """
[queries]
paths = ["queries.jsonl"]
calls = 3
grader = "numeric"
signature = "flow main(query) -> int"

[generators.constant]
kind = "self-consistency"

[run]
programs = false
"""


def test_a_measurement_goes_on_where_it_stopped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"query": "1 + 1?", "answer": 2}, {"query": "2 + 2?", "answer": 4}]
    config, out = config_in(tmp_path, CONFIG, rows), tmp_path / "out"
    assert main([config, "--out", str(out)]) == 0
    assert capsys.readouterr().err.count("constant ") == 2
    kept = (out / "measured.jsonl").read_text("utf-8").splitlines()
    (out / "measured.jsonl").write_text("\n".join(kept)[:-40], encoding="utf-8")  # as if it was killed
    assert main([config, "--out", str(out)]) == 0
    told = capsys.readouterr()
    assert told.err.count("constant ") == 1 and "constant 2/2" in told.err
    assert told.out == (out / "rates.md").read_text("utf-8")
    assert json.loads((out / "rates.json").read_text("utf-8"))[0]["fits"]["mean"] == 1.0


@pytest.mark.parametrize(
    ("text", "rows", "told"),
    [
        (CONFIG, [], "no queries"),
        (CONFIG, [{"question": "?"}], "queries.jsonl:1: it has no query"),
        (CONFIG, [{"query": "?", "calls": 0}], "`calls` is 0"),
        (CONFIG, [{"query": "?", "tools": "all"}], "`tools` is 'all'"),
        (CONFIG, [{"query": "?", "id": 1}, {"query": "!", "id": 1}], "the id `1` is there twice"),
        (CONFIG.replace("numeric", "numerical"), [{"query": "?"}], "did you mean `numeric`"),
        (CONFIG.replace('"self-consistency"', '"trained"'), [{"query": "?"}], "model: it is needed"),
        (CONFIG.replace('"self-consistency"', '"trained"\nmodel = "gpt"'), [{"query": "?"}], "there is no model `gpt`"),
        (CONFIG.replace("-> int", "-> it"), [{"query": "?"}], "the signature `flow main(query) -> it`"),
    ],
)
def test_bad_input_is_told(
    text: str, rows: Sequence[object], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([config_in(tmp_path, text, rows), "--out", str(tmp_path / "out")]) == 2
    assert told in capsys.readouterr().err


def test_the_configuration_that_names_every_key_can_be_read() -> None:
    from training.rates.settings import GeneratorSettings, Queries, Run, Settings
    from training.stage.settings import read_settings

    path = Path(__file__).resolve().parent.parent / "training" / "configs" / "rates.toml"
    settings = read_settings(str(path), Settings)
    assert settings.run == Run() and len(settings.generators) == 4
    text = path.read_text("utf-8")
    keys = {*Queries._fields, *GeneratorSettings._fields, *Run._fields}
    assert [key for key in sorted(keys) if f"\n{key} = " not in text] == []


def test_read_asked_keeps_other_columns(tmp_path: Path) -> None:
    config_in(tmp_path, CONFIG, [{"query": "Which?", "answer": "A", "options": ["x", "y"], "family": "choice"}])
    (one,) = read_asked([str(tmp_path / "queries.jsonl")], calls=4)
    assert (one.id, one.family, one.calls, one.extra) == ("query-0", "choice", 4, {"options": ["x", "y"]})
