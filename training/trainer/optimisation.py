"""How weights are moved: the table [training] that all trainers share, and what TRL's trainers are told by it.

`batch` is the number of examples of one optimiser step, over all processes and accumulation steps. So a configuration
means the same on one CPU and on eight GPUs: only `at_once` and the number of processes say how it is cut up. (Where
`batch` does not divide the rows, the last step of an epoch has fewer of them; several processes then fill it up with
rows of the epoch's beginning, which is accelerate's way to keep them in step.)
"""

from __future__ import annotations

import os
from typing import Annotated, Any, Literal, NamedTuple

from training.stage.faults import TrainingFault
from training.stage.settings import Count, Positive, Range

ACCUMULATION_HELP = "choose `batch` as a multiple of `at_once` times the number of processes"


class Optimisation(NamedTuple):
    """The table [training]: AdamW with a schedule.

    Defaults are those of MAS-GPT (arXiv:2503.03686): learning rate 1e-5, 3 epochs, 32 examples a step. Schedule,
    warm-up, clipping, lengths, and whether it was LoRA it does not say: these are ours.

    `method` is a LoRA adapter ([lora]) or all weights. `steps` in place of `epochs` ends a training early. `max_length`
    in tokens bounds prompt and completion together; `at_once` examples are computed together in one process. `bf16` is
    mixed precision (autocast); `checkpointing` computes activations twice to hold less of them. `save_every`, `keep`
    and `log_every` count optimiser steps.
    """

    method: Literal["lora", "full"] = "lora"
    learning_rate: Annotated[float, Range(above=0, most=1)] = 1e-5
    epochs: Annotated[float, Range(above=0)] = 3.0
    steps: Positive | None = None
    batch: Positive = 32
    at_once: Positive = 1
    max_length: Annotated[int, Range(least=8)] = 2048
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup: Annotated[float, Range(least=0, most=0.5)] = 0.03
    weight_decay: Annotated[float, Range(least=0)] = 0.0
    clip: Annotated[float, Range(above=0)] = 1.0
    seed: Count = 0
    bf16: bool = False
    checkpointing: bool = False
    save_every: Positive = 50
    keep: Annotated[int, Range(least=2)] = 2
    log_every: Positive = 1

    def contradiction(self) -> tuple[str, str] | None:
        """Return what cannot be: a batch that `at_once` does not divide."""
        if self.batch % self.at_once:
            return "batch", f"{self.batch} is no multiple of at_once = {self.at_once}; {ACCUMULATION_HELP}"
        return None


CADENCE = ("save_every", "keep", "log_every")
"""Keys of the table that change nothing about the weights that come out."""


def trainer_arguments(table: Optimisation, folder: str) -> dict[str, Any]:
    """Return the arguments for `transformers.TrainingArguments` and TRL's subclasses, checkpoints in `folder`.

    Raises TrainingFault where the batch cannot be cut into equal parts for the processes that there are.
    """
    import torch

    processes = int(os.environ.get("WORLD_SIZE", "1"))
    on_cpu = not torch.cuda.is_available() or os.environ.get("ACCELERATE_USE_CPU", "").lower() in ("1", "true")
    if table.batch % (table.at_once * processes):
        raise TrainingFault(
            f"[training] batch = {table.batch} cannot be shared by {processes} processes with at_once = "
            f"{table.at_once}; {ACCUMULATION_HELP}"
        )
    return {
        "output_dir": folder,
        "learning_rate": table.learning_rate,
        "num_train_epochs": table.epochs,
        "max_steps": -1 if table.steps is None else table.steps,
        "per_device_train_batch_size": table.at_once,
        "per_device_eval_batch_size": table.at_once,
        "gradient_accumulation_steps": table.batch // (table.at_once * processes),
        "lr_scheduler_type": table.schedule,
        "warmup_steps": table.warmup,  # below 1: a share of all steps
        "weight_decay": table.weight_decay,
        "max_grad_norm": table.clip,
        "seed": table.seed,
        "data_seed": table.seed,
        "bf16": table.bf16,
        "activation_checkpointing": table.checkpointing,
        "save_strategy": "steps",
        "save_steps": table.save_every,
        "save_total_limit": table.keep,
        "logging_steps": table.log_every,
        "logging_nan_inf_filter": False,
        "include_num_input_tokens_seen": "non_padding",
        "use_cpu": on_cpu,
        "ddp_backend": "gloo" if processes > 1 and on_cpu else None,
        "ddp_timeout": 6 * 3600,  # seconds that processes wait for the one that measures, or reads a large model
        "ddp_find_unused_parameters": False,
        "dataloader_pin_memory": not on_cpu,
        "report_to": "none",
        "disable_tqdm": True,
    }


def checked_length(wanted: int, model: Any) -> int:
    """Return how many tokens an example may have. Raises TrainingFault for more than the model was made for."""
    most = getattr(model.config, "max_position_embeddings", None)
    if most is not None and wanted > most:
        raise TrainingFault(
            f"[training] max_length = {wanted} is more than the {most} tokens that the model was made for; choose less"
        )
    return wanted
