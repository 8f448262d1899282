"""Reports on batches: tables, manifest, text and picture, of hand-made outcomes; with and without the extra."""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from masdsl.batch.base import Batch, EngineFault, Lineup, Outcome, System
from masdsl.batch.report import Report, write_report
from masdsl.batch.standings import contenders_of, cost_text, standings_of
from masdsl.batch.statistics import Mixture
from masdsl.batch.systems import describe
from masdsl.batch.tables import OUTCOME_COLUMNS
from masdsl.cli import main as mas

PROGRAM = """mas 1

agent solver(query) -> text(20) on fast
  "Answer: {{ query }}"

flow main(query) -> text(20) {
  return solver(query)
}
"""
CONFIG = """[tiers]
fast = "small"

[models.small]
kind = "openai"
url = "http://127.0.0.1:1/v1"
model = "m"
input_price = 1.0
output_price = 2.0
context = 4000
"""


def batch_of(systems: int = 2, samples: int = 4, repetitions: int = 1, lineups: int = 1, **more: Any) -> Batch:
    return Batch(
        "b1",
        tuple(System(f"s{number}", f"/nowhere/s{number}.mas", "main", "0" * 64) for number in range(systems)),
        tuple(Lineup(f"l{number}", {}) for number in range(lineups)),
        "/nowhere/samples.jsonl",
        "f" * 64,
        samples,
        repetitions,
        **({"grader": "exact"} | more),
    )


def outcomes_by(batch: Batch, make: Callable[[Any], dict[str, Any]]) -> Iterator[Outcome]:
    for number in range(batch.runs):
        run = batch.run(number)
        ended: dict[str, Any] = {
            "status": "ended",
            "value": "x",
            "score": 1.0,
            "calls": 1,
            "tokens_in": 5,
            "tokens_out": 5,
        }
        yield Outcome(
            **{
                "number": number,
                "system": run.system.name,
                "lineup": run.lineup.name,
                "sample": run.sample,
                "repetition": run.repetition,
                **ended,
                **make(run),
            }
        )


def folder_of(path: Path, batch: Batch, outcomes: Iterator[Outcome] | list[Outcome], timings: str = "") -> Path:
    (path / "batch.json").write_text(json.dumps(batch.to_json()), encoding="utf-8")
    lines = "".join(one.line() + "\n" for one in outcomes)
    (path / "outcomes.jsonl").write_bytes(lines.encode("utf-8", "surrogatepass"))
    (path / "timings.jsonl").write_text(timings, encoding="utf-8")
    return path


def cheap_and_dear(run: Any) -> dict[str, Any]:
    """s0: half right at 1 picodollar a call; s1: all right at ten times that; s2: half right at five times that."""
    number = int(run.system.name[1:])
    return {"score": 1.0 if number == 1 else float(run.sample % 2), "picodollars": (1, 10, 5)[number] * 10**9}


# ---------------------------------------------------------------- standings


def test_repetitions_are_averaged_first() -> None:
    batch = batch_of(1, samples=2, repetitions=3)
    scores = iter([1, 0, 0, 1, 1, 1])
    [one] = contenders_of(batch, outcomes_by(batch, lambda run: {"score": next(scores)}))
    assert list(one.scores) == pytest.approx([1 / 3, 1]) and (one.runs, one.graded) == (6, 6)
    [standing] = standings_of([one]).standings
    assert standing.interval is not None and standing.interval[0] == pytest.approx(2 / 3)
    assert (standing.interval.samples, standing.interval.method) == (2, "bootstrap")


def test_what_could_not_be_graded_counts_for_nothing_and_failures_score_nothing() -> None:
    batch = batch_of(1, samples=3)
    made: Iterator[dict[str, Any]] = iter(
        [{"score": None}, {"score": 0.0, "status": "failed", "value": None, "why": "main: boom"}, {}]
    )
    [one] = contenders_of(batch, outcomes_by(batch, lambda run: next(made)))
    assert one.known() == [0.0, 1.0] and (one.runs, one.failed, one.graded) == (3, 1, 2)
    assert one.reasons == (("main: boom", 1),)


def test_front_pairs_and_mixtures() -> None:
    batch = batch_of(3, samples=8)
    found = standings_of(contenders_of(batch, outcomes_by(batch, cheap_and_dear)))
    assert found.measure == "picodollars"
    assert [one.on_front for one in found.standings] == [True, True, False]
    assert [one.cost for one in found.standings] == [10**9, 10**10, 5 * 10**9]
    assert [(one.first, one.second, one.test.more, one.test.less) for one in found.pairs] == [
        (0, 1, 0, 4),
        (0, 2, 0, 0),
        (1, 2, 4, 0),
    ]
    assert [one.test.p for one in found.pairs] == [0.125, 1.0, 0.125]
    assert [one.adjusted for one in found.pairs] == [0.375, 1.0, 0.375]
    assert not any(one.equal_cost for one in found.pairs)
    [dear, middle] = found.at_equal_cost
    assert (dear.contender, dear.mixture, dear.test.difference) == (1, Mixture(0, 0, 1.0), 0.5)
    share = (10 - 5) / (10 - 1)
    assert (middle.contender, middle.mixture[:2]) == (2, (0, 1)) and middle.mixture.share == pytest.approx(share)
    assert middle.test.difference == pytest.approx(0.5 - (share * 0.5 + (1 - share)))


