"""Base models and adapters: where they come from, what is refused; an adapter is put onto its own base alone."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from masdsl.runtime.models.store import WEIGHTS
from training.models.adapters import Lora, add_adapter, load_adapter, save_adapter
from training.models.backbone import (
    BackboneFault,
    Base,
    Located,
    check_tokenizer,
    identity,
    load,
    load_tokenizer,
    locate,
)
from training.models.tiny import Tiny

torch = pytest.importorskip("torch", reason="torch is not installed (pip install masdsl[train])")
pytest.importorskip("transformers", reason="transformers is not installed (pip install masdsl[train])")
pytest.importorskip("peft", reason="peft is not installed (pip install masdsl[train])")

# peft 0.21 asks transformers 5.23 by a name that is going away.
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")

TEXTS = ["mas 1 flow main(query) -> text { return query }"] * 3
TINY = Base("tiny", tiny=Tiny(hidden=16, layers=1, heads=2, vocabulary=300))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Located:
    return locate(TINY, home=str(tmp_path_factory.mktemp("home")), texts=TEXTS)


@pytest.fixture
def base(made: Located, tmp_path: Path) -> Located:
    """A copy of a tiny model that a test may spoil."""
    shutil.copytree(made.folder, tmp_path / "model")
    return locate(Base(str(tmp_path / "model")), home=str(tmp_path))


def logits(model: Any) -> Any:
    with torch.no_grad():
        return model.eval()(torch.tensor([[5, 6, 7]])).logits


# ---------------------------------------------------------------- bases


def test_a_tiny_model_is_made_once_and_is_always_the_same(made: Located, tmp_path: Path) -> None:
    again = locate(TINY, home=str(tmp_path), texts=TEXTS)
    assert identity(again) == identity(made)
    other = locate(TINY._replace(tiny=TINY.tiny._replace(seed=1)), home=str(tmp_path / "other"), texts=TEXTS)
    assert identity(other) != identity(made)
    written = (tmp_path / "base" / "model.safetensors").stat().st_mtime_ns
    locate(TINY, home=str(tmp_path), texts=["other texts"])
    assert (tmp_path / "base" / "model.safetensors").stat().st_mtime_ns == written
    assert sorted(path.name for path in tmp_path.iterdir()) == ["base", "other"]


def test_a_model_and_its_tokenizer_fit_together(base: Located) -> None:
    model, tokenizer = load(base)
    messages = [{"role": "user", "content": "flow mäin"}]
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    assert text == "<|im_start|>user\nflow mäin<|im_end|>\n<|im_start|>assistant\n"
    numbers = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert tokenizer.decode(numbers) == text and max(numbers) < model.config.vocab_size
    assert model.dtype == torch.float32 and tokenizer.pad_token_id != tokenizer.eos_token_id
    assert load(base._replace(dtype="bfloat16")).model.dtype == torch.bfloat16


@pytest.mark.local_model
@pytest.mark.slow
def test_the_weights_of_the_store_are_unpacked_once(tmp_path: Path) -> None:
    if find_spec("gguf") is None:
        pytest.skip("gguf is not installed (pip install masdsl[train])")
    base = locate(Base("smollm2"), home=str(tmp_path))
    assert identity(base) == WEIGHTS["smollm2"].sha256
    assert (Path(base.folder) / "model.safetensors").stat().st_size > 500_000_000
    assert load_tokenizer(base).chat_template


def pickle_weights(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def empty(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def cut(folder: Path) -> None:
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights[:-100])


def change(name: str, **values: Any) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        data = json.loads((folder / name).read_text(encoding="utf-8"))
        (folder / name).write_text(json.dumps({**data, **values}), encoding="utf-8")

    return spoil


def own_code(folder: Path) -> None:
    """A model type that only its author's code knows; running it would leave a file."""
    change("config.json", model_type="mine", auto_map={"AutoModelForCausalLM": "code.Mine", "AutoConfig": "code.C"})(
        folder
    )
    (folder / "code.py").write_text(f"open({str(folder / 'ran')!r}, 'w')\n", encoding="utf-8")


SPOILED: list[tuple[Callable[[Path], object], str]] = [
    (shutil.rmtree, "there is no folder"),
    (lambda folder: (folder / "config.json").unlink(), "no config.json"),
    (pickle_weights, "may hold code that runs when it is loaded"),
    (empty, "has no weights"),
    (cut, "cannot be loaded"),
    (own_code, "cannot be loaded"),
    (change("config.json", vocab_size=100), "cannot be loaded"),
    (lambda folder: (folder / "tokenizer.json").write_text("{", encoding="utf-8"), "tokenizer in .* cannot be loaded"),
    (lambda folder: (folder / "chat_template.jinja").unlink(), "no chat template"),
]


