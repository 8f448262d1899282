"""The preference stage: its losses on a tiny model's real log-probabilities, and the command from trees to adapters."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from masdsl.meta.host import Host
from training.cto.__main__ import main
from training.cto.plan import Data, Grpo, Objective, Plan, Rewards, Start, Training
from training.cto.preference_loss import LogProbabilities, cto_gradient, cto_loss, dpo_loss, score_dpo_loss
from training.cto.rewards import STAGES
from training.cto.stage import run
from training.models.adapters import Lora, load_adapter
from training.models.backbone import Base, Located, load, load_tokenizer
from training.models.tiny import Tiny, make_tiny
from training.pairs.command import main as make_pairs
from training.rates.asking import Asked
from training.rates.measuring import Measured
from training.stage.settings import read_settings

torch = pytest.importorskip("torch", reason="training needs torch: pip install '.[train]'")
pytest.importorskip("trl", reason="training needs trl: pip install '.[train]'")
pytest.importorskip("peft", reason="training needs peft: pip install '.[train]'")

from datasets import Dataset  # noqa: E402
from peft import LoraConfig  # noqa: E402
from safetensors.torch import load_file  # noqa: E402
from transformers import TrainerCallback  # noqa: E402
from trl import DPOConfig, DPOTrainer  # noqa: E402

from training.cto.losses import SCORES, WEIGHT, CtoTrainer, PairTrainer, ScoreDpoTrainer  # noqa: E402

pytestmark = [
    # peft 0.21 reads a property that transformers 5.23 calls otherwise.
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),
]

ACTIONS = (("use one agent", "use none", 0.25), ("ab", "a much longer reply", 3.0), ("yes", "no", 0.0), ("x", "y", 2.5))
SHARES = ((0.9, 0.1), (1.0, 0.0), (0.5, 0.5), (0.75, 0.2))


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Several threads on such small matrices wait for one another, on a busy machine without end."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Located:
    folder = tmp_path_factory.mktemp("base") / "tiny"
    make_tiny(Tiny(hidden=32, vocabulary=300), ["use one agent"], str(folder))
    return Located("tiny", str(folder))


def rows(*, weights: Sequence[float] | None = None) -> list[dict[str, Any]]:
    return [
        {
            "prompt": [{"role": "user", "content": f"question {number}"}],
            "chosen": [{"role": "assistant", "content": chosen}],
            "rejected": [{"role": "assistant", "content": rejected}],
            WEIGHT: gap if weights is None else weights[number],
            SCORES[0]: SHARES[number][0],
            SCORES[1]: SHARES[number][1],
            "provenance": {"not": "a column that a model takes"},
        }
        for number, (chosen, rejected, gap) in enumerate(ACTIONS)
    ]


def moved(model: Any) -> Any:
    """Give an adapter weights that are not those it begins with, so that the policy is not the reference."""
    made = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.copy_(torch.randn(weight.shape, generator=made) * 0.3)
    return model


@pytest.fixture
def trainer(tmp_path: Path, base: Located) -> Any:
    """Make trainers: a class, rows and what is to be otherwise."""

    def make(kind: type, data: Sequence[dict[str, Any]], *, is_moved: bool = True, **changed: Any) -> Any:
        settings = {
            "output_dir": str(tmp_path),
            "per_device_train_batch_size": len(data),
            "learning_rate": 0.5,
            "optim": "sgd",
            "lr_scheduler_type": "constant",
            "num_train_epochs": 1,
            "activation_checkpointing": False,
            "bf16": False,
            "use_cpu": True,
            "dataloader_pin_memory": False,
            "report_to": "none",
            "save_strategy": "no",
            "disable_tqdm": True,
            "max_grad_norm": 0.0,
            "beta": 0.3,
        }
        made = kind(
            model=load(base).model,
            args=DPOConfig(**{**settings, **changed}),
            train_dataset=Dataset.from_list(list(data)),
            processing_class=load_tokenizer(base),
            peft_config=LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", task_type="CAUSAL_LM"),
        )
        if is_moved:
            moved(made.model)
        return made

    return make


def batch_of(made: Any) -> dict[str, Any]:
    return next(iter(made.get_eval_dataloader(made.train_dataset)))  # in order


def log_probability(model: Any, base: Located, prompt: list[dict[str, str]], reply: list[dict[str, str]]) -> float:
    """Return log pi(a|c), token by token, without TRL."""
    tokenizer = load_tokenizer(base)
    before = tokenizer.apply_chat_template(prompt, add_generation_prompt=True)["input_ids"]
    whole = tokenizer.apply_chat_template(prompt + reply)["input_ids"]
    assert whole[: len(before)] == before
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([whole])).logits[0].double().log_softmax(-1)
    return float(sum(logits[place - 1, whole[place]] for place in range(len(before), len(whole))))


def log_probabilities(model: Any, base: Located, data: Sequence[dict[str, Any]]) -> list[LogProbabilities]:
    found = []
    for row in data:
        policy = [log_probability(model, base, row["prompt"], row[name]) for name in ("chosen", "rejected")]
        with model.disable_adapter():
            reference = [log_probability(model, base, row["prompt"], row[name]) for name in ("chosen", "rejected")]
        found.append(LogProbabilities(*policy, *reference))
    return found


def gradients(made: Any, loss: Any) -> Any:
    made.model.zero_grad()
    loss.backward()
    return torch.cat([one.grad.flatten() for one in made.model.parameters() if one.grad is not None])


class OnePairAtATime(DPOTrainer):
    """L_CTO by TRL's own loss and `loss_weights`: the implementation that ours is held against."""

    def of(self, batch: dict[str, Any], weights: Sequence[float]) -> Any:
        whole = 0.0
        for number, weight in enumerate(weights):
            pair = {name: one[[number, number + len(weights)]] for name, one in batch.items() if one.ndim == 2}
            self.loss_weights = [weight]
            whole = whole + self.compute_loss(self.model, pair) / len(weights)
        return whole


