"""The trained generator that comes with masdsl: a LoRA adapter for SmolLM2-135M, in the folder `generator`.

How it was trained, on what, and how it compares with simpler things: `generator/README.md`.
"""

from __future__ import annotations

import os
from typing import Final

from masdsl.config import EMBEDDED_MODEL
from masdsl.meta.trained import TrainedGenerator
from masdsl.runtime.models.base import ChatModel

FOLDER: Final = os.path.join(os.path.dirname(os.path.abspath(__file__)), "generator")
SHA256: Final = "b7e762564752018d0dacd78f6f83fca805fc2370eff165f94d4f9330d8661269"
"""Of its weights: another file is not used."""
NAME: Final = "smollm2+designer"


def shipped_generator() -> TrainedGenerator:
    """Return it. Raises ModelError (`unavailable`) without the model's weights.

    It is told of no tools: in its training only code came with one, so it takes every query with a tool for code.
    """
    return TrainedGenerator(shipped_model(), tools=False)


def shipped_model() -> ChatModel:
    """Return the embedded model with the adapter on it. Raises ModelError (`unavailable`) without the model's weights.

    An adapter that is damaged is told at the first call.
    """
    from masdsl.runtime.models.registry import embedded

    return embedded(EMBEDDED_MODEL, called=NAME, adapter=FOLDER, sha256=SHA256)
