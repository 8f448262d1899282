"""Supervised fine-tuning: what is trained on, what is refused, and that nothing is lost when it is interrupted."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from masdsl.batch.rows import DataFault
from training.sft.rows import read_rows
from training.stage.faults import TrainingFault

for _name in ("trl", "peft"):
    pytest.importorskip(_name, reason=f"{_name} is not installed (pip install masdsl[train])")
torch = pytest.importorskip("torch", reason="torch is not installed (pip install masdsl[train])")

from safetensors.torch import load_file  # noqa: E402  # torch first: without it there is nothing to test

from training.models.adapters import load_adapter  # noqa: E402
from training.models.backbone import Base, load, locate  # noqa: E402
from training.sft.__main__ import main  # noqa: E402
from training.sft.rows import tokenise  # noqa: E402
from training.sft.training import read_sft, train  # noqa: E402
from training.trainer.checkpoints import fault_of, last_good, seal  # noqa: E402
from training.trainer.watching import Telling, effort, effort_told  # noqa: E402

pytestmark = [
    # peft 0.21 and trl 1.16 use names of transformers and torch that are going away.
    pytest.mark.filterwarnings("ignore::FutureWarning:peft"),
    pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning"),
]

ROOT = Path(__file__).resolve().parent.parent
GUIDE = ROOT / "docs" / "training.md"
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
save_every = 2
[lora]
rank = 2
dropout = 0.2
"""


EVALUATION = """[evaluation]
paths = ["asked.jsonl"]
every = 4
"""


def row(number: int, words: int = 1) -> dict[str, Any]:
    said = f"```mas\nmas 1\nflow main(query) {{ return {' '.join(map(str, range(number * words)))} }}\n```"
    return {
        "prompt": [{"role": "system", "content": "Write."}, {"role": "user", "content": f"Number {number}"}],
        "completion": [{"role": "assistant", "content": said}],
        "provenance": {"id": str(number)},
    }


def write_rows(folder: Path, rows: list[Any]) -> None:
    lines = "".join((one if isinstance(one, str) else json.dumps(one)) + "\n" for one in rows)
    (folder / "rows.jsonl").write_text(lines, encoding="utf-8")


@pytest.fixture
def here(tmp_path: Path) -> Path:
    write_rows(tmp_path, [row(number) for number in range(12)])
    (tmp_path / "c.toml").write_text(CONFIG, encoding="utf-8")
    return tmp_path


def change(here: Path, old: str, new: str) -> None:
    text = (here / "c.toml").read_text(encoding="utf-8")
    assert old in text
    (here / "c.toml").write_text(text.replace(old, new), encoding="utf-8")


def trained(here: Path, out: str, told: list[str] | None = None, **options: Any) -> Any:
    tell = told.append if told is not None else lambda line: None
    return train(read_sft(str(here / "c.toml")), str(here / out), **{"tell": tell, **options})


def weights(here: Path, out: str) -> dict[str, Any]:
    name = "adapter_model" if (here / out / "model" / "adapter_model.safetensors").exists() else "model"
    return dict(load_file(here / out / "model" / f"{name}.safetensors"))


