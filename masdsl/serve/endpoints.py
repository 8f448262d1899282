"""Flows as operations: what each takes, gives, and may cost at worst."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from masdsl.loaded import LoadedProgram
from masdsl.money import PICODOLLARS
from masdsl.pipeline import Checked, cost_report
from masdsl.runtime import Limits
from masdsl.runtime.shapes import plain
from masdsl.serve.inputs import Parameter
from masdsl.serve.schemas import Schemas
from masdsl.types import Type

RESERVED: Final = ("runs",)
"""Names that paths under `/v1` have already."""
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


class BadProgram(ValueError):
    """A program cannot be served; the text says why, and what to do."""


class Bound(NamedTuple):
    """The proved worst case of a run: model calls, tokens (of prompts, of replies, together), picodollars, seconds."""

    calls: int
    input_tokens: int
    output_tokens: int
    tokens: int
    picodollars: int
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON data, money in USD."""
        shown = {**self._asdict(), "usd": self.picodollars / PICODOLLARS}
        del shown["picodollars"]
        return shown

    def limits(self) -> Limits:
        """Return it as limits that a run cannot go beyond."""
        return Limits(calls=self.calls, tokens=self.tokens, usd=self.picodollars / PICODOLLARS)

    def __str__(self) -> str:
        calls = "1 call" if self.calls == 1 else f"{self.calls:,} calls"
        return f"{calls}, {self.tokens:,} tokens, {self.picodollars / PICODOLLARS:.6g} USD, {self.seconds:g} s"


class Endpoint(NamedTuple):
    """A flow that is served: `key` is its name in the compiled program, `doc` its doc comment."""

    program: str
    flow: str
    key: str
    loaded: LoadedProgram
    parameters: tuple[Parameter, ...]
    returns: Type
    bound: Bound
    doc: str
    inputs_schema: Mapping[str, Any]
    value_schema: Mapping[str, Any]

    @property
    def path(self) -> str:
        """Where it is served."""
        return f"/v1/{self.program}/{self.flow}"

    @property
    def name(self) -> str:
        """What keys call it: `program/flow`."""
        return f"{self.program}/{self.flow}"


class Served(NamedTuple):
    """All that is served: the operations by `program/flow`, and the schemas that they refer to."""

    endpoints: Mapping[str, Endpoint]
    components: Mapping[str, Any]


def name_of(path: str) -> str:
    """Return under which name the program of a file is served. Raises BadProgram."""
    name = os.path.basename(path).removesuffix(".mas")
    if not _NAME.fullmatch(name) or name in RESERVED:
        why = "that name is taken" if name in RESERVED else "a name has letters, digits, `_`, `-` and `.`"
        raise BadProgram(f"{path} cannot be served as `{name}`: {why}; rename the file")
    return name


def served(programs: Sequence[tuple[str, LoadedProgram]]) -> Served:
    """Return the flows of programs, given by name, as operations. Raises BadProgram."""
    endpoints: dict[str, Endpoint] = {}
    components: dict[str, Any] = {}
    names: set[str] = set()
    for name, loaded in programs:
        if name in names:
            raise BadProgram(f"two programs are called `{name}`; rename one of the files")
        names.add(name)
        schemas = Schemas(name, loaded.checked)
        own = [_endpoint(name, flow, loaded, schemas) for flow in loaded.flows]
        if not own:
            raise BadProgram(f"the program `{name}` has no flow that can be called: add one, or leave it out")
        endpoints.update((one.name, one) for one in own)
        components.update(schemas.components)
    return Served(endpoints, components)


def _endpoint(program: str, name: str, loaded: LoadedProgram, schemas: Schemas) -> Endpoint:
    keys = list(loaded.compiled.flows)
    at, flow = next(
        (at, one)
        for at, one in enumerate(loaded.checked.flows)
        if one.name == name and not one.module and not one.statics
    )
    signature = loaded.flows[name].__signature__
    defaults = [one.default for one in signature.parameters.values()]
    parameters = tuple(
        Parameter(one.name, one.type, not one.optional, plain(default) if one.optional else None)
        for one, default in zip(flow.params, defaults, strict=True)
    )
    return Endpoint(
        program=program,
        flow=name,
        key=keys[at],
        loaded=loaded,
        parameters=parameters,
        returns=flow.returns,
        bound=_bound(loaded, flow.key),
        doc=flow.doc,
        inputs_schema=schemas.inputs(parameters),
        value_schema=schemas.of(flow.returns),
    )


def _bound(loaded: LoadedProgram, key: str) -> Bound:
    """Return the worst case of a flow, within the budgets that hold for it."""
    report = cost_report(Checked(None, loaded.checked, loaded.config))
    assert report is not None, "a loaded program has no errors"
    flow = next(one for one in report["flows"] if one["flow"] == key)
    most, budget = flow["most"], flow["budget"]
    tokens = min(most["tokens"], budget.get("tokens", most["tokens"]))
    picodollars = most["picodollars"]
    if "usd" in budget:
        picodollars = min(picodollars, round(budget["usd"] * PICODOLLARS))
    return Bound(
        calls=min(most["calls"], budget.get("calls", most["calls"])),
        input_tokens=min(most["input_tokens"], tokens),
        output_tokens=min(most["output_tokens"], tokens),
        tokens=tokens,
        picodollars=picodollars,
        seconds=min(most["seconds"], budget.get("seconds", most["seconds"])),
    )
