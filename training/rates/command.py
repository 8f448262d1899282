"""`python -m training.rates CONFIG --out DIR`: what generators emit for queries; the same again goes on.

measured.jsonl  what became of each query under each generator     rates.json, rates.md  the rates
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from masdsl import __version__
from masdsl.batch.graders import grader_of
from masdsl.batch.rows import DataFault
from masdsl.batch.systems import config_of
from masdsl.meta.emission import Terms
from masdsl.meta.host import Host
from masdsl.meta.roles import ModelGenerator, PoolGenerator
from masdsl.meta.shipped import SHA256, shipped_generator
from masdsl.meta.trained import TrainedGenerator
from masdsl.runtime.models.base import ChatModel, ModelError
from masdsl.runtime.models.registry import Models
from training.data.pools import write_text
from training.rates.asking import Asked, read_asked
from training.rates.measuring import Constant, Generates, Measured, measure
from training.rates.rates import Rates, against, failures, rates_of, rates_text, table
from training.rates.settings import GeneratorSettings, Settings
from training.stage.command import configured, ended
from training.stage.settings import read_settings

CANDIDATES = 24
"""Systems of the pool that are looked through for the nearest that fits, as in a session."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure; return an exit code: 0 where all queries were measured."""
    about = "Measure how often what generators write parses, checks, fits, runs and answers rightly."
    folder = "the folder; models are those of the mas.toml at or above it"
    options = configured("rates", about, folder).parse_args(arguments)
    return ended(
        lambda: print(table(measured(read_settings(options.config, Settings), options.out)), end=""), options.out
    )


def measured(settings: Settings, out: str) -> tuple[Rates, ...]:
    """Measure all generators of a configuration in a folder; what is there already is not measured again.

    Raises what `main` tells.
    """
    if not settings.generators:
        raise DataFault("there is no generator; give the configuration a table [generators.NAME]")
    queries = settings.queries
    asked = read_asked(
        queries.paths, limit=queries.limit, calls=queries.calls, grader=queries.grader, signature=queries.signature
    )
    for grader in {one.grader for one in asked}:
        grader_of(grader)
    os.makedirs(out, exist_ok=True)
    host = Host(config_of(os.path.join(os.path.abspath(out), "program.mas")))
    models = Models(host.config, host.config.folder())
    generators = {name: _generator(one, models) for name, one in settings.generators.items()}
    kept = _Kept(os.path.join(out, "measured.jsonl"))
    rates: list[Rates] = []
    first: list[Measured] = []
    for name, generator in generators.items():
        found = asyncio.run(_all(name, generator, settings, asked, host, kept))
        first = first or found
        own = rates_of(name, found, run=settings.run.programs)
        rates.append(against(own, found, first) if first is not found else own)
        print(f"{name}:\n{failures(found)}", end="", file=sys.stderr)
    write_text(os.path.join(out, "rates.json"), rates_text(rates))
    write_text(os.path.join(out, "rates.md"), table(rates))
    return tuple(rates)


def _generator(one: GeneratorSettings, models: Models) -> Generates:
    if one.kind == "nearest":
        return PoolGenerator()
    if one.kind == "self-consistency":
        return Constant()
    if one.kind == "shipped":
        return shipped_generator()
    model = _model(one.model, models)
    return TrainedGenerator(model) if one.kind == "trained" else ModelGenerator(model, getattr(model, "context", None))


def _model(name: str, models: Models) -> ChatModel:
    try:
        return models(name, tier=False)
    except ModelError as fault:
        try:
            return models(name, tier=True)
        except ModelError:
            raise fault from None


async def _all(
    name: str, generator: Generates, settings: Settings, asked: Sequence[Asked], host: Host, kept: _Kept
) -> list[Measured]:
    own, run = settings.generators[name], settings.run
    terms = Terms(
        tries=1,
        seed=run.seed,
        temperature=run.temperature,
        timeout=run.timeout,
        reply_tokens=run.reply_tokens,
        constrained=own.decoder,
    )
    examples = CANDIDATES if own.kind == "nearest" else own.examples if own.kind == "guided" else 0
    found = []
    for number, one in enumerate(asked, 1):
        key = _key(name, own, run, one, host)
        if key not in kept.found:
            done = await measure(generator, one, host, terms, run=run.programs, examples=examples)
            kept.add(key, name, done)
            print(f"{name} {number}/{len(asked)} {_told(done)}", file=sys.stderr)
        found.append(kept.found[key])
    return found


def _told(done: Measured) -> str:
    return (f"ran, score {done.score:g}" if done.gold else "ran") if done.ran else done.why or "fits"


def _key(*parts: Any) -> str:
    """Return what makes it the same measurement: generator, settings, query, models and tools."""
    name, own, run, one, host = parts
    config = host.config
    said = [__version__, name, own, run, one.to_json(), dict(config.tiers), config.models.get(own.model), config.tools]
    if own.kind == "shipped":
        said.append(SHA256)
    return sha256(json.dumps(said, sort_keys=True, default=repr).encode()).hexdigest()


class _Kept:
    """The file of what was measured; each line is there before the next query is asked."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.found: dict[str, Measured] = {}
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                for line in file:
                    try:
                        row = json.loads(line)
                        self.found[row["key"]] = Measured(**row["measured"])
                    except (ValueError, TypeError, KeyError):
                        continue  # a line that was cut off when a process ended: that query is measured again

    def add(self, key: str, name: str, one: Measured) -> None:
        """Keep a measurement. Raises OSError."""
        self.found[key] = one
        with open(self._path, "a", encoding="utf-8") as file:
            # The line feed in front ends a line that was cut off when a process ended.
            file.write("\n" + json.dumps({"key": key, "generator": name, "measured": one.to_json()}) + "\n")
