"""Batches: the same outcomes however they are made, whoever dies on the way, and never more than the budget."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import masdsl
from masdsl.batch.base import NOTHING, Amount, Batch, Chunk, ChunkDone, Doubt, EngineFault, Job, Lineup, Outcome, System
from masdsl.batch.budget import BadBudget, Most, most_of, parse_budget
from masdsl.batch.coordinator import Coordinator, Progress
from masdsl.batch.data import freeze
from masdsl.batch.evaluation import Evaluation, EvaluationFault, Work, resume
from masdsl.batch.reading import batch_from
from masdsl.batch.store import NEW_SAMPLES, Store
from masdsl.cli import main
from masdsl.journal import open_journal
from masdsl.runtime import Limits
from masdsl.runtime.past import spent_by
from tests.harness.batches import asked, command, environment, folder_of_programs, sums

Mas = Callable[..., tuple[int, str, str]]
RUNS = 12


@pytest.fixture
def mas(capsys: pytest.CaptureFixture[str]) -> Mas:
    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(arguments)
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture
def here(tmp_path: Path) -> Path:
    return folder_of_programs(tmp_path / "programs", sums(RUNS))


def made(here: Path, out: str = "out", **options: Any) -> Evaluation:
    """Evaluate the first program (or `programs`) on the data of a folder."""
    programs = [here / name for name in options.pop("programs", ("solve.mas",))]
    options = {"grader": "exact", "workers": 0, "report": False} | options
    return masdsl.evaluate(programs, here / "data.jsonl", out=here / out, **options)


def bytes_of(here: Path, out: str = "out") -> bytes:
    return (here / out / "outcomes.jsonl").read_bytes()


def journal_spent(here: Path, out: str = "out") -> Amount:
    """Return what the journal of a batch says was spent, with what is in doubt."""
    with open_journal(str(here / out / "journal.db")) as journal:
        runs = [spent_by(journal.read(one.id)[1]) for one in journal.list()]
    return Amount(
        sum(one.calls for one in runs),
        sum(one.cost.tokens for one in runs),
        sum(one.cost.picodollars or 0 for one in runs),
    )


# ---------------------------------------------------------------- the same outcomes


def test_outcomes_are_the_same_bytes_whoever_makes_them(here: Path) -> None:
    programs = ("solve.mas", "guess.mas")
    whole = made(here, programs=programs, models=["script", "other"])
    assert whole.is_whole
    assert [(one.contender.name, one.contender.runs) for one in whole.standings.standings] == [
        ("solve / script", RUNS),
        ("solve / other", RUNS),
        ("guess / script", RUNS),
        ("guess / other", RUNS),
    ]
    assert whole.standings.standings[0].interval is not None
    assert whole.standings.standings[0].interval.mean == 1.0
    for number, (workers, chunk, at_once) in enumerate([(0, 5, 3), (1, 7, 1), (2, 1, 2)]):
        options: dict[str, Any] = {"workers": workers, "chunk": chunk, "at_once": at_once}
        made(here, f"out{number}", programs=programs, models=["script", "other"], **options)
        assert bytes_of(here, f"out{number}") == bytes_of(here)


def test_an_outcome_is_the_same_from_the_journal(here: Path) -> None:
    """Whatever becomes of a run: its outcome, made anew from the rows, is the one that it had when it was made."""
    questions = sums(RUNS, more={3: "fail", 7: "fail"})
    folder_of_programs(here, questions)
    (here / "other.toml").write_text(
        '[replies]\nsolver = [{"$fails" = "timeout"}, "late"]\njudge = {"$fails" = "refused"}\n', encoding="utf-8"
    )
    before = made(here, models=["script", "other"])
    kept = bytes_of(here)
    statuses = Counter((one.lineup, one.status) for one in before.outcomes())
    assert statuses == {("script", "ended"): RUNS - 2, ("script", "failed"): 2, ("other", "failed"): RUNS}
    calls = len(asked(here))
    (here / "out" / "outcomes.jsonl").unlink()
    again = made(here, models=["script", "other"])
    assert bytes_of(here) == kept
    assert len(asked(here)) == calls  # nothing was asked again
    assert again.ended.spent == before.ended.spent


def test_repetitions_have_seeds_of_their_own_and_systems_share_them(here: Path) -> None:
    made(here, programs=("solve.mas", "guess.mas"), repetitions=3)
    batch = batch_from(json.loads((here / "out" / "batch.json").read_text(encoding="utf-8")))
    seeds = [batch.run(number).seed for number in range(batch.runs)]
    half = batch.runs // 2
    assert seeds[:half] == seeds[half:]
    assert len(set(seeds[:half])) == half


# ---------------------------------------------------------------- deaths


def test_a_worker_that_is_killed_costs_nothing_but_time(here: Path) -> None:
    folder_of_programs(here, sums(RUNS, more={5: "worker once"}))
    (here / "died").touch()
    made(here, "calm")
    calm = len(asked(here))
    (here / "died").unlink()
    (here / "asked.txt").unlink()
    done = made(here, workers=2, chunk=4, at_once=2)
    assert (here / "died").exists()
    assert done.is_whole
    assert bytes_of(here) == bytes_of(here, "calm")
    # what had been under way in the one that died may be asked again, nothing else
    assert calm <= len(asked(here)) <= calm + 2
    assert all(count <= 2 for count in Counter(question for question, _ in asked(here)).values())
    with open_journal(str(here / "out" / "journal.db")) as journal:
        for run in journal.list():
            replies = Counter(row.path for row in journal.read(run.id)[1] if row.kind == "reply")
            assert set(replies.values()) == {1}, "a journaled call was made again"


def test_a_run_that_kills_its_workers_is_failed_and_all_others_are_made(here: Path) -> None:
    folder_of_programs(here, sums(8, more={3: "die"}))
    done = made(here, workers=1, chunk=2, at_once=2)
    outcomes = list(done.outcomes())
    assert [one.status for one in outcomes] == ["ended"] * 3 + ["failed"] + ["ended"] * 4
    assert outcomes[3].why == "its run ended 3 workers, one after the other (signal SIGKILL)"
    assert outcomes[3].score == 0.0
    # the tool runs beside the call of the model: where that was cut off it counts, and is made again
    assert 1 <= outcomes[3].calls <= 3


def test_a_command_that_is_killed_leaves_no_worker_and_goes_on(here: Path) -> None:
    folder_of_programs(here, sums(RUNS, more={9: "once"}))
    (here / "died").touch()
    made(here, "calm")
    (here / "died").unlink()
    (here / "asked.txt").unlink()
    words = ["eval", here / "solve.mas", "--data", here / "data.jsonl", "--grade", "exact", "--no-report"]
    words += ["--out", here / "out", "--workers", 2, "--chunk", 3, "--at-once", 3]
    killed = subprocess.run(command(*words), env=environment(), capture_output=True, timeout=120, check=False)
    assert killed.returncode == -9
    until = time.monotonic() + 30
    while any(_is_alive(process) for _, process in asked(here)):
        assert time.monotonic() < until, "a worker outlives its parent"
        time.sleep(0.1)
    before = len(asked(here))
    done = resume(here / "out", Work(workers=2, at_once=3, chunk=3, report=False))
    assert done.is_whole
    assert bytes_of(here) == bytes_of(here, "calm")
    assert before < RUNS + 6
    assert len(asked(here)) <= RUNS + 6


def _is_alive(process: int) -> bool:
    try:
        with open(f"/proc/{process}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_batch_that_is_stopped_goes_on(here: Path) -> None:
    made(here, "calm")
    told: list[Progress] = []
    stopped = made(here, chunk=5, tell=told.append, should_stop=lambda: "enough" if told else "")
    assert (stopped.ended.made, stopped.ended.stopped) == (5, "enough")
    assert [(one.made, one.runs, one.right, one.graded) for one in told] == [(5, RUNS, 5.0, 5)]
    with (here / "out" / "outcomes.jsonl").open("ab") as file:
        file.write(b'{"number": 7, "sys')  # as a crash leaves it
    assert made(here).is_whole
    assert bytes_of(here) == bytes_of(here, "calm")


# ---------------------------------------------------------------- budgets


@pytest.mark.parametrize("workers", [0, 2])
def test_a_budget_is_never_exceeded_and_says_when_it_is_used_up(here: Path, workers: int) -> None:
    made(here, "calm")
    limits = Limits(calls=11)
    over = made(here, workers=workers, at_once=4, chunk=3, budget=limits)
    assert over.ended.made == 5
    assert over.ended.spent.calls == journal_spent(here).calls == 10
    assert "5 of 12 runs made" in over.ended.stopped
    assert "raise --budget and run again" in over.ended.stopped
    assert made(here, budget=limits).ended.made == 5
    assert made(here, budget=Limits(calls=24)).is_whole
    assert bytes_of(here) == bytes_of(here, "calm")


def test_a_budget_in_usd_goes_by_the_prices_of_each_lineup(here: Path) -> None:
    """What a run may cost under a dear lineup keeps no run of a cheap one from being made."""
    config = (here / "mas.toml").read_text(encoding="utf-8")
    before, dear = config.split("[models.other]")
    dear = dear.replace("input_price = 1.0", "input_price = 1000.0").replace(
        "output_price = 2.0", "output_price = 2000.0"
    )
    (here / "mas.toml").write_text(f"{before}[models.other]{dear}", encoding="utf-8")
    done = made(here, models=["script", "other"], budget=Limits(usd=0.1))
    made_by = Counter(one.lineup for one in done.outcomes())
    assert made_by == {"script": RUNS}
    assert done.ended.spent.picodollars == journal_spent(here).picodollars <= 10**11


def test_a_budget_holds_when_workers_die(here: Path) -> None:
    folder_of_programs(here, sums(8, more={1: "worker once"}))
    most = 9
    done = made(here, workers=2, chunk=2, at_once=4, budget=Limits(calls=most))
    assert done.ended.spent.calls == journal_spent(here).calls <= most
    assert 0 < done.ended.made < 8
    assert made(here, workers=2, budget=Limits(calls=40)).is_whole
    assert journal_spent(here).calls <= 40


def test_a_budget_needs_a_proof_in_its_measure(here: Path, mas: Mas) -> None:
    text = (here / "solve.mas").read_text(encoding="utf-8").replace("mas 1\n", "mas 1\n\nrectify tries 1\n", 1)
    (here / "solve.mas").write_text(text, encoding="utf-8")
    assert mas("check", str(here / "solve.mas"))[0] == 0
    with pytest.raises(EvaluationFault, match="nothing bounds the calls of one run of solve"):
        made(here, "other", budget=Limits(calls=50))
    assert made(here, "other", budget=Limits(calls=50), run_budget=Limits(calls=2)).is_whole


def _batch(folder: Path, runs: int, worst: Amount) -> Batch:
    from masdsl.batch.base import Sample

    frozen = freeze((Sample(n, {"q": str(n)}) for n in range(runs)), str(folder / NEW_SAMPLES))
    system = System("a", "/a.mas", "main", "hash", *worst)
    return Batch("b", (system,), (Lineup("m", {}),), str(folder / NEW_SAMPLES), frozen.sha256, frozen.samples)


class _Pretended:
    """An engine whose workers take what the data say, die when they say, and bring chunks back in their order."""

    name = "pretended"
    aim = 1.0

    def __init__(self, data: st.DataObject, worst: Amount, most: Most, at_once: int) -> None:
        self.data = data
        self.worst = worst
        self.most = most
        self.at_once = at_once
        self.paid: dict[int, Amount] = {}
        self.doubtful: dict[int, Amount] = {}

    def part(self, whole: Amount) -> Amount:
        share = self.data.draw(st.integers(0, 4), label="share")
        return Amount(*(amount * share // 4 for amount in whole))

    def spent(self) -> Amount:
        total = NOTHING
        for amount in (*self.paid.values(), *self.doubtful.values()):
            total = total.plus(amount)
        return total

    def work(self, job: Job, chunks: Iterator[Chunk | None]) -> Iterator[ChunkDone]:
        under_way: list[Chunk] = []
        is_out = False
        while True:
            while not is_out and len(under_way) < self.at_once:
                try:
                    chunk = next(chunks)
                except StopIteration:
                    is_out = True
                    break
                if chunk is None:
                    assert under_way, "it waits for what nobody makes"
                    break
                under_way.append(chunk)
                possible = self.spent()
                for one in under_way:
                    for number in range(one.first, one.last):
                        possible = possible.plus(self.worst.minus(self.paid.get(number, NOTHING)))
                assert self.most.has_room(possible), "all that is under way could go beyond the budget"
            if not under_way:
                return
            yield self.done(under_way.pop(self.data.draw(st.integers(0, len(under_way) - 1), label="which")))

    def done(self, chunk: Chunk) -> ChunkDone:
        outcomes, doubts = [], []
        for number in range(chunk.first, chunk.last):
            paid = self.paid.get(number, NOTHING)
            if self.data.draw(st.integers(0, 5), label="dies") == 0 and self.doubtful.get(number, NOTHING).calls < 3:
                self.paid[number] = paid.plus(self.part(self.worst.minus(paid)))
                left = self.worst.minus(self.paid[number])  # what a call may take is reserved within the worst case
                lost = Amount(min(left.calls, 1), left.tokens, 0) if left.calls else NOTHING
                self.doubtful[number] = self.doubtful.get(number, NOTHING).plus(lost)
            if self.doubtful.get(number, NOTHING).calls > chunk.doubts:
                doubts.append(Doubt(number, self.paid.get(number, NOTHING), self.doubtful[number]))
                continue
            self.paid[number] = self.paid.get(number, NOTHING).plus(
                self.part(self.worst.minus(self.paid.get(number, NOTHING)))
            )
            calls, tokens, picodollars = self.paid[number]
            outcomes.append(Outcome(number, "a", "m", number, 0, "ended", "x", None, "", calls, tokens, 0, picodollars))
            if number in self.doubtful:
                doubts.append(Doubt(number, NOTHING, self.doubtful[number]))
        return ChunkDone(chunk, tuple(outcomes), (0.01,) * len(outcomes), doubts=tuple(doubts))


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_law_no_budget_is_ever_exceeded(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Whatever runs take below their worst case, whoever dies: what is spent and what may be is within the budget."""
    folder = tmp_path_factory.mktemp("law")
    worst = Amount(4, 100, 0)
    runs = data.draw(st.integers(1, 12), label="runs")
    most = Most(calls=data.draw(st.integers(0, 4 * runs + 8), label="budget"))
    store = Store(str(folder))
    try:
        batch = store.begin(_batch(folder, runs, worst._replace(tokens=None, picodollars=None)))  # type: ignore[arg-type]
        engine = _Pretended(data, worst, most, data.draw(st.integers(1, 4), label="at once"))
        job = Job("", str(folder / "elsewhere.db"), at_once=2, workers=2)
        chunk = data.draw(st.integers(1, 5), label="chunk")
        ended = Coordinator(store, batch, engine, job, most=most, chunk=chunk).make()
    finally:
        store.close()
    spent = engine.spent()
    assert spent.calls <= (most.calls or 0)
    assert ended.spent.calls == spent.calls
    assert (ended.made == runs) == (not ended.stopped)


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("usd 5", Limits(usd=5.0)),
        ("calls 2k", Limits(calls=2000)),
        ("calls 10, tokens 1M usd 0.5", Limits(calls=10, tokens=1_000_000, usd=0.5)),
    ],
)
def test_budgets_are_read(text: str, limits: Limits) -> None:
    assert parse_budget(text) == limits


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is no budget"),
        ("5 usd", "`5` is no measure"),
        ("usd", "is no budget"),
        ("usd -1", "usd"),
        ("calls 1.5", "no amount of calls"),
        ("usd five", "no amount of usd"),
        ("calls 1 calls 2", "says `calls` twice"),
        ("usd nan", "usd"),
        ("seconds 5", "no budget of time"),
    ],
)
def test_what_is_no_budget_is_told(text: str, message: str) -> None:
    with pytest.raises(BadBudget, match=message):
        most_of(parse_budget(text))


