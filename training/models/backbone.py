"""The base model of a training and its tokenizer, from a folder, masdsl's own store, or Hugging Face's hub.

    base = locate(Base("smollm2"), home="runs/sft")     # a folder of safetensors, whatever it came from
    model, tokenizer = load(base)

Weights are read from safetensors or GGUF alone and no code of a model's author is ever run: pickled weights and models
that need `trust_remote_code` are refused. Only `locate` touches a network, and only for `hf:` names.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Annotated, Any, Final, Literal, NamedTuple

from masdsl.batch.rows import HUB
from masdsl.resources import cache_directory
from masdsl.runtime.models.store import WEIGHTS, StoreError, ready
from training.models.tiny import Tiny, make_tiny
from training.stage.faults import TrainingFault
from training.stage.settings import Place

TINY: Final = "tiny"
SMOLLM2: Final = "smollm2"
HUB_TIMEOUT: Final = 10.0
"""Seconds after which a hub that does not answer counts as out of reach."""
_FILES: Final = ["*.safetensors", "*.json", "*.jinja", "*.txt", "*.model"]
_PICKLED: Final = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".msgpack", ".h5")


class BackboneFault(TrainingFault):
    """A base model, tokenizer or adapter that cannot be used; the text says what, why, and what to do next."""


class Base(NamedTuple):
    """The table [base] of a configuration.

    `model` is `smollm2` (of masdsl's own store), `tiny` (made for the run, see `training.models.tiny`), a folder of
    safetensors, a `.gguf` file, or `hf:OWNER/NAME` of the hub, there at `revision`. `dtype` is what weights are held
    in.
    """

    model: Annotated[str, Place((SMOLLM2, TINY))]
    revision: str | None = None
    dtype: Literal["float32", "bfloat16"] = "float32"
    tiny: Tiny = Tiny()


class Located(NamedTuple):
    """A base model as a folder of safetensors with its tokenizer; `name` is how the configuration calls it.

    `digest` is the SHA-256 of the GGUF file that it was unpacked from; empty where it came from none.
    """

    name: str
    folder: str
    dtype: str = "float32"
    digest: str = ""


class Backbone(NamedTuple):
    """A model in memory (`transformers.PreTrainedModel`), and its tokenizer."""

    model: Any
    tokenizer: Any


# ---------------------------------------------------------------- where it is


def locate(base: Base, *, home: str, texts: Iterable[str] = ()) -> Located:
    """Return a base model as a folder; it is fetched or made where that is needed, and kept.

    Args:
        base: which one.
        home: the folder of the run: `tiny` is made in its folder `base`, once.
        texts: what the tokenizer of `tiny` is learned from, such as the rows of the training.

    Raises BackboneFault for one that is not there, cannot be reached, or may not be loaded.
    """
    missing = [name for name in ("torch", "transformers") if find_spec(name) is None]
    if missing:
        raise BackboneFault(f"{' and '.join(missing)} is not installed: pip install 'masdsl[train]'")
    digest = ""
    if base.model == TINY:
        folder = os.path.join(os.path.abspath(home), "base")
        _made(folder, lambda made: make_tiny(base.tiny, texts, made))
    elif base.model == SMOLLM2:
        digest = WEIGHTS[base.model].sha256
        folder = _of_gguf(_stored(base.model), digest)
    elif base.model.startswith(HUB):
        folder = _fetched(base.model.removeprefix(HUB), base.revision)
    elif base.model.endswith(".gguf"):
        digest = _digest_of(base.model)
        folder = _of_gguf(base.model, digest)
    else:
        folder = base.model
    _check_folder(folder)
    return Located(base.model, folder, base.dtype, digest)


def _stored(name: str) -> str:
    try:
        return ready(name)
    except StoreError as fault:
        raise BackboneFault(str(fault)) from None


def _of_gguf(path: str, digest: str) -> str:
    """Return a folder of safetensors with the weights of a GGUF file; made once, into the cache."""
    cache = cache_directory()
    if cache is None:
        raise BackboneFault(
            "there is no cache folder to unpack a GGUF file into: set MASDSL_CACHE to a folder of yours"
        )
    folder = os.path.join(os.path.abspath(cache), "models", f"unpacked-{digest[:16]}")

    def unpack(made: str) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

        where, file = os.path.split(path)
        with _told(f"the weights in {path} cannot be unpacked", "is it a GGUF file of a language model?"):
            model = AutoModelForCausalLM.from_pretrained(
                where, gguf_file=file, dtype=torch.float32, quantization_config=GgufConfig(dequantize=True)
            )
            tokenizer = AutoTokenizer.from_pretrained(where, gguf_file=file)
            model.save_pretrained(made)
            tokenizer.save_pretrained(made)

    _made(folder, unpack)
    return folder


def _fetched(name: str, revision: str | None) -> str:
    """Return the folder of a model of the hub in Hugging Face's own cache; fetches what is not there."""
    if find_spec("huggingface_hub") is None:
        raise BackboneFault("huggingface_hub is not installed: pip install 'masdsl[train]'")
    from huggingface_hub import HfApi

    hub = HfApi(endpoint=os.environ.get("HF_ENDPOINT") or None)

    def snapshot(revision: str | None, *, here: bool) -> str:
        found = hub.snapshot_download(name, revision=revision, allow_patterns=_FILES, local_files_only=here)
        return str(found)

    advice = (
        "check the name and the network (HF_ENDPOINT, HF_HUB_OFFLINE, HF_TOKEN), or name a folder that has the model"
    )
    with _told(f"the model {name} cannot be had from Hugging Face's hub", advice):
        try:
            # Fetching itself asks first without any limit of time; a commit that is known it need not ask for.
            commit = hub.model_info(name, revision=revision, timeout=HUB_TIMEOUT).sha
        except Exception:  # out of reach, switched off, or unknown: what was fetched once is still there
            try:
                return snapshot(revision, here=True)
            except Exception:  # the first reason is the one to tell
                pass
            raise
        return snapshot(commit, here=False)


def _made(folder: str, make: Callable[[str], None]) -> None:
    """Have `make` fill a folder unless it is there; it is there whole or not at all, whoever else makes it too."""
    if os.path.isdir(folder):
        return
    above = os.path.dirname(folder)
    try:
        os.makedirs(above, exist_ok=True)
        made = tempfile.mkdtemp(prefix=".making-", dir=above)
        try:
            make(made)
            make_readable(made)
            replace_folder(made, folder, keep=True)
        finally:
            shutil.rmtree(made, ignore_errors=True)
    except OSError as error:
        raise BackboneFault(
            f"{folder} cannot be written: {error.strerror or error}; make room or rights there"
        ) from None


def make_readable(folder: str) -> None:
    """Let everybody read a folder of files; temporary folders and safetensors are made for their owner alone."""
    os.chmod(folder, 0o755)
    for name in os.listdir(folder):
        if os.path.isfile(os.path.join(folder, name)):
            os.chmod(os.path.join(folder, name), 0o644)


def replace_folder(made: str, folder: str, *, keep: bool = False) -> None:
    """Move a folder to its place in one step; what is there is kept, or replaced. Raises OSError."""
    try:
        os.rename(made, folder)
    except OSError:
        if not os.path.isdir(folder):
            raise
        if keep:
            return
        old = tempfile.mkdtemp(prefix=".old-", dir=os.path.dirname(os.path.abspath(folder)))
        os.rename(folder, os.path.join(old, "x"))
        os.rename(made, folder)
        shutil.rmtree(old, ignore_errors=True)


def _check_folder(folder: str) -> None:
    if not os.path.isdir(folder):
        raise BackboneFault(
            f"there is no folder {folder} with a model; name a folder, `{SMOLLM2}`, `{TINY}`, or {HUB}OWNER/NAME"
        )
    if not os.path.isfile(os.path.join(folder, "config.json")):
        raise BackboneFault(f"{folder} is no model: it has no config.json; name the folder of a saved model")
    refuse_pickles(folder, "model")


def refuse_pickles(folder: str, what: str) -> None:
    """Raise BackboneFault for a folder without safetensors; where it has pickles instead, say so."""
    files = sorted(os.listdir(folder))
    if any(name.endswith(".safetensors") for name in files):
        return
    pickled = next((name for name in files if name.endswith(_PICKLED) and name != "training_args.bin"), None)
    if pickled:
        raise BackboneFault(
            f"{os.path.join(folder, pickled)} may hold code that runs when it is loaded, so it is not; convert the "
            f"{what} to safetensors where you trust it: save_pretrained(.., safe_serialization=True)"
        )
    raise BackboneFault(f"{folder} has no weights: there is no file .safetensors in it; copy the {what} again")


# ---------------------------------------------------------------- loading


def load(base: Located) -> Backbone:
    """Return the model and tokenizer of a base, checked to belong together.

    Raises BackboneFault for weights that cannot be loaded and a tokenizer that does not fit.
    """
    import torch
    from transformers import AutoModelForCausalLM

    tokenizer = load_tokenizer(base)
    advice = "copy or fetch the model again (a folder of a cache may be removed); a model that brings code is not run"
    with _told(f"the model in {base.folder} cannot be loaded", advice):
        model = AutoModelForCausalLM.from_pretrained(
            base.folder,
            dtype=getattr(torch, base.dtype),
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
        )
    check_tokenizer(tokenizer, model.get_input_embeddings().num_embeddings, base.folder)
    return Backbone(model, tokenizer)


def load_tokenizer(base: Located) -> Any:
    """Return the tokenizer of a base, with a token for padding. Raises BackboneFault."""
    from transformers import AutoTokenizer

    with _told(f"the tokenizer in {base.folder} cannot be loaded", "copy or fetch the model again, with its tokenizer"):
        tokenizer = AutoTokenizer.from_pretrained(base.folder, local_files_only=True, trust_remote_code=False)
    if tokenizer.pad_token_id is None and tokenizer.eos_token_id is not None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def check_tokenizer(tokenizer: Any, embeddings: int, where: str) -> None:
    """Raise BackboneFault for a tokenizer that is not a model's: `embeddings` is how many tokens that one knows."""
    largest = max(tokenizer.get_vocab().values(), default=-1)
    if largest >= embeddings:
        raise BackboneFault(
            f"the tokenizer in {where} has tokens up to {largest}, the model knows {embeddings}: it is that of another "
            "model; put the model's own tokenizer into the folder"
        )
    if tokenizer.eos_token_id is None:
        raise BackboneFault(f"the tokenizer in {where} has no end-of-text token; set `eos_token` in its configuration")
    if not tokenizer.chat_template:
        raise BackboneFault(
            f"the tokenizer in {where} has no chat template, so it is not known how the model takes messages; take the "
            "model's instruction-tuned form, or put its chat_template.jinja into the folder"
        )


@contextmanager
def _told(what: str, advice: str) -> Iterator[None]:
    """Turn whatever a library raises about an input into one line that says what to do."""
    try:
        yield
    except BackboneFault:
        raise
    except Exception as error:  # these libraries raise many kinds, bare `Exception` among them
        said = " ".join(str(error).split())
        detail = said if len(said) <= 300 else said[:300] + ".."
        raise BackboneFault(f"{what}: {type(error).__name__}: {detail}; {advice}") from None


# ---------------------------------------------------------------- identity, saving


def identity(base: Located) -> str:
    """Return the SHA-256 of a base's weights: of its GGUF file, or of names and contents of its safetensors."""
    if base.digest:
        return base.digest
    files = sorted(name for name in os.listdir(base.folder) if name.endswith(".safetensors"))
    total = hashlib.sha256()
    for name in files:
        total.update(f"{name}\0{_digest_of(os.path.join(base.folder, name))}\n".encode())
    return total.hexdigest()


def _digest_of(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BackboneFault(f"{path} cannot be read: {error.strerror or error}; check the path") from None


def save_folder(folder: str, save: Callable[[str], None]) -> None:
    """Have `save` write a model or an adapter, and put it into its place in one step. Raises OSError."""
    above = os.path.dirname(os.path.abspath(folder))
    os.makedirs(above, exist_ok=True)
    made = tempfile.mkdtemp(prefix=".saving-", dir=above)
    try:
        save(made)
        make_readable(made)
        replace_folder(made, os.path.abspath(folder))
    finally:
        shutil.rmtree(made, ignore_errors=True)