# ---------------------------------------------------------------- the loss


def test_the_losses_are_those_on_plain_numbers(trainer: Any, base: Located) -> None:
    data = rows()
    made = trainer(CtoTrainer, data)
    batch = batch_of(made)
    known = log_probabilities(made.model, base, data)
    made.model.eval()
    assert max(abs(one.chosen - one.reference_chosen) for one in known) > 0.1
    loss = made.compute_loss(made.model, batch).item()
    assert loss == pytest.approx(cto_loss(known, [gap for *_, gap in ACTIONS], 0.3), rel=1e-5)
    assert loss != pytest.approx(dpo_loss(known, 0.3), rel=1e-2)
    other = trainer(ScoreDpoTrainer, data)
    other.model.eval()
    score = other.compute_loss(other.model, batch_of(other)).item()
    assert score == pytest.approx(score_dpo_loss(known, SHARES, 0.3), rel=1e-5)


def test_with_weights_of_one_it_is_trls_dpo(trainer: Any) -> None:
    data = rows(weights=[1.0] * 4)
    ours, theirs = trainer(CtoTrainer, data), trainer(DPOTrainer, data)
    ours._pairs_in_step = len(data)
    first = ours.compute_loss(ours.model, batch_of(ours))
    second = theirs.compute_loss(theirs.model, batch_of(theirs))
    assert first.item() == pytest.approx(second.item(), rel=1e-6)
    torch.testing.assert_close(gradients(ours, first), gradients(theirs, second), rtol=1e-4, atol=1e-7)


def test_the_gradient_is_that_of_trls_loss_weights(trainer: Any) -> None:
    ours, theirs = trainer(CtoTrainer, rows()), trainer(OnePairAtATime, rows())
    ours._pairs_in_step = len(ACTIONS)
    first = gradients(ours, ours.compute_loss(ours.model, batch_of(ours)))
    second = gradients(theirs, theirs.of(batch_of(theirs), [gap for *_, gap in ACTIONS]))
    torch.testing.assert_close(first, second, rtol=1e-4, atol=1e-7)
    assert float(first.norm()) > 1e-3


