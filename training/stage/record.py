"""What a training run was made of, beside its output: `run.json` from the beginning, `manifest.json` at the end.

`run.json` names the run by a key over its settings, data and base: the same command goes on with it, another one is
refused before it touches the checkpoints of the first.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Mapping
from importlib import metadata
from typing import Any, Final

from training.data.pools import write_text
from training.stage.faults import TrainingFault

RUN: Final = "run.json"
MANIFEST: Final = "manifest.json"
_PACKAGES: Final = ("masdsl", "torch", "transformers", "trl", "peft", "accelerate", "datasets", "tokenizers")


def key_of(facts: Mapping[str, Any]) -> str:
    """Return the SHA-256 of facts that decide what comes out of a run."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def claim(out: str, facts: Mapping[str, Any]) -> None:
    """Take a folder for the run of these facts. Raises TrainingFault where it has another run, OSError."""
    path = os.path.join(out, RUN)
    known = _read(path)
    if known is None:
        write_text(path, json.dumps({"key": key_of(facts), **facts}, indent=2) + "\n")
        return
    if known.get("key") == key_of(facts):
        return
    changed = sorted(name for name in {*facts, *known} - {"key"} if known.get(name) != facts.get(name))
    raise TrainingFault(
        f"{out} has another run: {', '.join(changed) or 'its key'} differ (see {RUN} there); take another folder for "
        "--out, or remove that one"
    )


def finished(out: str, facts: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the manifest of these facts' run where it is finished. Raises TrainingFault for one that is unreadable."""
    known = _read(os.path.join(out, MANIFEST))
    return known if known is not None and known.get("key") == key_of(facts) else None


def write_manifest(out: str, facts: Mapping[str, Any], results: Mapping[str, Any]) -> dict[str, Any]:
    """Write what was made and of what, with the versions of what made it. Raises OSError."""
    manifest = {"key": key_of(facts), **facts, **results, "versions": versions()}
    write_text(os.path.join(out, MANIFEST), json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")
    return manifest


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that take part."""
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def digest_of(path: str) -> str:
    """Return the SHA-256 of a file. Raises TrainingFault."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise TrainingFault(f"{path} cannot be read: {error.strerror or error}; check the path") from None


def _read(path: str) -> dict[str, Any] | None:
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise TrainingFault(f"{path} cannot be read ({error}); remove it, or take another folder for --out") from None
    if not isinstance(found, dict):
        raise TrainingFault(f"{path} is no record of a run; remove it, or take another folder for --out")
    return found