@pytest.mark.parametrize(
    ("costs", "measure"),
    [(((5, 10), (6, 20)), "picodollars"), (((0, 10), (6, 20)), "tokens"), (((0, 0), (0, 0)), "calls")],
)
def test_costs_are_money_only_where_all_have_a_price(costs: tuple[tuple[int, int], ...], measure: str) -> None:
    batch = batch_of(2)

    def make(run: Any) -> dict[str, Any]:
        money, tokens = costs[int(run.system.name[1:])]
        return {"picodollars": money, "tokens_in": tokens, "tokens_out": 0}

    assert standings_of(contenders_of(batch, outcomes_by(batch, make))).measure == measure


@pytest.mark.parametrize(
    ("cost", "measure", "text"),
    [
        (0, "calls", "0 calls"),
        (1.5, "calls", "1.5 calls"),
        (12_345.6, "tokens", "12,346 tokens"),
        (1.234567e9, "picodollars", "$0.00123"),
        (2.5e12, "picodollars", "$2.5"),
    ],
)
def test_costs_in_words(cost: float, measure: str, text: str) -> None:
    assert cost_text(cost, measure) == text


# ---------------------------------------------------------------- files


def test_the_whole_report(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow.parquet", reason="tables need pyarrow, of masdsl[eval]")
    pytest.importorskip("matplotlib", reason="plots need matplotlib, of masdsl[eval]")
    batch = batch_of(3, samples=8)
    outcomes = list(outcomes_by(batch, cheap_and_dear))
    outcomes[0] = outcomes[0]._replace(value={"a": "\ud800", "b": [1, None]}, why="\ud800 | <b>\n2")
    timings = '{"chunk": [0, 2], "seconds": [0.5, 0.25], "resumed": 0, "cached": 1, "worker": "7"}\n{"chu'
    report = write_report(str(folder_of(tmp_path, batch, outcomes, timings)), budget={"usd": 3})
    assert report.missing == () and {path.name for path in tmp_path.iterdir()} == {
        "batch.json",
        "outcomes.jsonl",
        "timings.jsonl",
        *report.files,
    }
    table = pyarrow.read_table(tmp_path / "outcomes.parquet")
    assert table.schema.names == list(OUTCOME_COLUMNS)
    rows = table.to_pylist()
    assert json.loads(rows[0]["value"]) == outcomes[0].value and rows[0]["why"] == "? | <b>\n2"
    for row, outcome in zip(rows[1:], outcomes[1:], strict=True):
        assert row == outcome._asdict() | {"value": json.dumps(outcome.value)}
    assert pyarrow.read_table(tmp_path / "timings.parquet").to_pylist() == [
        {"first": 0, "last": 2, "worker": "7", "seconds": [0.5, 0.25], "resumed": 0, "cached": 1}
    ]
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    data = (tmp_path / "outcomes.jsonl").read_bytes()
    assert manifest["outcomes"] == {"file": "outcomes.jsonl", "sha256": sha256(data).hexdigest()}
    assert (manifest["made"], manifest["budget"], manifest["grader"]) == (24, {"usd": 3}, {"grader": "exact"})
    assert all("cannot be read" in one["missing"] for one in manifest["programs"])
    figures = json.loads((tmp_path / "report.json").read_text())
    assert [one["on_front"] for one in figures["standings"]] == [True, True, False] and len(figures["pairs"]) == 3
    text = (tmp_path / "report.md").read_text()
    assert "| s1 | 8 | 0 | 0 | 1.000 | 0.676 to 1.000 | wilson | 1.00 | 10 | 0.01 | yes |" in text
    assert "| s1 | s2 | 8 | 4 | 0 | +0.500 | 0.1250 | 0.3750 | sign | x 2.00 |" in text
    assert (tmp_path / "accuracy-cost.png").read_bytes().startswith(b"\x89PNG")
    assert "s1" in (tmp_path / "accuracy-cost.svg").read_text()
    first = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    again = write_report(str(tmp_path))
    assert again == report and {path.name: path.read_bytes() for path in tmp_path.iterdir()} == first


def test_without_the_extra_all_but_tables_and_plots_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    batch = batch_of(2)
    report = write_report(str(folder_of(tmp_path, batch, outcomes_by(batch, cheap_and_dear))))
    assert set(report.files) == {"manifest.json", "report.json", "report.md"}
    assert len(report.missing) == 2 and all("pip install 'masdsl[eval]'" in one for one in report.missing)
    assert report.text().count("Missing here") == 2 and (tmp_path / "report.md").read_text() == report.text()


def test_a_part_of_a_batch_can_be_reported(tmp_path: Path) -> None:
    batch = batch_of(2, samples=6)
    outcomes = list(outcomes_by(batch, cheap_and_dear))[:8]
    folder = folder_of(tmp_path, batch, [*outcomes, outcomes[0]])
    with (folder / "outcomes.jsonl").open("a") as file:
        file.write('{"number": 3}\n{"number": 99999, "sys')
    report = write_report(str(folder))
    assert report.made == 8 and "8 of 12 runs made" in report.text()
    [pair] = report.standings.pairs
    assert pair.test.samples == 2


def test_a_batch_without_a_grader_and_one_without_outcomes(tmp_path: Path) -> None:
    batch = batch_of(2, grader="")
    report = write_report(str(folder_of(tmp_path, batch, outcomes_by(batch, lambda run: {"score": None}))))
    assert report.standings.pairs == () and "| s0 | 4 | 0 | 0 |  |  |  | 1.00 | 10 | 0 |  |" in report.text()
    (tmp_path / "outcomes.jsonl").unlink()
    assert write_report(str(tmp_path)).made == 0


def test_reasons_of_failures_stay_in_their_cell(tmp_path: Path) -> None:
    batch = batch_of(1)
    report = write_report(
        str(
            folder_of(
                tmp_path,
                batch,
                outcomes_by(batch, lambda run: {"status": "failed", "why": "a | <img>\nb", "score": 0.0}),
            )
        )
    )
    assert "| s0 | 4 | a \\| \\<img\\> |" in report.text()


def test_the_command_makes_the_report_anew(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(folder_of(tmp_path, batch_of(2), list(outcomes_by(batch_of(2), cheap_and_dear))[:5]))
    assert mas(["eval", "--report", folder]) == 0
    assert "5 of 8 runs made" in capsys.readouterr().out
    (tmp_path / "report.md").unlink()
    assert mas(["eval", "--report", folder, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["made"], len(told["standings"])) == (5, 2) and (tmp_path / "report.md").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [(["--report", "nowhere"], "cannot be read"), (["a.mas", "--report", "."], "it takes no programs")],
)
def test_no_report_of_nothing(arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert mas(["eval", *arguments]) == 2
    assert told in capsys.readouterr().err


def test_no_batch_and_no_room_for_a_report(tmp_path: Path) -> None:
    with pytest.raises(EngineFault, match="cannot be read"):
        write_report(str(tmp_path))
    folder_of(tmp_path, batch_of(1), [])
    (tmp_path / "manifest.json").mkdir()
    with pytest.raises(EngineFault, match="cannot be written"):
        write_report(str(tmp_path))


def test_the_manifest_says_what_the_programs_are(tmp_path: Path) -> None:
    (tmp_path / "mas.toml").write_text(CONFIG)
    (tmp_path / "p.mas").write_text(PROGRAM)
    lineups = (Lineup("own", {}),)
    system, _ = describe("p", str(tmp_path / "p.mas"), None, lineups)
    batch = batch_of(1)._replace(systems=(system,), lineups=lineups)
    write_report(str(folder_of(tmp_path, batch, [])))
    [program] = json.loads((tmp_path / "manifest.json").read_text())["programs"]
    assert program["hash"] == system.program and program["worst_case"]["calls"] == system.calls
    assert list(program["texts"].values()) == [sha256(PROGRAM.encode()).hexdigest()]
    [agent] = program["models"]["own"]
    assert (agent["agent"], agent["tier"], agent["input_price"]) == ("solver", "fast", "1")
    (tmp_path / "p.mas").write_text(PROGRAM.replace("Answer", "Say"))
    write_report(str(tmp_path))
    [program] = json.loads((tmp_path / "manifest.json").read_text())["programs"]
    assert "another program" in program["missing"] and program["hash"] == system.program


@pytest.mark.parametrize(("systems", "lineups"), [(1, 1), (2, 1), (20, 2)])
def test_a_picture_of_few_and_of_many(tmp_path: Path, systems: int, lineups: int) -> None:
    pytest.importorskip("matplotlib", reason="plots need matplotlib, of masdsl[eval]")
    report = picture(tmp_path, systems, lineups)
    svg = (tmp_path / "accuracy-cost.svg").read_text()
    for one in report.standings.standings:
        name = one.contender.name if lineups > 1 else one.contender.system
        assert f"<!-- {name} -->" in svg


def picture(folder: Path, systems: int, lineups: int) -> Report:
    """Write a report with a picture of contenders whose scores and costs are drawn."""
    chance = random.Random(1)
    batch = batch_of(systems, samples=40, lineups=lineups)
    traits = {
        (one.name, two.name): (chance.uniform(0.2, 0.95), 10 ** chance.uniform(8, 11))
        for one in batch.systems
        for two in batch.lineups
    }

    def make(run: Any) -> dict[str, Any]:
        rate, cost = traits[run.system.name, run.lineup.name]
        return {"score": float(chance.random() < rate), "picodollars": int(cost * chance.uniform(0.5, 1.5))}

    return write_report(str(folder_of(folder, batch, outcomes_by(batch, make))))