# ---------------------------------------------------------------- what is wrong is told


def test_another_description_is_refused_with_what_differs(here: Path) -> None:
    made(here)
    others: list[tuple[dict[str, Any], str]] = [
        ({"grader": "numeric"}, 'its grader is "exact", not "numeric"'),
        ({"repetitions": 2}, "its repetitions is 1, not 2"),
        ({"seed": 3}, "its seed is 0, not 3"),
        ({"models": ["other"]}, "its lineups are configured, not other"),
        ({"limit": 3}, "its samples are others"),
        ({"programs": ("guess.mas",), "columns": {"problem": "question"}}, "its systems are solve, not guess"),
    ]
    for options, difference in others:
        with pytest.raises(EvaluationFault, match=difference):
            made(here, **options)
    assert made(here).is_whole  # and nothing was lost by it


def test_a_program_that_was_changed_is_refused(here: Path) -> None:
    stopped = made(here, chunk=5, should_stop=iter(["", "enough"]).__next__)
    assert stopped.ended.made == 5
    program = here / "solve.mas"
    text = program.read_text(encoding="utf-8")
    program.write_text(f"# a comment changes nothing\n{text}".replace("# a comment changes nothing\n", ""), "utf-8")
    program.write_text(text.replace("Solve:", "Please solve:"), encoding="utf-8")
    with pytest.raises(EvaluationFault, match="its system solve was another one then"):
        made(here)
    for workers in (0, 1):
        with pytest.raises(EngineFault, match="is not the program that the batch began with"):
            resume(here / "out", Work(workers=workers, report=False))
    program.write_text(text, encoding="utf-8")
    assert resume(here / "out", Work(workers=0, report=False)).is_whole


