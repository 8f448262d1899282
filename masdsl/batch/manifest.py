"""`manifest.json`: what a batch was made of, so that somebody else can make it again and see whether it is the same.

Nothing in it depends on when it was written. What can no longer be had of a program is said in its place.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any, Final

from masdsl.batch.base import Batch, System
from masdsl.batch.systems import STD, configured, identity
from masdsl.diagnostics.base import Findings
from masdsl.pipeline import check_file, cost_report
from masdsl.version import __version__

FORMAT: Final = 1
PACKAGES: Final = (
    "datasets",
    "dbos",
    "httpx",
    "jinja2",
    "lark",
    "litellm",
    "matplotlib",
    "psycopg",
    "pyarrow",
    "pydantic",
    "ray",
    "tokenizers",
    "torch",
    "transformers",
    "xllamacpp",
)
"""Whose versions may matter."""
SEEDS: Final = "sha256(f'{seed}/{sample * repetitions + repetition}'), the first 6 bytes: the same for all contenders"
_CHUNK: Final = 1 << 20


def manifest_of(batch: Batch, made: int, outcomes: str, budget: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the manifest of a batch of which `made` runs have an outcome, in the file `outcomes`.

    `budget` is that of the batch as a whole, by measure.
    """
    return {
        "format": FORMAT,
        "batch": batch.id,
        "runs": batch.runs,
        "made": made,
        "outcomes": {"file": os.path.basename(outcomes), "sha256": _hash_of(outcomes)},
        "data": {"samples": batch.samples, "sha256": batch.samples_hash, "repetitions": batch.repetitions},
        "seeds": {"seed": batch.seed, "rule": SEEDS},
        "grader": _grader(batch.grader),
        "limits_of_a_run": batch.to_json()["limits"],
        "budget": None if budget is None else dict(budget),
        "cache": {"used": bool(batch.cache), "sampled_calls": batch.sampled_calls},
        "lineups": [{"name": one.name, "tiers": dict(one.tiers)} for one in batch.lineups],
        "programs": [_program(batch, one) for one in batch.systems],
        "versions": {
            "masdsl": __version__,
            "python": platform.python_version(),
            "platform": platform.platform(),
            "packages": dict(_versions()),
        },
    }


def _program(batch: Batch, system: System) -> dict[str, Any]:
    """Return what a system is: its hashes, its worst case, and per lineup its models with their prices (USD / 10^6)."""
    told: dict[str, Any] = {
        "name": system.name,
        "path": system.path,
        "flow": system.flow,
        "hash": system.program,
        "worst_case": {name: getattr(system, name) for name in ("calls", "tokens", "picodollars")},
    }
    models = {}
    texts: dict[str, str] = {}
    for lineup in batch.lineups:
        findings = Findings()
        checked = check_file(system.path, findings, configured(system.path, lineup.tiers, findings))
        report = cost_report(checked)
        if checked.program is None or report is None:
            return told | {"missing": "the program cannot be read, or has errors by now"}
        if identity(checked.program) != system.program:
            return told | {"missing": "another program stands there by now"}
        texts = {
            module.name or "(itself)": sha256(module.source.text.encode("utf-8", "surrogatepass")).hexdigest()
            for module in checked.program.modules
            if not module.name.startswith(STD)
        }
        models[lineup.name] = [
            {name: agent[name] for name in ("agent", "tier", "model", "input_price", "output_price")}
            for agent in report["agents"]
        ]
    return told | {"texts": texts, "models": models}


def _grader(spec: str) -> dict[str, Any] | None:
    if not spec:
        return None
    if not spec.startswith("judge:"):
        return {"grader": spec}
    path = spec.removeprefix("judge:")
    path = path if os.path.exists(path) else path.rpartition(",")[0]
    findings = Findings()
    program = check_file(path, findings).program
    return {"grader": spec, "hash": None if program is None else identity(program)}


def _versions() -> Iterator[tuple[str, str]]:
    from importlib.metadata import PackageNotFoundError, version

    for name in PACKAGES:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            continue


def _hash_of(path: str) -> str | None:
    digest = sha256()
    try:
        with open(path, "rb") as file:
            while data := file.read(_CHUNK):
                digest.update(data)
    except OSError:
        return None
    return digest.hexdigest()


def budget_in(path: str) -> Mapping[str, Any] | None:
    """Return the budget that an earlier manifest has; None without one."""
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)["budget"]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
