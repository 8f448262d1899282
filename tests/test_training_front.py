"""The front with a model on this machine: each call is made once and timed, and what it takes is what is told."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from random import Random

import pytest

from masdsl import Source, apply
from masdsl.runtime.models.base import Reply, Request
from training.experiments import front_arithmetic
from training.experiments.__main__ import main
from training.experiments.parts.local import TimedCalls
from training.experiments.parts.running import Did, World, made_world, queries_in
from training.experiments.parts.searching import ARITHMETIC, PLAIN, proposal
from training.rates.measuring import Constant
from training.worlds.arithmetic import make_arithmetic

RULES = """
import json
from masdsl.runtime.models.base import Price, Reply

class Rules:
    name, price = "rules", Price(0.0, 0.0)

    async def complete(self, request):
        value = filled(request.schema) if request.schema else "The answer is 7."
        return Reply(json.dumps(value) if request.schema else value, 40, 9)

    async def close(self):
        pass

def filled(schema):
    if schema.get("type") == "object":
        return {name: filled(one) for name, one in schema["properties"].items()}
    return 7 if schema.get("type") == "integer" else "7"

def make(name):
    return Rules()
"""


@pytest.fixture
def with_rules(tmp_path: Path) -> Path:
    """A folder for the experiment, in whose world a rule answers in place of SmolLM2."""
    made = front_arithmetic.MADE
    folder = made_world(make_arithmetic, str(tmp_path / "world"), seed=0, train=made, held_out=made, paraphrased=0.0)
    (Path(folder) / "rules.py").write_text(RULES)
    tools = '[tools]\n"sandbox.python" = "sandbox"\n"math.calculate" = "calculator"\n'
    model = '[models.rules]\nkind = "python"\nfactory = "rules:make"\ninput_price = 0\noutput_price = 0\n'
    (Path(folder) / "mas.toml").write_text(f'[tiers]\ndefault = "rules"\n{model}{tools}')
    return tmp_path


def test_the_front_with_a_model_on_this_machine_makes_each_call_once(with_rules: Path) -> None:
    told: list[str] = []
    first = front_arithmetic.run("small", str(with_rules), told.append, Constant)
    assert "Real model" in first.tables[0].title and "real model" in first.world
    rows = dict(first.tables[1].rows)
    assert {"chain of thought", "shipped generator", "self-consistency, 1 sample", "search"} <= set(rows)
    columns = dict(zip(first.tables[1].columns, rows["self-consistency, 2 samples"], strict=True))
    assert columns["calls / query"] == 2
    assert int(str(rows["search"][0])) >= 1
    lines = [one for one in (with_rules / "seconds.jsonl").read_text().splitlines() if one]
    assert told[-1].startswith(f"{len(lines)} calls were made")
    again = front_arithmetic.run("small", str(with_rules), told.append, Constant)
    assert told[-1].startswith("0 calls were made") and again.tables == first.tables and again.raw == first.raw
    for part in (with_rules / "parts").iterdir():
        part.unlink()
    rerun = front_arithmetic.run("small", str(with_rules), told.append, Constant)
    assert told[-1].startswith("0 calls were made"), "a killed experiment goes on at the call where it stopped"
    assert rerun.tables == first.tables


def test_a_call_that_was_kept_counts_what_it_took(tmp_path: Path) -> None:
    class Slow:
        name, price = "slow", None

        async def complete(self, request: Request) -> Reply:
            sum(range(1_000_000))
            return Reply("7", 1, 1)

        async def close(self) -> None: ...

    def asked(calls: TimedCalls) -> tuple[float, float]:
        asyncio.run(calls.around(Slow(), "slow").complete(Request((), seed=1)))
        return calls.spent()

    calls = TimedCalls(str(tmp_path))
    first = asked(calls)
    assert first[0] > 0 and asked(calls) == first and calls.made == 1
    calls.close()
    with (tmp_path / "seconds.jsonl").open("a") as file:
        file.write('["12')  # killed while it wrote
    calls = TimedCalls(str(tmp_path))
    assert asked(calls) == first and calls.made == 0
    asyncio.run(calls.around(Slow(), "slow").complete(Request((), seed=2)))
    calls.close()
    assert asked(TimedCalls(str(tmp_path))) == first
    assert len(TimedCalls(str(tmp_path))._took) == 2, "what comes after a line that was cut off is read"


def test_edits_of_the_arithmetic_world_give_sound_programs(with_rules: Path) -> None:
    host = World(str(with_rules / "world"), queries_in(str(with_rules / "world"), "train.jsonl")).host
    random = Random(1)
    texts = [PLAIN]
    for _ in range(40):
        text = random.choice(texts)
        patch = Source("<edit>", f"patch 1\n{proposal(text, host, random, ARITHMETIC)}")
        texts.append(apply(patch, Source("<program>", text), config=host.config).text)
    assert any("run_python(code)" in one and "calculate(expression)" in one for one in texts)
    assert all(" on fast" not in one and " on smart" not in one for one in texts)


def test_only_the_front_has_other_worlds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["theta", "--world", "arithmetic", "--out", str(tmp_path)])
    assert "--world arithmetic is for `front`" in capsys.readouterr().err


@pytest.mark.local_model
def test_the_front_with_smollm2(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="plots need masdsl[eval]")
    assert main(["front", "--world", "arithmetic", "--size", "small", "--out", str(tmp_path)]) == 0
    found = json.loads((tmp_path / "results.json").read_text())
    [shipped] = found["raw"]["held out"]["shipped generator"]
    [wrote] = found["raw"]["writing"]["shipped generator"].values()
    seconds = Did._fields.index("seconds")
    assert shipped[seconds] > wrote[seconds] > 0, "a run's cost has that of writing in it"