def test_two_at_once_are_refused(here: Path) -> None:
    store = Store(str(here / "out"))
    try:
        with pytest.raises(EvaluationFault, match="another process works on the batch"):
            made(here)
    finally:
        store.close()
    assert made(here).is_whole


DAMAGES = [
    ("batch.json", lambda data: b"{", "describes no batch"),
    ("batch.json", lambda data: data.replace(b'"format": 1', b'"format": 9'), "its format is 9"),
    ("batch.json", lambda data: data.replace(b'"samples": 12', b'"samples": "x"'), "`samples` is 'x'"),
    ("samples.jsonl", lambda data: data.replace(b'"question"', b'"quest"', 1), "is not what the batch began with"),
    ("journal.db", None, "journal.db is missing"),
    ("journal.db", lambda data: b"no database" * 500, "database"),
]


@pytest.mark.parametrize(("name", "damage", "message"), DAMAGES, ids=range(len(DAMAGES)))
def test_damage_is_told(here: Path, mas: Mas, name: str, damage: Any, message: str) -> None:
    made(here, chunk=5, should_stop=iter(["", "enough"]).__next__)
    (here / "out" / "outcomes.jsonl").write_bytes(b"")  # as if it was killed with runs under way
    file = here / "out" / name
    if damage is None:
        file.unlink()
    else:
        file.write_bytes(damage(file.read_bytes()))
    code, out, err = mas("eval", "--resume", str(here / "out"), "--workers", "0", "--no-report")
    assert (code, out) == (1, "")
    assert message in err
    assert "Traceback" not in err


