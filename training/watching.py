"""What a trainer tells while it trains: a line a step, losses that are none, and measurements in the loop."""

from __future__ import annotations

import math
import os
import time
import warnings
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import torch
from transformers import TrainerCallback

from training.settings import TrainingFault

Tell: TypeAlias = Callable[[str], None]
Measure: TypeAlias = Callable[[Any, Any, int], Mapping[str, float]]
"""Measures a model in training: (model, tokenizer, step) to figures by name."""


def quiet() -> None:
    """Switch off the progress bars of the libraries, and their notes to each other about names that will change."""
    import datasets
    import transformers

    os.environ.setdefault("TQDM_DISABLE", "1")  # TRL's own bars
    datasets.disable_progress_bars()
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    warnings.filterwarnings("ignore", category=FutureWarning, module="(transformers|peft|trl|torch)\\.")


class Telling(TrainerCallback):  # type: ignore[misc]  # transformers is not typed
    """Tells every logged step in a line, and counts the seconds of training over all interruptions.

    Raises TrainingFault when the loss is no number any more: every further step would be lost.
    """

    def __init__(self, tell: Tell) -> None:
        self._tell, self._started, self._before = tell, 0.0, 0.0

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Take up the time that earlier parts of the training took."""
        logged = [entry["seconds"] for entry in state.log_history if "seconds" in entry]
        self._started, self._before = time.monotonic(), logged[-1] if logged else 0.0

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        """Tell what was logged."""
        logs = logs if logs is not None else {}
        seconds = round(self._before + time.monotonic() - self._started, 2)
        if state.log_history:
            state.log_history[-1]["seconds"] = seconds
        for name in ("loss", "grad_norm"):
            value = logs.get(name)
            if value is not None and not math.isfinite(float(value)):
                raise TrainingFault(
                    f"step {state.global_step}: {name} is {value}: the training has come apart; begin again in another "
                    "folder with a smaller learning_rate, more warmup, or bf16 = false"
                )
        if "loss" in logs and state.is_world_process_zero:
            self._tell(f"step {state.global_step}/{state.max_steps}  loss {float(logs['loss']):.4f}  {seconds:.0f} s")


class Measuring(TrainerCallback):  # type: ignore[misc]  # transformers is not typed
    """Measures the model every `every` steps and at the end; figures go into the trainer's log as `rates`."""

    def __init__(self, measure: Measure, every: int, tell: Tell) -> None:
        self._measure, self._every, self._tell = measure, every, tell

    def on_step_end(
        self, args: Any, state: Any, control: Any, model: Any = None, processing_class: Any = None, **_: Any
    ) -> None:
        """Measure, where this step's turn has come."""
        last = state.global_step >= state.max_steps
        if (state.global_step % self._every and not last) or not state.is_world_process_zero:
            return
        training = model.training
        model.eval()
        try:
            with torch.random.fork_rng():  # what is drawn for a measurement moves no dropout
                rates = dict(self._measure(model, processing_class, state.global_step))
        finally:
            model.train(training)
        state.log_history.append({"step": state.global_step, "epoch": state.epoch, "rates": rates})
        self._tell(f"step {state.global_step}: " + ", ".join(f"{name} {value:.3g}" for name, value in rates.items()))
