"""What a trainer tells while it trains: a line a step, losses that are none, and measurements in the loop."""

from __future__ import annotations

import math
import os
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import torch
from transformers import TrainerCallback

from training.stage.faults import TrainingFault

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


_UNIT_OF_PEAK: Final = 1 if sys.platform == "darwin" else 1024
"""Bytes, in which the system tells the peak of a process' memory."""


def peak_memory_gb() -> float | None:
    """Return the most memory that this process has had since it began, in GB; None where the system does not tell."""
    try:
        import resource
    except ModuleNotFoundError:  # Windows
        return None
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _UNIT_OF_PEAK / 1e9, 2)


def effort(history: Sequence[Mapping[str, Any]], steps: int) -> dict[str, Any]:
    """Return what a training took by its log: seconds of all threads of this process, for a step too, and its memory.

    The seconds are those of the steps, without loading and measuring rates; the memory is the most that any part
    of the training had, with both.
    """
    cpu = [one["cpu_seconds"] for one in history if "cpu_seconds" in one]
    measuring = sum(one.get("cpu_seconds_of_rates", 0.0) for one in history)
    peaks = [one["peak_memory_gb"] for one in history if one.get("peak_memory_gb") is not None]
    seconds = round(cpu[-1] - measuring, 2) if cpu else 0.0
    each = round(seconds / steps, 2) if steps else 0.0
    return {"cpu_seconds": seconds, "cpu_seconds_a_step": each, "peak_memory_gb": max(peaks, default=None)}


def effort_told(manifest: Mapping[str, Any]) -> str:
    """Return a training's effort in words, for the line that ends it."""
    peak = manifest["peak_memory_gb"]
    memory = "" if peak is None else f", {peak:.1f} GB of memory at most"
    return f"{manifest['cpu_seconds_a_step']:.1f} s of CPU a step{memory}"


class Telling(TrainerCallback):  # type: ignore[misc]  # transformers is not typed
    """Tells every logged step in a line, and counts the seconds of training over all interruptions: by the clock, and
    of the processor; with the memory that it has had at most.

    Raises TrainingFault when the loss is no number any more: every further step would be lost.
    """

    def __init__(self, tell: Tell) -> None:
        self._tell, self._started, self._before = tell, 0.0, 0.0
        self._cpu_started, self._cpu_before = 0.0, 0.0

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Take up the time that earlier parts of the training took."""
        logged = [entry["seconds"] for entry in state.log_history if "seconds" in entry]
        self._started, self._before = time.monotonic(), logged[-1] if logged else 0.0
        cpu = [entry["cpu_seconds"] for entry in state.log_history if "cpu_seconds" in entry]
        self._cpu_started, self._cpu_before = time.process_time(), cpu[-1] if cpu else 0.0

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        """Tell what was logged."""
        logs = logs if logs is not None else {}
        seconds = round(self._before + time.monotonic() - self._started, 2)
        if state.log_history:
            cpu = round(self._cpu_before + time.process_time() - self._cpu_started, 2)
            state.log_history[-1] |= {"seconds": seconds, "cpu_seconds": cpu, "peak_memory_gb": peak_memory_gb()}
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
    """Measures the model every `every` steps and at the end, with `first` also before the first step; figures go into
    the trainer's log as `rates`, and what it took of the processor beside them.
    """

    def __init__(self, measure: Measure, every: int, tell: Tell, *, first: bool = False) -> None:
        self._measure, self._every, self._tell, self._first = measure, every, tell, first

    def on_train_begin(
        self, args: Any, state: Any, control: Any, model: Any = None, processing_class: Any = None, **_: Any
    ) -> None:
        """Measure what training begins with, where that is wanted."""
        if self._first and state.global_step == 0 and state.is_world_process_zero:
            self._measured(state, model, processing_class)

    def on_step_end(
        self, args: Any, state: Any, control: Any, model: Any = None, processing_class: Any = None, **_: Any
    ) -> None:
        """Measure, where this step's turn has come."""
        last = state.global_step >= state.max_steps
        if (not state.global_step % self._every or last) and state.is_world_process_zero:
            self._measured(state, model, processing_class)

    def _measured(self, state: Any, model: Any, processing_class: Any) -> None:
        began = time.process_time()
        training = model.training
        model.eval()
        try:
            with torch.random.fork_rng():  # what is drawn for a measurement moves no dropout
                rates = dict(self._measure(model, processing_class, state.global_step))
        finally:
            model.train(training)
        took = round(time.process_time() - began, 2)
        entry = {"step": state.global_step, "epoch": state.epoch, "rates": rates, "cpu_seconds_of_rates": took}
        state.log_history.append(entry)
        self._tell(f"step {state.global_step}: " + ", ".join(f"{name} {value:.3g}" for name, value in rates.items()))