USAGE = [
    ([], "no programs given"),
    (["solve.mas"], "no data given"),
    (["solve.mas", "--data", "data.jsonl"], "no out given"),
    (["none.mas", "--data", "data.jsonl", "--out", "out"], "none.mas"),
    (["solve.mas", "--data", "none.jsonl", "--out", "out"], "none.jsonl"),
    (["solve.mas", "--data", "data.jsonl", "--out", "out", "--grade", "exakt"], "did you mean `exact`?"),
    (["solve.mas", "--data", "data.jsonl", "--out", "out", "--engine", "lokal"], "did you mean `local`?"),
    (["solve.mas", "--data", "data.jsonl", "--out", "out", "--models", "scrip"], "did you mean `script`?"),
    (["solve.mas", "--data", "data.jsonl", "--out", "out", "--models", "fats=script"], "names the tier `fats`"),
    (["solve.mas", "--data", "data.jsonl", "--out", "out", "--models", "script,script"], "named twice"),
    (["solve.mas", "solve.mas", "--data", "data.jsonl", "--out", "out"], "named twice"),
    (["solve.mas", "--data", "data.jsonl", "--out", "out", "--repeat", "0"], "repetitions is 0"),
    (["solve.mas", "--data", "data.jsonl", "--out", "out", "--workers", "-1"], "workers is -1"),
    (["solve.mas", "--data", "data.jsonl", "--out", "out", "--budget", "5"], "is no budget"),
    (["solve.mas", "--data", "data.jsonl", "--out", "out", "--flow", "mian"], "it has no flow `mian`"),
    (["solve.mas", "--data", "data.jsonl", "--out", "out", "--map", "question"], "names no column"),
    (["--resume", "nowhere"], "there is no batch in"),
    (["solve.mas", "--resume", "out"], "has its programs already"),
    (["--resume", "out", "--grade", "exact"], "has its grade already"),
]