def test_the_gradient_of_a_pair_is_proportional_to_its_weight(trainer: Any) -> None:
    found = []
    for weight in (1.0, 0.25, 3.0, 0.0):
        made = trainer(CtoTrainer, rows(weights=[weight] * 4)[1:2])
        made._pairs_in_step = 1
        found.append(gradients(made, made.compute_loss(made.model, batch_of(made))))
    for weight, one in zip((0.25, 3.0, 0.0), found[1:], strict=True):
        torch.testing.assert_close(one, weight * found[0], rtol=1e-4, atol=1e-6)


def test_the_slope_after_a_log_probability_is_that_on_plain_numbers(trainer: Any, base: Located) -> None:
    data = rows()
    made = trainer(CtoTrainer, data)
    pairs = log_probabilities(made.model, base, data)
    policy = torch.tensor([[one.chosen, one.rejected] for one in pairs], dtype=torch.double, requires_grad=True)
    reference = torch.tensor([[one.reference_chosen, one.reference_rejected] for one in pairs], dtype=torch.double)
    weights = torch.tensor([gap for *_, gap in ACTIONS], dtype=torch.double)
    made.losses(*(policy - reference).T, {WEIGHT: weights}).mean().backward()
    wanted = cto_gradient(pairs, weights.tolist(), 0.3)
    torch.testing.assert_close(policy.grad, torch.tensor(wanted, dtype=torch.double))


def weights_after(made: Any) -> Any:
    made.train()
    return torch.cat([one.detach().flatten() for one in made.model.parameters() if one.requires_grad])


def test_neither_batches_nor_order_change_the_mean(trainer: Any) -> None:
    data = rows()[:3]
    wanted = weights_after(trainer(CtoTrainer, data))
    for size, accumulated, order in ((1, 3, data), (2, 2, data), (2, 8, data[::-1]), (1, 4, data[::-1])):
        made = trainer(CtoTrainer, order, per_device_train_batch_size=size, gradient_accumulation_steps=accumulated)
        torch.testing.assert_close(weights_after(made), wanted, rtol=1e-4, atol=1e-6)


def test_a_reference_computed_in_advance_is_the_same(trainer: Any) -> None:
    settings = {"num_train_epochs": 3, "is_moved": False}
    wanted = trainer(CtoTrainer, rows(), **settings)
    found = trainer(CtoTrainer, rows(), precompute_ref_log_probs=True, **settings)
    assert "ref_chosen_logps" in found.train_dataset.column_names
    before = torch.cat([one.detach().flatten() for one in found.model.parameters() if one.requires_grad])
    after = weights_after(found)
    torch.testing.assert_close(after, weights_after(wanted), rtol=1e-4, atol=1e-6)
    assert float((after - before).norm()) > 1e-2


def test_a_loss_may_do_without_numbers(trainer: Any, base: Located) -> None:
    made = trainer(PairTrainer, rows())
    made.model.eval()
    assert made.compute_loss(made.model, batch_of(made)).item() == pytest.approx(
        dpo_loss(log_probabilities(made.model, base, rows()), 0.3), rel=1e-5
    )


# ---------------------------------------------------------------- the command

HEAD = 'mas 1\n\nagent {name}(query) -> text\n  "Answer {{{{ query }}}}."\n\n'
SIMPLE = HEAD.format(name="a") + "flow main(query) -> text {\n  found = a(query)\n  return found\n}\n"
NOTHING = "I am sorry. (No program?)"


