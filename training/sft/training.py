"""Supervised fine-tuning from a configuration to a folder; called again it goes on where it stopped.

run.json      what the run is of              base/   the base, where it is `tiny`
checkpoints/  states to go on from, sealed    model/  the outcome, as safetensors: an adapter or a whole model
manifest.json configuration, data, base, versions, losses, tokens, seconds (by the clock, of the processor), memory

The loss is TRL's: the mean negative log-likelihood of the completions' tokens over the whole batch, so that neither
accumulation nor the number of processes changes it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from training.models.adapters import Lora, seal_adapter, to_train
from training.models.backbone import Base, Located, identity, load, locate, make_readable, replace_folder
from training.sft.evaluation import Evaluation, measure_of
from training.sft.rows import Tokenised, read_rows, tokenise
from training.stage.faults import TrainingFault
from training.stage.record import claim, digest_of, finished, write_manifest
from training.stage.settings import Path, read_settings, settings_json
from training.trainer.optimisation import CADENCE, Optimisation, checked_length, trainer_arguments
from training.trainer.watching import Measure, Measuring, Tell, Telling, effort, effort_told

MODEL = "model"
CHECKPOINTS = "checkpoints"
_TOLD = 5


class Data(NamedTuple):
    """The table [data]: rows to train on, and rows whose loss is only looked at, every `save_every` steps."""

    paths: tuple[Path, ...]
    validation: tuple[Path, ...] = ()


class Start(NamedTuple):
    """The table [start]: an adapter that is trained further, or made a part of the weights where those are trained."""

    adapter: Path | None = None


class Settings(NamedTuple):
    """The tables of a configuration (`training/configs/sft.toml` explains every key)."""

    data: Data
    base: Base
    start: Start = Start()
    training: Optimisation = Optimisation()
    lora: Lora = Lora()
    evaluation: Evaluation | None = None


def read_sft(path: str) -> Settings:
    """Return the settings in a file; paths are relative to it. Raises SettingsFault."""
    return read_settings(path, Settings)


def train(settings: Settings, out: str, *, tell: Tell = print, measure: Measure | None = None) -> Any:
    """Train, or go on with it, and return the manifest; what is finished is not done again.

    Args:
        settings: what is to be done.
        out: the folder of the run; all processes of a run share it.
        tell: takes a line about what happens.
        measure: takes the place of what [evaluation] says, where there is such a table.

    Raises TrainingFault, DataFault, GraderFault and OSError. Whatever ends it, the same call goes on from the last
    whole checkpoint.
    """
    from accelerate import PartialState
    from accelerate.utils import broadcast_object_list
    from trl import SFTConfig

    out = os.path.abspath(out)
    folder = os.path.join(out, CHECKPOINTS)
    # Before any model is loaded: with ZeRO-3 these arguments decide that weights are read in pieces.
    arguments = trainer_arguments(settings.training, folder)
    validation = (
        {"eval_strategy": "steps", "eval_steps": settings.training.save_every} if settings.data.validation else {}
    )
    config = SFTConfig(**arguments, **validation, max_length=None, completion_only_loss=True)
    process = PartialState()
    if not process.is_main_process:
        tell = _silent
    rows = read_rows(settings.data.paths)
    watched = read_rows(settings.data.validation) if settings.data.validation else ()
    with process.main_process_first():
        base = locate(settings.base, home=out, texts=(row.text for row in rows))
    # One process reads all weights for their hash, not all of them.
    told: list[Any] = [_facts(settings, base) if process.is_main_process else None]
    facts = broadcast_object_list(told)[0]
    known = finished(out, facts)
    if known is not None and os.path.isdir(os.path.join(out, MODEL)):
        tell(f"finished already: {os.path.join(out, MODEL)}")
        return known
    backbone = load(base)
    limit = checked_length(settings.training.max_length, backbone.model)
    data = tokenise(rows, backbone.tokenizer, limit)
    _tell_lengths(data, limit, tell)
    lora = settings.lora if settings.training.method == "lora" else None
    model = to_train(backbone.model, base, adapter=settings.start.adapter, lora=lora, seed=settings.training.seed)
    trainer = _trainer(config, model, backbone.tokenizer, data, tokenise(watched, backbone.tokenizer, limit), tell)
    if settings.evaluation is not None:
        if trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled:
            raise TrainingFault(
                "a model whose weights are spread over processes is not measured in the loop: remove [evaluation], and "
                "measure what comes out with python -m training.rates"
            )
        measure = measure or measure_of(settings.evaluation, out)
        trainer.add_callback(Measuring(measure, settings.evaluation.every, tell, first=settings.evaluation.first))
    with process.main_process_first():
        claim(out, facts)
    _run(trainer, folder, tell)
    _save(trainer, out, base, facts["base_sha256"] if lora is not None else None)
    manifest: Mapping[str, Any] = {}
    if process.is_main_process:
        manifest = write_manifest(out, facts, {"data": data.card(), **_results(trainer)})
        shutil.rmtree(folder, ignore_errors=True)
        done = f"{manifest['steps']} steps, loss {manifest['loss']:.4f}, {effort_told(manifest)}"
        tell(f"{os.path.join(out, MODEL)}: {done}")
    process.wait_for_everyone()
    return manifest


def _silent(_: str) -> None:
    """Tell nothing: the main process does."""


def _facts(settings: Settings, base: Located) -> dict[str, Any]:
    """Return what decides the outcome of a run."""
    told = settings_json(settings)
    del told["evaluation"]
    told["training"] = {name: value for name, value in told["training"].items() if name not in CADENCE}
    paths = (*settings.data.paths, *settings.data.validation)
    adapter = settings.start.adapter
    return {
        "command": "python -m training.sft",
        "settings": told,
        "data_sha256": {path: digest_of(path) for path in paths if os.path.isfile(path)},
        "base_sha256": identity(base),
        "adapter_sha256": digest_of(os.path.join(adapter, "adapter_model.safetensors")) if adapter else None,
    }


def _tell_lengths(data: Tokenised, limit: int, tell: Tell) -> None:
    """Tell which rows are left out. Raises TrainingFault where none is left."""
    for what, places in (("the prompt alone is", data.prompt_too_long), ("prompt and completion are", data.too_long)):
        if places:
            more = f" and {len(places) - _TOLD} more" if len(places) > _TOLD else ""
            shown = ", ".join(places[:_TOLD])
            tell(f"{len(places)} rows left out, {what} longer than max_length = {limit} tokens: {shown}{more}")
    if not data.kept:
        raise TrainingFault(f"no row fits into max_length = {limit} tokens; raise [training] max_length")
    card = data.card()
    tell(
        f"{card['rows_used']} rows, {card['tokens']} tokens, {card['tokens_with_loss']} with loss; median length "
        f"{card['median_length']}, longest {card['longest']}"
    )


def _trainer(config: Any, model: Any, tokenizer: Any, data: Tokenised, watched: Tokenised, tell: Tell) -> Any:
    from transformers import PrinterCallback
    from trl import SFTTrainer

    from training.trainer.checkpoints import Sealing

    trainer = SFTTrainer(
        model=model,
        args=config,
        train_dataset=_dataset(data),
        eval_dataset=_dataset(watched) if watched.kept else None,
        processing_class=tokenizer,
        callbacks=[Telling(tell), Sealing()],
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _dataset(data: Tokenised) -> Any:
    """Return examples as TRL takes them when they are tokens already: the mask says which bear the loss."""
    from datasets import Dataset

    return Dataset.from_dict(
        {
            "input_ids": [list(one.ids) for one in data.kept],
            "completion_mask": [[0] * one.prompt + [1] * (len(one.ids) - one.prompt) for one in data.kept],
        }
    )


def _run(trainer: Any, folder: str, tell: Tell) -> None:
    """Train to the end, from the last whole checkpoint where there is one."""
    from accelerate import PartialState
    from accelerate.utils import broadcast_object_list
    from safetensors import SafetensorError

    from training.trainer.checkpoints import last_good

    chosen = [last_good(folder, tell) if PartialState().is_main_process else None]
    broadcast_object_list(chosen)
    if chosen[0] is not None:
        tell(f"going on from {chosen[0]}")
    try:
        trainer.train(resume_from_checkpoint=chosen[0])
    except (RuntimeError, SafetensorError) as error:
        advice = _advice(str(error))
        if not advice:
            raise
        raise TrainingFault(f"{folder}: {str(error).splitlines()[0]}; {advice}") from None


def _advice(error: str) -> str:
    """Return what to do about an error of torch's or safetensors' that comes from the machine; empty for another."""
    if "out of memory" in error or "can't allocate memory" in error:
        return (
            "the memory does not suffice: take a smaller [training] at_once or max_length, checkpointing = true, or "
            "bf16, and another folder for --out"
        )
    if any(word in error for word in ("No space left", "failed writing file", "unexpected pos", "I/O error")):
        return "a checkpoint could not be written: make room there; the same command goes on from the one before"
    return ""


def _save(trainer: Any, out: str, base: Located, digest: str | None) -> None:
    """Put what came out into its place in one step; `digest` is the base's where it is an adapter."""
    from accelerate import PartialState

    if trainer.is_fsdp_enabled:
        trainer.accelerator.state.fsdp_plugin.set_state_dict_type("FULL_STATE_DICT")
    made = os.path.join(out, ".saving")
    if PartialState().is_main_process:
        shutil.rmtree(made, ignore_errors=True)
    PartialState().wait_for_everyone()  # another process, if it removed it too, would remove what is being written
    trainer.save_model(made)
    PartialState().wait_for_everyone()
    if PartialState().is_main_process:
        for name in ("training_args.bin", "README.md"):
            if os.path.exists(os.path.join(made, name)):
                os.remove(os.path.join(made, name))
        if digest is not None:
            seal_adapter(made, base, digest)
        make_readable(made)
        replace_folder(made, os.path.join(out, MODEL))


def _results(trainer: Any) -> dict[str, Any]:
    """Return what the trainer's log says, in the order of steps."""
    history: Sequence[Mapping[str, Any]] = trainer.state.log_history
    steps = [one for one in history if "loss" in one]
    return {
        "steps": trainer.state.global_step,
        "epochs": trainer.state.epoch,
        "loss": steps[-1]["loss"] if steps else float("nan"),
        "seconds": steps[-1]["seconds"] if steps else 0.0,
        **effort(history, trainer.state.global_step),
        "tokens_seen": trainer.state.num_input_tokens_seen,
        "parameters": trainer.model.num_parameters(),
        "parameters_trained": trainer.model.num_parameters(only_trainable=True),
        "losses": [[one["step"], round(one["loss"], 6)] for one in steps],
        "validation": [[one["step"], round(one["eval_loss"], 6)] for one in history if "eval_loss" in one],
        "rates": [{"step": one["step"], **one["rates"]} for one in history if "rates" in one],
    }