@pytest.mark.parametrize(("words", "message"), USAGE, ids=range(len(USAGE)))
def test_wrong_use_is_told(
    here: Path, mas: Mas, monkeypatch: pytest.MonkeyPatch, words: list[str], message: str
) -> None:
    monkeypatch.chdir(here)
    code, out, err = mas("eval", *words)
    assert (code, out) == (2, "")
    assert message in err
    assert "Traceback" not in err and "MAS000" not in err
    assert not os.path.exists("out/outcomes.jsonl")


def test_the_command_prints_how_each_did(here: Path, mas: Mas, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(here)
    words = ["eval", "solve.mas", "guess.mas", "--data", "data.jsonl", "--grade", "numeric", "--out", "out"]
    code, out, err = mas(*words, "--workers", "0", "--no-report")
    assert code == 0, err
    lines = [line.split() for line in out.splitlines()]
    assert lines[0] == ["system", "lineup", "runs", "failed", "score", "95", "%", "calls", "tokens", "USD"]
    assert [line[:5] for line in lines[1:]] == [
        ["solve", "configured", "12", "0", "1.000"],
        ["guess", "configured", "12", "0", "0.083"],
    ]
    code, out, err = mas("eval", "--resume", "out", "--json", "--no-report")
    assert code == 0
    assert json.loads(out)["made"] == 2 * RUNS
    code, out, err = mas(*words, "--workers", "0", "--no-report", "--budget", "calls 3")
    assert code == 0  # all is made: nothing more is needed
    code, out, err = mas(*words[:-1], "less", "--workers", "0", "--no-report", "--budget", "calls 3")
    assert code == 1
    assert "1 of 24 runs made" in err and "go on with: mas eval --resume less" in err