def equal(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


class Interrupted(BaseException):
    """Stands for whatever ends a process."""


def interrupt_at(step: int) -> Callable[[str], None]:
    def tell(line: str) -> None:
        if line.startswith(f"step {step}/"):
            raise Interrupted

    return tell


# ---------------------------------------------------------------- rows


BAD_ROWS: list[tuple[Any, str]] = [
    ("nonsense", "not JSON|no JSON|cannot be read"),
    ({"messages": []}, "it has no `prompt`"),
    ({"prompt": row(1)["prompt"]}, "it has no `completion`"),
    ({"prompt": "text", "completion": "text"}, "`prompt` is no list of messages"),
    ({**row(1), "completion": []}, "`completion` is no list of messages"),
    ({**row(1), "completion": ["text"]}, "no role out of"),
    ({**row(1), "completion": [{"role": "assistant", "content": " "}]}, "has no content"),
    ({**row(1), "completion": [{"role": "user", "content": "x"}]}, "is not the assistant's"),
    ({**row(1), "prompt": [{"role": "system", "content": "x"}]}, "is not the user's"),
]


@pytest.mark.parametrize(("bad", "told"), BAD_ROWS)
def test_a_row_of_another_form_is_told_with_its_line(here: Path, bad: Any, told: str) -> None:
    write_rows(here, [row(1), bad])
    with pytest.raises(TrainingFault, match=f"rows.jsonl:2: .*({told})"):
        read_rows([str(here / "rows.jsonl")])


def test_many_bad_rows_are_told_in_few_lines(here: Path) -> None:
    write_rows(here, [{}] * 50)
    with pytest.raises(TrainingFault, match="and 45 rows more") as fault:
        read_rows([str(here / "rows.jsonl")])
    assert str(fault.value).count("\n") == 6


def test_no_rows_are_told(here: Path) -> None:
    write_rows(here, [])
    with pytest.raises(DataFault, match="there are no rows"):
        read_rows([str(here / "rows.jsonl")])


def test_rows_that_do_not_fit_are_left_out_and_counted_never_cut(here: Path) -> None:
    long_prompt = row(3)
    long_prompt["prompt"][1]["content"] = "Word " * 200
    write_rows(here, [row(1), row(9, words=30), long_prompt, row(2)])
    told: list[str] = []
    manifest = trained(here, "out", told)
    assert manifest["data"]["rows_used"] == 2 and manifest["data"]["longest"] <= 128
    assert manifest["data"]["rows_too_long"] == manifest["data"]["rows_whose_prompt_is_too_long"] == 1
    assert any("rows.jsonl:2" in line and "prompt and completion" in line for line in told)
    assert any("rows.jsonl:3" in line and "the prompt alone" in line for line in told)


# ---------------------------------------------------------------- the loss


def test_the_loss_is_that_of_the_completions_tokens_alone(here: Path) -> None:
    change(here, "batch = 4", "batch = 12")
    first = trained(here, "out")["losses"][0][1]
    base = locate(Base("tiny"), home=str(here / "out"))
    model, tokenizer = load(base)
    total, count = 0.0, 0
    for one in tokenise(read_rows([str(here / "rows.jsonl")]), tokenizer, 128).kept:
        ids = torch.tensor([one.ids])
        with torch.no_grad():
            logs = model(ids).logits[0, :-1].log_softmax(-1)
        chosen = logs.gather(-1, ids[0, 1:, None])[one.prompt - 1 :]
        total, count = total - float(chosen.sum()), count + len(chosen)
        said = tokenizer.decode(one.ids[one.prompt :])
        assert said.startswith("```mas") and said.rstrip().endswith("<|im_end|>")
        assert tokenizer.decode(one.ids[: one.prompt]).endswith("<|im_start|>assistant\n")
    assert first == pytest.approx(total / count, rel=1e-4)


def test_training_learns(here: Path) -> None:
    change(here, "epochs = 2", "epochs = 12")
    losses = [loss for _, loss in trained(here, "out")["losses"]]
    assert losses[-1] < losses[0] - 1


@pytest.mark.parametrize("extra", ["", "bf16 = true\ncheckpointing = true\n"])
def test_an_adapter_comes_out_that_belongs_to_its_base(here: Path, extra: str) -> None:
    change(here, 'method = "full"\n', f'method = "lora"\n{extra}')
    manifest = trained(here, "out")
    assert 0 < manifest["parameters_trained"] < manifest["parameters"]
    base = locate(Base("tiny"), home=str(here / "out"))
    model = load_adapter(load(base).model, str(here / "out" / "model"), base)
    assert any("lora_B" in name and bool(value.any()) for name, value in model.named_parameters())
    assert {path.suffix for path in (here / "out" / "model").iterdir()} <= {".json", ".safetensors", ".jinja"}
    assert {path.stat().st_mode & 0o777 for path in (here / "out" / "model").iterdir()} == {0o644}
    change(here, 'model = "tiny"', f'model = "{here}/out/base"')
    change(here, "[training]", '[start]\nadapter = "out/model"\n[training]')
    with pytest.raises(TrainingFault, match="was trained on another base") as fault:
        shutil.copytree(here / "out" / "base", here / "other")
        change(here, "/out/base", "/other")
        other = load_file(here / "other" / "model.safetensors")
        from safetensors.torch import save_file

        save_file({name: value + 1 for name, value in other.items()}, here / "other" / "model.safetensors")
        trained(here, "further")
    assert "tiny" in str(fault.value)
    change(here, "/other", "/out/base")
    assert trained(here, "further")["losses"][0][1] < manifest["losses"][0][1]


def test_validation_and_measurements_are_in_the_manifest(here: Path) -> None:
    change(here, '["rows.jsonl"]\n', '["rows.jsonl"]\nvalidation = ["rows.jsonl"]\n')
    change(here, "[training]", EVALUATION + "[training]")
    seen: list[tuple[int, bool]] = []

    def measure(model: Any, tokenizer: Any, step: int) -> dict[str, float]:
        seen.append((step, model.training))
        return {"parse": 0.5}

    manifest = trained(here, "out", measure=measure)
    assert seen == [(4, False), (6, False)]
    assert manifest["rates"] == [{"step": 4, "parse": 0.5}, {"step": 6, "parse": 0.5}]
    assert [step for step, _ in manifest["validation"]] == [2, 4, 6]


def test_what_the_model_emits_is_measured_and_changes_nothing(here: Path) -> None:
    pytest.importorskip("llguidance", reason="llguidance is not installed (pip install masdsl[decode])")
    change(here, 'method = "full"', 'method = "lora"')  # with dropout
    change(here, "context = 256", "context = 1024")
    trained(here, "alone")
    (here / "asked.jsonl").write_text('{"query": "Number 3", "answer": "x"}\n', encoding="utf-8")
    change(here, "[training]", EVALUATION.replace("4", "6") + 'decoder = "both"\n[training]')
    told: list[str] = []
    manifest = trained(here, "out", told)
    assert [one["step"] for one in manifest["rates"]] == [6]
    assert set(manifest["rates"][0]) == {"step"} | {
        f"{name}{how}" for name in ("parses", "checks", "fits", "programs") for how in ("", ", decoder")
    }
    assert all(one["parses, decoder"] >= one["parses"] for one in manifest["rates"])
    assert any(line.startswith("step 6: parses ") for line in told)
    assert equal(weights(here, "alone"), weights(here, "out"))
    with pytest.raises(DataFault, match="no query"):
        (here / "asked.jsonl").write_text("{}\n", encoding="utf-8")
        trained(here, "other")


# ---------------------------------------------------------------- interruptions


@pytest.mark.parametrize("method", ["full", "lora"])
def test_an_interruption_changes_nothing(here: Path, method: str) -> None:
    change(here, 'method = "full"', f'method = "{method}"')
    whole = trained(here, "whole")
    with pytest.raises(Interrupted):
        trained(here, "cut", tell=interrupt_at(5))
    told: list[str] = []
    again = trained(here, "cut", told)
    assert any("going on from" in line and "checkpoint-4" in line for line in told)
    assert equal(weights(here, "whole"), weights(here, "cut"))
    assert again["losses"] == whole["losses"] and again["tokens_seen"] == whole["tokens_seen"]
    assert sorted(path.name for path in (here / "cut").iterdir()) == ["base", "manifest.json", "model", "run.json"]
    finished: list[str] = []
    assert trained(here, "cut", finished) == again and finished == [f"finished already: {here / 'cut' / 'model'}"]


def cut_short(checkpoint: Path) -> None:
    data = (checkpoint / "optimizer.pt").read_bytes()
    (checkpoint / "optimizer.pt").write_bytes(data[: len(data) // 2])


def flip(checkpoint: Path) -> None:
    data = bytearray((checkpoint / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (checkpoint / "model.safetensors").write_bytes(bytes(data))


SPOILED: list[tuple[Callable[[Path], object], str]] = [
    (cut_short, "optimizer.pt is not as it was written"),
    (flip, "model.safetensors is not as it was written"),
    (lambda checkpoint: (checkpoint / "scheduler.pt").unlink(), "scheduler.pt is missing"),
    (lambda checkpoint: (checkpoint / "seal.json").unlink(), "it was not finished"),
    (lambda checkpoint: (checkpoint / "seal.json").write_text("{", encoding="utf-8"), "it cannot be read"),
]


def test_a_damaged_checkpoint_is_told_and_the_one_before_is_used(here: Path) -> None:
    with pytest.raises(Interrupted):
        trained(here, "cut", tell=interrupt_at(5))
    last = here / "cut" / "checkpoints" / "checkpoint-4"
    assert fault_of(str(last)) == ""
    for number, (spoil, why) in enumerate(SPOILED):
        shutil.copytree(last, here / f"spoiled-{number}")
        spoil(here / f"spoiled-{number}")
        assert fault_of(str(here / f"spoiled-{number}")).startswith(why)
    shutil.copytree(here / "cut", here / "both")
    cut_short(last)
    told: list[str] = []
    trained(here, "cut", told)
    assert any("checkpoint-4 cannot be gone on from and is removed: optimizer.pt is not" in line for line in told)
    assert any("going on from" in line and "checkpoint-2" in line for line in told)
    trained(here, "both")
    assert equal(weights(here, "cut"), weights(here, "both"))


def test_a_disk_that_is_full_is_told_and_nothing_is_lost(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = trained(here, "whole")
    save = torch.save

    def full(data: Any, place: str, *rest: Any, **options: Any) -> None:
        if "checkpoint-4" in str(place):
            raise RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 64 vs 0")
        save(data, place, *rest, **options)

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", full)
        with pytest.raises(TrainingFault, match="checkpoints: .*unexpected pos.*make room there; the same command"):
            trained(here, "full")
    told: list[str] = []
    assert trained(here, "full", told)["losses"] == whole["losses"]
    assert any("checkpoint-4 cannot be gone on from and is removed: it was not finished" in line for line in told)
    assert equal(weights(here, "whole"), weights(here, "full"))


def test_an_interruption_between_the_outcome_and_its_manifest(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = trained(here, "whole")

    def stop(*_: Any) -> None:
        raise Interrupted

    with monkeypatch.context() as patch:
        patch.setattr("training.sft.training.write_manifest", stop)
        with pytest.raises(Interrupted):
            trained(here, "cut")
    again = trained(here, "cut")
    assert again["losses"] == whole["losses"] and again["steps"] == whole["steps"]
    assert equal(weights(here, "whole"), weights(here, "cut"))


def test_without_a_whole_checkpoint_it_begins_again(tmp_path: Path) -> None:
    assert last_good(str(tmp_path / "none"), print) is None
    for number in (2, 10):
        (tmp_path / f"checkpoint-{number}").mkdir()
        (tmp_path / f"checkpoint-{number}" / "weights").write_bytes(b"x")
    (tmp_path / "other").mkdir()
    seal(str(tmp_path / "checkpoint-2"))
    assert fault_of(str(tmp_path / "checkpoint-2")) == ""
    told: list[str] = []
    assert last_good(str(tmp_path), told.append) == str(tmp_path / "checkpoint-2") and len(told) == 1
    (tmp_path / "checkpoint-2" / "weights").write_bytes(b"y")
    assert last_good(str(tmp_path), told.append) is None
    assert [path.name for path in tmp_path.iterdir()] == ["other"]


@pytest.mark.slow
def test_a_killed_process_goes_on(here: Path) -> None:
    whole = trained(here, "whole")
    change(here, "epochs = 2", "epochs = 2\nlog_every = 1")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-u", "-m", "training.sft", "c.toml", "--out", "killed"]
    with subprocess.Popen(command, cwd=here, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("step 3/"):
                process.send_signal(signal.SIGKILL)
                break
    assert process.returncode == -signal.SIGKILL
    assert not (here / "killed" / "manifest.json").exists()
    again = trained(here, "killed")
    assert equal(weights(here, "whole"), weights(here, "killed")) and again["losses"] == whole["losses"]


# ---------------------------------------------------------------- what is refused


def test_another_run_in_the_same_folder_is_refused(here: Path) -> None:
    with pytest.raises(Interrupted):
        trained(here, "out", tell=interrupt_at(3))
    change(here, "save_every = 2", "save_every = 3\nkeep = 4")  # changes nothing about what comes out
    with pytest.raises(Interrupted):
        trained(here, "out", tell=interrupt_at(4))
    change(here, "learning_rate = 1e-2", "learning_rate = 1e-3")
    with pytest.raises(TrainingFault, match="has another run: settings differ"):
        trained(here, "out")
    change(here, "learning_rate = 1e-3", "learning_rate = 1e-2")
    write_rows(here, [row(number) for number in range(13)])
    with pytest.raises(TrainingFault, match="has another run: data_sha256 differ"):
        trained(here, "out")


REFUSED: list[tuple[str, str, str]] = [
    ("epochs = 2", "epoch = 2", "c.toml:16: [training] has no key `epoch`; did you mean `epochs`?"),
    ("batch = 4", "batch = 5", "5 is no multiple of at_once = 2"),
    ("max_length = 128", "max_length = 8", "no row fits into max_length = 8 tokens"),
    ("max_length = 128", "max_length = 257", "more than the 256 tokens that the model was made for"),
    ('"rows.jsonl"', '"nowhere.jsonl"', "there is no data set"),
    ('model = "tiny"', 'model = "nowhere"', "there is no folder"),
    ("dropout = 0.2", 'targets = ["none"]', "[lora] targets do not fit the model"),
    ("[training]", '[start]\nadapter = "nowhere"\n[training]', "nowhere/adapter_model.safetensors cannot be read"),
]


@pytest.mark.parametrize(("old", "new", "told"), REFUSED)
def test_what_cannot_be_used_is_told_in_a_line(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, old: str, new: str, told: str
) -> None:
    monkeypatch.setattr("training.trainer.watching.quiet", lambda: None)
    change(here, 'method = "full"', 'method = "lora"')
    change(here, old, new)
    assert main([str(here / "c.toml"), "--out", str(here / "out")]) == 2
    error = capsys.readouterr().err
    assert told in error and "Traceback" not in error
    assert not (here / "out" / "run.json").exists()


def test_more_processes_than_examples_of_a_step_are_refused(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(TrainingFault, match="batch = 4 cannot be shared by 4 processes with at_once = 2"):
        trained(here, "out")


def test_what_a_step_takes_is_without_what_was_measured_between() -> None:
    history: list[dict[str, Any]] = [
        {"rates": {}, "cpu_seconds_of_rates": 2.0},
        {"loss": 1.0, "cpu_seconds": 4.0, "peak_memory_gb": 1.5},
        {"rates": {}, "cpu_seconds_of_rates": 1.0},
        {"loss": 0.9, "cpu_seconds": 9.0, "peak_memory_gb": 1.25},  # gone on with in another process
    ]
    found = effort(history, 3)
    assert found == {"cpu_seconds": 6.0, "cpu_seconds_a_step": 2.0, "peak_memory_gb": 1.5}
    assert effort_told(found) == "2.0 s of CPU a step, 1.5 GB of memory at most"
    bare = effort([{"loss": 1.0, "cpu_seconds": 3.0, "peak_memory_gb": None}], 2)  # where the system does not tell
    assert effort_told(bare) == "1.5 s of CPU a step"


def test_a_loss_that_is_no_number_ends_the_training() -> None:
    state = SimpleNamespace(log_history=[{"loss": 1.0}], global_step=7, max_steps=9, is_world_process_zero=True)
    told: list[str] = []
    watching = Telling(told.append)
    watching.on_train_begin(None, state, None)
    watching.on_log(None, state, None, logs={"loss": 1.0})
    assert told == ["step 7/9  loss 1.0000  0 s"] and "seconds" in state.log_history[-1]
    assert state.log_history[-1].keys() >= {"cpu_seconds", "peak_memory_gb"}
    for name in ("loss", "grad_norm"):
        with pytest.raises(TrainingFault, match=f"step 7: {name} is nan"):
            watching.on_log(None, state, None, logs={name: float("nan")})


def test_a_template_that_writes_the_prompt_otherwise_is_refused(here: Path) -> None:
    trained(here, "out")
    base = locate(Base("tiny"), home=str(here / "out"))
    tokenizer = load(base).tokenizer
    rows = read_rows([str(here / "rows.jsonl")])
    tokenizer.chat_template = "{{ messages | length }} {% for one in messages %}{{ one.content }}{% endfor %}"
    with pytest.raises(TrainingFault, match="writes the prompt otherwise when the reply follows"):
        tokenise(rows, tokenizer, 128)
    tokenizer.chat_template = "{{ raise_exception('no system role') }}"
    with pytest.raises(TrainingFault, match="does not take these messages: no system role"):
        tokenise(rows, tokenizer, 128)


@pytest.mark.parametrize(
    "name", sorted(set(re.findall(r"training/configs/(sft[\w-]*\.toml)", GUIDE.read_text(encoding="utf-8"))))
)
def test_the_configurations_of_the_guide_can_be_used(name: str) -> None:
    assert read_sft(str(ROOT / "training" / "configs" / name)).data.paths


def test_the_configuration_that_shows_what_a_step_takes_can_be_used() -> None:
    assert read_sft(str(ROOT / "training" / "configs" / "steps-sft.toml")).training.steps == 3


def test_the_shipped_configuration_has_the_defaults() -> None:
    settings = read_sft(str(ROOT / "training" / "configs" / "sft.toml"))
    assert settings.training == type(settings.training)() and settings.lora == type(settings.lora)()