def trees(folder: Path) -> Path:
    """Write two trees by hand: one agent is right, and the other reply is no program."""
    found = []
    for number in range(2):
        context = [{"role": "user", "content": f"Design for query {number}."}]
        bindings: list[dict[str, Any]] = [
            {
                "node": f"i{number}{right}",
                "action": f"bind 1\na = {'fast' if right else 'smart'}\n",
                "program": "",
                "spent": AMOUNT,
                "then": {
                    "success": right,
                    "cost": AMOUNT | {"picodollars": 10 + 30 * number, "calls": 1},
                    "executed": True,
                    "run": "",
                    "note": "",
                },
            }
            for right in (True, False)
        ]
        binding = {"role": "implementer", "trigger": "", "context": context, "options": bindings}
        failed = {**bindings[1]["then"], "cost": AMOUNT, "executed": False}
        options = [
            {"node": f"g{number}0", "action": SIMPLE, "program": SIMPLE, "spent": AMOUNT, "then": binding},
            {"node": f"g{number}1", "action": NOTHING, "program": "", "spent": AMOUNT, "then": failed},
        ]
        root = {"role": "generator", "trigger": "", "context": context, "options": options}
        found.append({"format": 1, "tree": f"t{number}", "query": f"query {number}", "root": root})
    path = folder / "trees.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in found), encoding="utf-8")
    return path


AMOUNT = dict.fromkeys(("calls", "tokens", "picodollars"), 0)
PLAN = """[base]
model = "{base}"
[data]
pairs = "pairs.jsonl"
role = "generator"
[loss]
kind = "{kind}"
[lora]
rank = 4
[training]
learning_rate = 1e-2
epochs = 3
batch = {batch}
at_once = {batch}
max_length = 512
save_every = 50
keep = 9
"""


@pytest.fixture
def here(tmp_path: Path, base: Located) -> Path:
    assert make_pairs([str(trees(tmp_path)), "-o", str(tmp_path / "pairs.jsonl")]) == 0
    (tmp_path / "cto.toml").write_text(PLAN.format(base=base.folder, kind="cto", batch=1), encoding="utf-8")
    return tmp_path


def changed(here: Path, **words: str) -> None:
    path = here / "cto.toml"
    text = path.read_text(encoding="utf-8")
    for old, new in words.items():
        assert f"{old} = " in text
        text = "".join(
            f"{old} = {new}\n" if line.startswith(f"{old} = ") else line for line in text.splitlines(keepends=True)
        )
    path.write_text(text, encoding="utf-8")


def command(here: Path, out: str = "out") -> int:
    return main([str(here / "cto.toml"), "--out", str(here / out)])


@pytest.mark.parametrize(("kind", "batch"), [("cto", 1), ("dpo", 1), ("score-dpo", 1), ("kto", 4)])
def test_from_trees_to_an_adapter_that_prefers_what_was_worth_more(
    here: Path, base: Located, kind: str, batch: int
) -> None:
    changed(here, kind=f'"{kind}"', batch=str(batch), at_once=str(batch), epochs="5")
    assert command(here) == 0
    row = json.loads((here / "pairs.jsonl").read_text(encoding="utf-8").splitlines()[0])
    model = load_adapter(load(base).model, str(here / "out" / "generator" / "model"), base)
    now = log_probabilities(model, base, [row])[0]
    assert now.chosen > now.reference_chosen + 0.1
    assert now.chosen - now.rejected > now.reference_chosen - now.reference_rejected + 0.1


def adapter_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = load_file(folder / "generator" / "model" / "adapter_model.safetensors")
    return found


class Interrupt(TrainerCallback):
    """Somebody presses Ctrl-C after a step."""

    def __init__(self, step: int) -> None:
        self._step = step

    def on_step_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        if state.global_step == self._step:
            raise KeyboardInterrupt


def interrupted(here: Path, out: str, step: int) -> Path:
    with pytest.raises(KeyboardInterrupt):
        run(read_settings(str(here / "cto.toml"), Plan), str(here / out), callbacks=[Interrupt(step)])
    return here / out / "generator" / "checkpoints"


