"""LoRA adapters: put onto a base, saved and loaded as safetensors, never onto another base than their own.

Beside its weights an adapter has `masdsl.json`: the name and SHA-256 of the base that it was trained on and the SHA-256
of its own weights. Both are compared when it is loaded: an adapter on another base gives no error, only nonsense.

Defaults: rank 8 and alpha 16 are those of MAS² (arXiv:2509.24323); which matrices it adapts the paper does
not say: all linear layers, and no dropout, are our choices.
"""

from __future__ import annotations

import hashlib
import json
import os
from typing import Annotated, Any, NamedTuple

from training.models.backbone import BackboneFault, Located, identity, refuse_pickles, save_folder
from training.stage.settings import Positive, Range

_FACTS = "masdsl.json"
_WEIGHTS = "adapter_model.safetensors"


class Lora(NamedTuple):
    """The table [lora]: low-rank matrices beside those named in `targets`, scaled by alpha / rank."""

    rank: Positive = 8
    alpha: Positive = 16
    dropout: Annotated[float, Range(least=0, most=0.9)] = 0.0
    targets: tuple[str, ...] = ("all-linear",)


def lora_config(lora: Lora) -> Any:
    """Return the settings as `peft.LoraConfig`, for a causal model."""
    from peft import LoraConfig

    return LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules="all-linear" if lora.targets == ("all-linear",) else list(lora.targets),
        task_type="CAUSAL_LM",
    )


def add_adapter(model: Any, lora: Lora, *, seed: int = 0) -> Any:
    """Return a model with a new adapter to be trained; its first half is random, the same for a seed.

    Raises BackboneFault for targets that the model does not have.
    """
    import torch
    from peft import get_peft_model

    try:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return get_peft_model(model, lora_config(lora))
    except ValueError as error:
        raise BackboneFault(f"[lora] targets do not fit the model: {error}; take targets = ['all-linear']") from None


def to_train(model: Any, base: Located, *, adapter: str | None, lora: Lora | None, seed: int = 0) -> Any:
    """Return a loaded base as it is to be trained.

    Args:
        model: the model of `base`.
        base: what the adapter has to belong to.
        adapter: a folder; that adapter is trained further, or made a part of the weights where those are trained.
        lora: a new adapter, where there is no other; None trains all weights.
        seed: what the new adapter begins with.

    Raises BackboneFault.
    """
    if adapter is not None:
        adapted = load_adapter(model, adapter, base, trainable=lora is not None)
        if lora is not None:
            return adapted
        model = adapted.merge_and_unload()
        model.requires_grad_(True)
        return model
    return model if lora is None else add_adapter(model, lora, seed=seed)


def save_adapter(model: Any, folder: str, base: Located, digest: str) -> None:
    """Write the adapter of a `peft.PeftModel`, as a whole or not at all; `digest` is its base's identity.

    Raises OSError.
    """

    def save(made: str) -> None:
        model.save_pretrained(made, safe_serialization=True)
        seal_adapter(made, base, digest)

    save_folder(folder, save)


def seal_adapter(folder: str, base: Located, digest: str) -> None:
    """Write beside an adapter's weights which base they belong to. Raises OSError."""
    facts = {"base": base.name, "base_sha256": digest, "sha256": _digest(os.path.join(folder, _WEIGHTS))}
    with open(os.path.join(folder, _FACTS), "w", encoding="utf-8") as file:
        file.write(json.dumps(facts, indent=2) + "\n")


def load_adapter(model: Any, folder: str, base: Located, *, trainable: bool = False) -> Any:
    """Return `model`, the loaded `base`, with the adapter of a folder on it.

    Raises BackboneFault for one that is not there, is damaged, has pickled weights, or belongs to another base.
    """
    if not os.path.isdir(folder):
        raise BackboneFault(f"there is no folder {folder} with an adapter; check the path")
    refuse_pickles(folder, "adapter")
    facts = _facts(folder)
    weights = os.path.join(folder, _WEIGHTS)
    if not os.path.isfile(weights) or facts["sha256"] != _digest(weights):
        raise BackboneFault(f"{weights} is damaged or not the adapter that was saved there; copy it again")
    if facts["base_sha256"] != identity(base):
        raise BackboneFault(
            f"the adapter in {folder} was trained on another base (`{facts['base']}`, SHA-256 "
            f"{facts['base_sha256'][:12]}..) than {base.folder}; name that one under [base]"
        )
    from peft import PeftModel

    try:
        return PeftModel.from_pretrained(model, folder, is_trainable=trainable, local_files_only=True)
    except Exception as error:  # peft and safetensors raise many kinds
        raise BackboneFault(f"the adapter in {folder} cannot be loaded: {error}; copy it again") from None


def _facts(folder: str) -> dict[str, str]:
    path = os.path.join(folder, _FACTS)
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
        return {name: str(found[name]) for name in ("base", "base_sha256", "sha256")}
    except FileNotFoundError:
        why = f"{path} is missing, so the base that the adapter belongs to is not known"
    except (OSError, ValueError, KeyError, TypeError) as error:
        why = f"{path} cannot be read ({error})"
    raise BackboneFault(f"{why}; adapters are those that `python -m training.sft` and `training.cto` write") from None


def _digest(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
