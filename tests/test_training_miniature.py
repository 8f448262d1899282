"""A complete miniature of every stage, as a user calls them: world, data, SFT, trees, pairs, CTO, and what is emitted.

All of it with a model of 30 thousand parameters in the simulated world: it shows that each stage takes what the one
before wrote, and that nothing is done twice; it shows nothing about what is learned. Then the experiments on training.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

for _name in ("trl", "peft", "llguidance"):
    pytest.importorskip(_name, reason=f"{_name} is not installed (pip install masdsl[train,transformers])")
pytest.importorskip("torch", reason="torch is not installed (pip install masdsl[train])")
pytest.importorskip("matplotlib", reason="plots need masdsl[eval]")

from training.cto.__main__ import main as cto  # noqa: E402  # torch first: without it there is nothing to test
from training.data.__main__ import main as data  # noqa: E402
from training.experiments.__main__ import main as experiments  # noqa: E402
from training.experiments.parts.chain import SYSTEMS, TOOLS  # noqa: E402
from training.experiments.parts.playing import Played  # noqa: E402
from training.experiments.parts.running import Did  # noqa: E402
from training.experiments.players import BASE, compared, rewards  # noqa: E402
from training.pairs.command import main as pairs  # noqa: E402
from training.rates.command import main as rates  # noqa: E402
from training.sft.__main__ import main as sft  # noqa: E402
from training.trees.command import main as trees  # noqa: E402
from training.worlds.__main__ import main as worlds  # noqa: E402

pytestmark = [
    # peft 0.21 and trl 1.16 use names of transformers and torch that are going away.
    pytest.mark.filterwarnings("ignore::FutureWarning:peft"),
    pytest.mark.filterwarnings("ignore::FutureWarning:trl"),
    pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning"),
]

DATA = f"""
[queries]
paths = ["world/train.jsonl"]
[systems]
paths = {json.dumps(SYSTEMS)}
most_calls = 12
tools = true
[evaluation]
grader = "exact"
workers = 0
[groups]
by = "metadata"
fields = ["family"]
"""
SFT = """
[data]
paths = ["world/data/data.jsonl"]
[base]
model = "tiny"
[base.tiny]
hidden = 32
layers = 1
heads = 2
vocabulary = 400
[training]
method = "full"
learning_rate = 1e-2
steps = 3
batch = 4
at_once = 4
max_length = 1024
[evaluation]
paths = ["world/held-out.jsonl"]
limit = 1
every = 3
decoder = "with"
models = "world"
"""
TREES = f"""
[queries]
paths = ["world/train.jsonl"]
limit = 3
[success]
grader = "exact"
[generator]
by = "rules"
asked = "trained"
systems = {json.dumps(SYSTEMS)}
[implementer]
by = "rules"
[rectifier]
by = "rules"
[runs]
calls = 12
outages = []
tools = {json.dumps(TOOLS)}
[work]
workers = 0
"""
CTO = """
[base]
model = "sft/model"
[data]
pairs = "pairs.jsonl"
role = "generator"
[training]
steps = 2
batch = 2
at_once = 2
max_length = 1024
"""
RATES = """
[queries]
paths = ["world/held-out.jsonl"]
limit = 2
calls = 12
grader = "exact"
[generators.tiny]
kind = "trained"
model = "designer"
[run]
reply_tokens = 150
"""
STAGES: tuple[tuple[Callable[[list[str]], int], list[str], str], ...] = (
    (worlds, ["simulated", "--train", "12", "--held-out", "4", "--out", "world"], "world/world.json"),
    (data, ["data.toml", "--out", "world/data"], "world/data/data.jsonl"),
    (sft, ["sft.toml", "--out", "sft"], "sft/model/model.safetensors"),
    (trees, ["trees.toml", "--out", "trees"], "trees/trees.jsonl"),
    (pairs, ["trees/trees.jsonl", "-o", "pairs.jsonl"], "pairs.jsonl"),
    (cto, ["cto.toml", "--out", "cto"], "cto/generator/model/adapter_model.safetensors"),
)


def test_every_stage_takes_what_the_one_before_wrote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in (("data", DATA), ("sft", SFT), ("trees", TREES), ("cto", CTO), ("rates", RATES)):
        (tmp_path / f"{name}.toml").write_text(text, encoding="utf-8")
    for command, arguments, product in STAGES:
        assert command(arguments) == 0, arguments
        assert (tmp_path / product).stat().st_size, product

    manifest = json.loads((tmp_path / "sft" / "manifest.json").read_text())
    assert manifest["rates"][-1]["parses, decoder"] == 1.0
    row, pair = (
        json.loads((tmp_path / name).read_text().splitlines()[0]) for name in ("world/data/data.jsonl", "pairs.jsonl")
    )
    assert pair["prompt"][0] == row["prompt"][0], "CTO asks in the words of SFT"
    assert pair["value_gap"] > 0
    assert json.loads((tmp_path / "cto" / "generator" / "manifest.json").read_text())["steps"] == 2

    # What was trained writes systems, and they run: with the decoder even those of a model that knows nothing.
    config = tmp_path / "world" / "mas.toml"
    with config.open("a", encoding="utf-8") as file:
        file.write(
            f'\n[models.designer]\nkind = "transformers"\npath = {json.dumps(str(tmp_path / "sft" / "model"))}\n'
        )
    assert rates(["rates.toml", "--out", "world/rates"]) == 0
    found = json.loads((tmp_path / "world" / "rates" / "rates.json").read_text())[0]
    assert (found["queries"], found["parses"]["mean"]) == (2, 1.0)

    before = (tmp_path / "cto" / "generator" / "model" / "adapter_model.safetensors").stat().st_mtime_ns
    assert cto(["cto.toml", "--out", "cto"]) == 0
    assert (tmp_path / "cto" / "generator" / "model" / "adapter_model.safetensors").stat().st_mtime_ns == before


def test_rows_of_all_six_ways_to_pair_and_refine_train_a_model(tmp_path: Path) -> None:
    arguments = ["intra", "--size", "small", "--out", str(tmp_path)]
    assert experiments(arguments) == 0
    first = json.loads((tmp_path / "results.json").read_text())
    assert "small size" in (tmp_path / "table.md").read_text()
    assert all("Simulated" in one["title"] for one in first["tables"])
    rows = {name: [one["provenance"] for one in each] for name, each in first["raw"]["rows"].items()}
    asked = {one["id"] for one in rows["inter, 0"]}
    assert asked and all(asked <= {one["id"] for one in each} for each in rows.values())
    assert not any(one["patch"] for name in ("inter, 0", "any system, 0") for one in rows[name])
    for name in ("any system", "inter"):
        refined, plain = ({one["id"]: one for one in rows[f"{name}{more}, 0"]} for more in (" + intra", ""))
        assert any(one["patch"] for one in refined.values())
        assert all(one["base"] == plain[key]["base"] for key, one in refined.items()), "the architecture stays"
    model = tmp_path / "inter-intra-0" / "model" / "model.safetensors"
    made = model.stat().st_mtime_ns
    assert experiments(arguments) == 0
    again = json.loads((tmp_path / "results.json").read_text())
    assert (again["tables"], model.stat().st_mtime_ns) == (first["tables"], made)


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for experiments that share one chain: what is there is not made again."""
    return tmp_path_factory.mktemp("experiments")