def test_what_was_interrupted_goes_on_to_the_same_weights(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changed(here, save_every="2")
    assert command(here, "whole") == 0
    whole = adapter_of(here / "whole")
    assert any(bool(one.any()) for one in whole.values())
    checkpoints = interrupted(here, "broken", 5)
    last = checkpoints / "checkpoint-4" / "optimizer.pt"
    last.write_bytes(last.read_bytes()[:-100])
    assert command(here, "broken") == 0
    told = capsys.readouterr().out
    assert f"{last.parent} cannot be gone on from and is removed: optimizer.pt is not as it was written" in told
    assert f"going on from {checkpoints / 'checkpoint-2'}" in told
    broken = adapter_of(here / "broken")
    assert whole.keys() == broken.keys() and not checkpoints.exists()
    for name, one in whole.items():
        torch.testing.assert_close(broken[name], one, rtol=0, atol=0)


def test_what_is_finished_is_not_done_again_and_nothing_else_takes_its_place(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed(here, epochs="1")
    assert command(here) == 0
    place = here / "out" / "generator" / "model" / "adapter_model.safetensors"
    before = place.stat().st_mtime_ns
    assert command(here) == 0
    assert "finished already" in capsys.readouterr().out
    changed(here, epochs="2")
    assert command(here) == 2
    assert "has another run: settings differ" in capsys.readouterr().err
    assert place.stat().st_mtime_ns == before


def test_each_role_begins_from_the_reference(here: Path) -> None:
    changed(here, role='"all"', epochs="1")
    assert command(here) == 0
    assert sorted(one.name for one in (here / "out").iterdir()) == ["generator", "implementer"]
    changed(here, role='"implementer"')
    assert command(here, "alone") == 0
    place = Path("implementer", "model", "adapter_model.safetensors")
    assert (here / "out" / place).read_bytes() == (here / "alone" / place).read_bytes()
    manifest = json.loads((here / "out" / "implementer" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["steps"] == 2 and manifest["rows"] == 2 and manifest["first"]["loss"] > 0
    assert 0 < manifest["cpu_seconds_a_step"] <= manifest["cpu_seconds"]
    assert manifest["settings"]["loss"]["beta"] == 0.1 and set(manifest["versions"]) >= {"torch", "trl"}


@pytest.mark.parametrize(("kind", "at_once"), [("cto", 1), ("score-dpo", 1), ("kto", 2)])
def test_held_out_rows_are_looked_at_after_each_epoch(here: Path, kind: str, at_once: int) -> None:
    text = (here / "cto.toml").read_text(encoding="utf-8")
    (here / "cto.toml").write_text(text.replace("[data]\n", '[data]\nheld_out = "pairs.jsonl"\n'), encoding="utf-8")
    changed(here, kind=f'"{kind}"', epochs="2", at_once=str(at_once), batch="2")
    assert command(here) == 0
    manifest = json.loads((here / "out" / "generator" / "manifest.json").read_text(encoding="utf-8"))
    (_, first), (_, second) = manifest["held_out"]
    assert 0 < second < 1
    assert kind == "kto" or second < first  # KTO's own estimate of the distance to pi_ref moves with it


def test_an_adapter_is_trained_on_from_itself(here: Path, base: Located) -> None:
    changed(here, epochs="1")
    assert command(here, "first") == 0
    first = here / "first" / "generator" / "model"
    text = (here / "cto.toml").read_text(encoding="utf-8")
    (here / "cto.toml").write_text(text + f'[start]\nadapter = "{first}"\n', encoding="utf-8")
    assert command(here, "second") == 0
    before, after = adapter_of(here / "first"), adapter_of(here / "second")
    assert before.keys() == after.keys()
    assert any(not torch.equal(before[name], after[name]) for name in before)
    done = json.loads((here / "second" / "generator" / "manifest.json").read_text(encoding="utf-8"))
    assert done["first"]["rewards/margins"] == pytest.approx(0, abs=1e-4)  # the reference is where it began
    assert load_adapter(load(base).model, str(here / "second" / "generator" / "model"), base)


BAD = '{"role": "generator", "prompt": [{"role": "user", "content": "q"}], "value_gap": %s,'
BAD += ' "chosen": [{"role": "assistant", "content": "a"}], "rejected": [{"role": "assistant", "content": "b"}]}\n'


@pytest.mark.parametrize(
    ("pairs", "told"),
    [
        ("", "has no rows"),
        (BAD % "0", "is 0 in all 1 rows of the generator"),
        (BAD % "NaN", "pairs.jsonl:1: it is no JSON"),
        (BAD % "-1", "pairs.jsonl:1: `value_gap` is -1; it is a number from 0 on"),
        (BAD % "null", "`value_gap` is null"),
        (BAD % "1e999", "beyond the range of numbers"),
        ((BAD % "1").replace("generator", "implementer"), "has no rows of the generator"),
        ((BAD % "1").replace("assistant", "user"), "`chosen` is one message of the assistant"),
        ((BAD % "1")[:40] + "\n", "pairs.jsonl:1"),
        ((BAD % "1").replace('"q"', '"' + "long " * 600 + '"'), "tokens, the shortest has "),
    ],
)
def test_rows_that_cannot_be_used_are_told(
    here: Path, pairs: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "pairs.jsonl").write_text(pairs, encoding="utf-8")
    assert command(here) == 2
    found = capsys.readouterr().err
    assert told in found and "Traceback" not in found


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ({"kind": '"grpo"'}, 'kind = "grpo" needs a table [grpo]'),
        ({"kind": '"kto"'}, "write at_once = 2 or more"),
        ({"max_length": "4096"}, "is more than the 1024 tokens that the model was made for"),
        ({"kind": '"ppo"'}, "it is one of cto, dpo, score-dpo, kto, grpo"),
        ({"learning_rate": "-1.0"}, "it is more than 0"),
        ({"pairs": '"nowhere.jsonl"'}, "there is no data set"),
        ({"model": '"nowhere"'}, "there is no folder"),
    ],
)
def test_configurations_that_cannot_be_used_are_told(
    here: Path, words: dict[str, str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    changed(here, **words)
    assert command(here) == 2
    assert told in capsys.readouterr().err


def test_another_models_tokenizer_is_refused(here: Path, base: Located, capsys: pytest.CaptureFixture[str]) -> None:
    other = here / "other"
    make_tiny(Tiny(hidden=32, vocabulary=400), [Path(__file__).read_text(encoding="utf-8")], str(other))
    for name in ("config.json", "model.safetensors"):
        (other / name).write_bytes((Path(base.folder) / name).read_bytes())
    wide = json.loads((other / "tokenizer.json").read_text(encoding="utf-8"))
    assert len(wide["model"]["vocab"]) > 300
    changed(here, model=f'"{other}"')
    assert command(here) == 2
    assert "it is that of another model" in capsys.readouterr().err


def test_the_commented_configuration_can_be_read_and_has_the_papers_values() -> None:
    place = Path(__file__).parent.parent / "training" / "configs" / "cto.toml"
    plan = read_settings(str(place), Plan)
    assert (plan.lora.rank, plan.lora.alpha, plan.training.learning_rate) == (8, 16, 5e-5)
    assert (plan.training.epochs, plan.training.batch, plan.loss) == (2, 4, Objective("cto", 0.1))
    text = place.read_text(encoding="utf-8")
    named = {"base": Base, "data": Data, "start": Start, "loss": Objective, "lora": Lora, "training": Training}
    kinds: dict[str, Any] = {**named, "grpo": Grpo, "grpo.rewards": Rewards}
    for table, kind in kinds.items():
        part = text.split(f"[{table}]", 1)[1].split("\n[")[0].split("\n# [")[0]
        missing = [name for name in kind._fields if f"{name} = " not in part and name not in ("rewards", "tiny")]
        assert not missing, f"[{table}] says nothing about {missing}"


@pytest.mark.parametrize(("name", "kind"), [("grpo", "grpo"), ("steps-cto", "cto")])
def test_the_configurations_for_a_few_steps_can_be_read(name: str, kind: str) -> None:
    plan = read_settings(str(Path(__file__).parent.parent / "training" / "configs" / f"{name}.toml"), Plan)
    assert plan.loss.kind == kind and plan.training.steps and plan.base.model == "smollm2"


# ---------------------------------------------------------------- rewards of the compiler


@pytest.fixture
def queries(here: Path) -> Path:
    (here / "mas.toml").write_text(
        '[tiers]\ndefault = "script"\n[models.script]\nkind = "scripted"\npath = "script.toml"\n', encoding="utf-8"
    )
    (here / "script.toml").write_text('[replies]\na = "4"\n', encoding="utf-8")
    rows = [{"query": f"{number} + 2", "answer": str(number + 2)} for number in range(4)]
    (here / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    text = (here / "cto.toml").read_text(encoding="utf-8").replace('pairs = "pairs.jsonl"\n', "")
    grpo = '[grpo]\nqueries = ["train.jsonl"]\ngrader = "exact"\ngenerations = 2\nreply_tokens = 6\n'
    (here / "cto.toml").write_text(text + grpo, encoding="utf-8")
    changed(here, kind='"grpo"', batch="4", at_once="4", epochs="1")
    return here


def test_grpo_asks_for_each_query_and_tells_what_replies_were_worth(queries: Path) -> None:
    assert command(queries) == 0
    log = [json.loads(line) for line in (queries / "out" / "generator" / "log.jsonl").read_text().splitlines()]
    assert len(log) == 2 and all(f"rewards/{name}/mean" in log[0] for name in STAGES)
    assert log[0]["reward"] == 0.0  # six tokens are no program
    assert not any(bool(one.any()) for name, one in adapter_of(queries / "out").items() if "lora_B" in name)


def test_grpo_moves_towards_what_is_worth_more(queries: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[tuple[str, str]] = []

    async def follow(reply: str, asked: Asked, host: Host) -> Measured:
        heard.append((reply, asked.query))
        return Measured(asked.id, "", parses=len(heard) % 2 == 0)

    monkeypatch.setattr("training.cto.rewards.follow", follow)
    assert command(queries) == 0
    assert {query for _, query in heard} == {f"{number} + 2" for number in range(4)} and len(heard) == 8
    log = [json.loads(line) for line in (queries / "out" / "generator" / "log.jsonl").read_text().splitlines()]
    assert log[0]["reward"] == pytest.approx(0.05)  # every second reply parses, which is worth 0.1
    assert any(bool(one.any()) for name, one in adapter_of(queries / "out").items() if "lora_B" in name)


def test_grpo_tells_the_reward_of_what_is_emitted_before_and_after(
    queries: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rates = {"parses": 1.0, "checks": 0.5, "fits": 0.0, "right": 0.25, "programs": 3.0}
    monkeypatch.setattr("training.cto.stage.measure_of", lambda table, out: lambda model, tokenizer, step: rates)
    text = (queries / "cto.toml").read_text(encoding="utf-8")
    table = '[evaluation]\npaths = ["train.jsonl"]\nlimit = 1\nevery = 9\nfirst = true\ngrader = "exact"\n'
    (queries / "cto.toml").write_text(text + table, encoding="utf-8")
    assert command(queries) == 0
    manifest = json.loads((queries / "out" / "generator" / "manifest.json").read_text(encoding="utf-8"))
    first, last = manifest["rates"]
    assert (first["step"], last["step"]) == (0, 2)
    assert first["reward"] == pytest.approx(0.1 * 1 + 0.2 * 0.5 + 0.2 * 0 + 1.0 * 0.25)
    assert "step 0: parses 1, checks 0.5" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("generations = 2", "generations = 3", "does not divide [training] batch = 4"),
        ('role = "generator"', 'role = "all"', "GRPO trains the generator alone"),
        ("reply_tokens = 6", "reply_tokens = 500", "raise the one, lower the other"),
        (
            "reply_tokens = 6",
            "reply_tokens = 6\n[grpo.rewards]\nparses = 0\nchecks = 0\nfits = 0\nright = 0",
            "all rewards",
        ),
        ('grader = "exact"\n', "", "no grader"),
    ],
)
def test_what_grpo_cannot_use_is_told(
    queries: Path, old: str, new: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = queries / "cto.toml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    assert command(queries) == 2
    assert told in capsys.readouterr().err