@pytest.mark.parametrize(("spoil", "told"), SPOILED)
def test_a_model_that_cannot_be_used_is_told(base: Located, spoil: Callable[[Path], None], told: str) -> None:
    folder = Path(base.folder)
    spoil(folder)
    with pytest.raises(BackboneFault, match=told):
        load(locate(Base(base.folder), home=str(folder.parent)))
    assert not (folder / "ran").exists()


def test_a_tokenizer_of_another_model_is_refused(base: Located) -> None:
    tokenizer = load_tokenizer(base)
    check_tokenizer(tokenizer, len(tokenizer), "x")
    with pytest.raises(BackboneFault, match="it is that of another model"):
        check_tokenizer(tokenizer, len(tokenizer) - 1, "x")
    tokenizer.eos_token = None
    with pytest.raises(BackboneFault, match="no end-of-text token"):
        check_tokenizer(tokenizer, len(tokenizer), "x")


def test_a_hub_that_cannot_be_reached_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(BackboneFault, match="cannot be had from Hugging Face's hub.*check the name and the network"):
        locate(Base("hf:nobody/nothing-of-the-kind"), home=str(tmp_path))


@pytest.mark.parametrize("content", [None, b"no gguf"])
def test_a_file_that_is_no_gguf_is_told(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "x.gguf").write_bytes(content)
    with pytest.raises(BackboneFault, match="cannot be (read|unpacked)"):
        locate(Base(str(tmp_path / "x.gguf")), home=str(tmp_path))


# ---------------------------------------------------------------- adapters


def trained(base: Located) -> Any:
    """A model with an adapter that changes what it says."""
    model = add_adapter(load(base).model, Lora(rank=2, alpha=4))
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if "lora_B" in name:
                weights.fill_(0.1)
    return model


def test_an_adapter_comes_back_as_it_was_saved(base: Located, tmp_path: Path) -> None:
    model = trained(base)
    save_adapter(model, str(tmp_path / "adapter"), base, identity(base))
    assert {path.suffix for path in (tmp_path / "adapter").iterdir()} <= {".json", ".safetensors", ".md"}
    again = load_adapter(load(base).model, str(tmp_path / "adapter"), base)
    assert torch.equal(logits(again), logits(model)) and not torch.equal(logits(again), logits(load(base).model))
    assert not any(weights.requires_grad for weights in again.parameters())
    further = load_adapter(load(base).model, str(tmp_path / "adapter"), base, trainable=True)
    assert {name.split(".")[-3] for name, weights in further.named_parameters() if weights.requires_grad} == {
        "lora_A",
        "lora_B",
    }
    save_adapter(model, str(tmp_path / "adapter"), base, identity(base))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["adapter", "model"]


def other_base(folder: Path) -> None:
    change("masdsl.json", base_sha256="0" * 64)(folder)


SPOILED_ADAPTERS: list[tuple[Callable[[Path], object], str]] = [
    (shutil.rmtree, "there is no folder"),
    (lambda folder: (folder / "masdsl.json").unlink(), "is not known"),
    (lambda folder: (folder / "masdsl.json").write_text("[]", encoding="utf-8"), "cannot be read"),
    (
        lambda folder: (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin"),
        "may hold code that runs",
    ),
    (lambda folder: (folder / "adapter_model.safetensors").write_bytes(b"x"), "is damaged"),
    (lambda folder: (folder / "adapter_config.json").write_text("{}", encoding="utf-8"), "cannot be loaded"),
    (other_base, "was trained on another base"),
]


@pytest.mark.parametrize(("spoil", "told"), SPOILED_ADAPTERS)
def test_an_adapter_that_cannot_be_used_is_told(
    base: Located, tmp_path: Path, spoil: Callable[[Path], None], told: str
) -> None:
    save_adapter(trained(base), str(tmp_path / "adapter"), base, identity(base))
    spoil(tmp_path / "adapter")
    with pytest.raises(BackboneFault, match=told):
        load_adapter(load(base).model, str(tmp_path / "adapter"), base)


def test_targets_that_a_model_does_not_have_are_told(base: Located) -> None:
    with pytest.raises(BackboneFault, match=r"\[lora\] targets"):
        add_adapter(load(base).model, Lora(targets=("no_such_layer",)))
