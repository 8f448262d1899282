"""`python -m training.generator.ship RUN --data DIR --out FOLDER`: an adapter as it is shipped.

Of a run of `python -m training.sft` it takes the adapter, in half precision (llama.cpp computes with no more, and it is
half as large), and the manifest; of the folder of its rows, the data card. `masdsl.json` keeps the SHA-256 of base and
weights, and the one of the weights is printed: `masdsl.meta.shipped` has it as well, so that no other file is used.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
from collections.abc import Sequence
from hashlib import file_digest
from typing import Any

from training.data.pools import write_text
from training.stage.command import ended
from training.stage.faults import TrainingFault

WEIGHTS = "adapter_model.safetensors"
LARGEST = 30_000_000
"""Bytes that may be shipped."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the folder; return an exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m training.generator.ship", description="Take an adapter out of a run, as it is shipped."
    )
    parser.add_argument("run", help="the folder --out of a finished run of `python -m training.sft` with LoRA")
    parser.add_argument("--data", required=True, help="the folder with the rows that it was trained on, and their card")
    parser.add_argument("--out", required=True, help="the folder to write, such as masdsl/meta/generator")
    options = parser.parse_args(arguments)

    def shipped() -> None:
        digest = ship(options.run, options.data, options.out)
        print(f"{options.out}: SHA-256 {digest}; write it into masdsl/meta/shipped.py")

    return ended(shipped, options.out)


def ship(run: str, data: str, out: str) -> str:
    """Write what is shipped of a run, and return the SHA-256 of its weights.

    Raises TrainingFault for a run without an adapter and for one that is too large, OSError.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file, save_file

    model = os.path.join(run, "model")
    if not os.path.isfile(os.path.join(model, WEIGHTS)):
        raise TrainingFault(
            f"{model} has no {WEIGHTS}: name a run of `python -m training.sft` with LoRA that is finished"
        )
    os.makedirs(out, exist_ok=True)
    try:
        tensors = load_file(os.path.join(model, WEIGHTS))
    except SafetensorError as error:
        raise TrainingFault(f"{model}/{WEIGHTS} cannot be read: {error}; train again") from None
    weights = os.path.join(out, WEIGHTS)
    save_file({name: one.half().contiguous() for name, one in sorted(tensors.items())}, weights + ".new")
    if os.path.getsize(weights + ".new") > LARGEST:
        os.remove(weights + ".new")
        raise TrainingFault(f"the adapter has more than {LARGEST // 10**6} MB in half precision; take a smaller rank")
    os.replace(weights + ".new", weights)
    with open(weights, "rb") as file:
        digest = file_digest(file, "sha256").hexdigest()
    with open(os.path.join(model, "adapter_config.json"), encoding="utf-8") as file:
        config = {**json.load(file), "base_model_name_or_path": "smollm2"}
    with open(os.path.join(model, "masdsl.json"), encoding="utf-8") as file:
        facts = {**json.load(file), "sha256": digest}
    for name, value in (("adapter_config.json", config), ("masdsl.json", facts)):
        write_text(os.path.join(out, name), json.dumps(value, indent=2, sort_keys=True) + "\n")
    with open(os.path.join(run, "manifest.json"), encoding="utf-8") as file:
        manifest = json.load(file)
    for place in manifest["data_sha256"]:  # where files were on one machine says nothing to others
        manifest = _without_folder(manifest, place)
    write_text(os.path.join(out, "manifest.json"), json.dumps(manifest, indent=2) + "\n")
    for name in ("card.json", "card.md"):
        shutil.copyfile(os.path.join(data, name), os.path.join(out, name))
    return digest


def _without_folder(value: Any, place: str) -> Any:
    if isinstance(value, dict):
        return {
            os.path.basename(key) if key == place else key: _without_folder(one, place) for key, one in value.items()
        }
    if isinstance(value, list):
        return [_without_folder(one, place) for one in value]
    return os.path.basename(value) if value == place else value


if __name__ == "__main__":
    raise SystemExit(main())
