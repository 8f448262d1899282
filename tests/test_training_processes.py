"""Training by several processes: the same as by one; and that the shipped configurations of accelerate are such."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

for _name in ("accelerate", "torch", "trl", "peft"):
    pytest.importorskip(_name, reason=f"{_name} is not installed (pip install masdsl[train])")

ROOT = Path(__file__).resolve().parent.parent
CONFIGS = ROOT / "training" / "configs" / "accelerate"
CONFIG = """[data]
paths = ["rows.jsonl"]
[base]
model = "tiny"
[base.tiny]
hidden = 16
layers = 1
heads = 2
vocabulary = 320
context = 256
[training]
method = "full"
learning_rate = 1e-2
batch = 4
at_once = 2
epochs = 2
max_length = 128
"""


def write(here: Path) -> None:
    """Rows of different lengths: were losses averaged by process, they would differ."""
    rows = [
        {
            "prompt": [{"role": "user", "content": f"Number {number}"}],
            "completion": [{"role": "assistant", "content": " ".join(map(str, range(1 + number * number % 23)))}],
        }
        for number in range(12)
    ]
    (here / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (here / "c.toml").write_text(CONFIG, encoding="utf-8")


def launch(here: Path, config: str, out: str) -> None:
    command = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(CONFIGS / config)]
    command += ["--main_process_port", "0", "-m", "training.sft", "c.toml", "--out", out]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, cwd=here, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("step 6/6") == 1


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning:peft")
def test_two_processes_have_the_losses_of_one(tmp_path: Path) -> None:
    from training.sft.training import read_sft, train

    write(tmp_path)
    launch(tmp_path, "two-cpu-processes.yaml", "two")
    two = json.loads((tmp_path / "two" / "manifest.json").read_text(encoding="utf-8"))
    one = train(read_sft(str(tmp_path / "c.toml")), str(tmp_path / "one"), tell=lambda line: None)
    assert [step for step, _ in one["losses"]] == [step for step, _ in two["losses"]] == [1, 2, 3, 4, 5, 6]
    assert [loss for _, loss in two["losses"]] == pytest.approx([loss for _, loss in one["losses"]], rel=1e-4)
    assert one["losses"][-1][1] < one["losses"][0][1] - 0.1 and one["tokens_seen"] == two["tokens_seen"]

    from safetensors.numpy import load_file

    weights = [load_file(tmp_path / out / "model" / "model.safetensors") for out in ("one", "two")]
    assert weights[0].keys() == weights[1].keys()
    for name, value in weights[0].items():
        assert weights[1][name] == pytest.approx(value, abs=1e-4)


@pytest.mark.parametrize("path", sorted(CONFIGS.iterdir()), ids=lambda path: path.name)
def test_a_shipped_configuration_is_one_of_accelerate(path: Path) -> None:
    from accelerate.commands.config.config_args import load_config_from_file
    from accelerate.commands.launch import launch_command_parser

    config = load_config_from_file(str(path))
    told = path.read_text(encoding="utf-8")
    assert f"--config_file training/configs/accelerate/{path.name}" in told
    assert config.mixed_precision in ("no", "bf16")
    known = {action.dest for action in launch_command_parser()._actions}
    for name, value in vars(config).items():
        if isinstance(value, dict) and name.endswith("_config"):
            assert set(value) <= known, name