@pytest.mark.parametrize("name", ["loss", "players", "paraphrase", "pairing", "unseen", "emission"])
def test_an_experiment_on_training_works_in_its_small_size(beside: Path, name: str) -> None:
    assert experiments([name, "--size", "small", "--out", str(beside / name)]) == 0
    table = (beside / name / "table.md").read_text()
    assert "small size" in table
    assert "simulated" in table
    raw = json.loads((beside / name / "results.json").read_text())["raw"]
    if name == "players":
        assert "**Simulated**: the same queries, other models" in table
    if name == "loss":
        arms = ["SFT alone", "L_CTO", "L_CTO, Delta V up to 5", "DPO", "Score-DPO", "KTO", "L_CTO, Delta V of mean 1"]
        assert list(raw) == [*arms, "Score-DPO, pairs by success"]
        every = [one for runs in raw.values() for one in (runs if isinstance(runs, list) else [runs])]
        assert all(len(one["score"]) == 4 for one in every)


def test_players_are_compared_with_those_after_sft_in_pairs() -> None:
    def of(*ends: tuple[float, int]) -> list[Played]:
        return [Played("s", did=Did(score, True, 1, 1, cost, 0.0)) for score, cost in ends]

    runs = {BASE: [of((1.0, 4), (0.0, 4))], "cheap": [of((1.0, 1), (0.0, 1)), of((1.0, 1), (1.0, 1))]}
    # the mean costs are (4 + 1 + 1) / 3 = 2 for both queries
    assert rewards(runs) == {BASE: [0.5, 0.0], "cheap": [2.0, 1.0]}
    found = compared({"here": runs, "there": runs})
    assert set(found) == {("here", "cheap"), ("there", "cheap")}
    assert found["here", "cheap"].gain.mean == pytest.approx(0.25)
    assert found["here", "cheap"].p == 1.0
    nothing = {BASE: [of((0.0, 0))], "cheap": [of((0.0, 0))]}
    assert rewards(nothing) == {BASE: [0.0], "cheap": [0.0]}, "nobody paid anything, and nobody was right"
