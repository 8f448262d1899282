"""The tokenizers that are on this machine, and the texts that the rule of `masdsl.sizes` is measured with."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from importlib import util
from pathlib import Path
from typing import Final

from masdsl.runtime.models.store import where
from masdsl.tokenizers import counter_from_gguf, counter_from_json

TEXTS: Final = Path(__file__).resolve().parent.parent / "data" / "texts"
MORE: Final = "MASDSL_TOKENIZERS"
"""A variable with a folder of further tokenizers, `<name>.json` in the form of Hugging Face: to tune the weights by."""

Count = Callable[[str], int]


@cache
def tokenizers() -> dict[str, Count]:
    """Return the tokenizers by name: those that litellm brings, the local model's, and those in the folder `MORE`."""
    found: dict[str, Count] = {}
    bundled = litellm_folder()
    for name in ("cl100k_base", "o200k_base", "p50k_base"):
        found[name] = _openai(name, bundled)
    found["claude"] = counter_from_json(bundled / "anthropic_tokenizer.json").count
    weights = where("smollm2")
    counter = counter_from_gguf(weights) if weights else None
    if counter is not None:
        found["smollm2"] = counter.count
    more = os.environ.get(MORE)
    for path in sorted(Path(more).glob("*.json")) if more else ():
        found[path.stem] = counter_from_json(path).count
    return found


def litellm_folder() -> Path:
    """Return the folder with the tokenizers that litellm brings, without importing litellm."""
    spec = util.find_spec("litellm")
    assert spec is not None and spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]) / "litellm_core_utils" / "tokenizers"


def _openai(name: str, folder: Path) -> Count:
    before = os.environ.get("TIKTOKEN_CACHE_DIR")
    os.environ["TIKTOKEN_CACHE_DIR"] = str(folder)  # else tiktoken fetches the vocabulary
    try:
        import tiktoken

        encoding = tiktoken.get_encoding(name)
    finally:
        if before is None:
            del os.environ["TIKTOKEN_CACHE_DIR"]
        else:
            os.environ["TIKTOKEN_CACHE_DIR"] = before
    return lambda text: len(encoding.encode_ordinary(text))


def texts() -> dict[str, str]:
    """Return the texts of `tests/data/texts` by name: written for this project, one for each language and kind."""
    return {path.stem: path.read_text(encoding="utf-8") for path in sorted(TEXTS.glob("*.txt"))}
