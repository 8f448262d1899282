"""The grader `judge`: a flow of a program looks at a question, an answer and the reference, and says how good it is."""

from __future__ import annotations

import asyncio
import json
import math
import os
import time
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

from masdsl.batch.base import Sample
from masdsl.batch.grading import Grader, GraderFault, Kept, Score, arguments_of, path_in
from masdsl.diagnostics.base import Findings
from masdsl.types import Bool, Float, Int, Optional, Record, Text, Type

if TYPE_CHECKING:
    from masdsl.check.program import Flow
    from masdsl.config import Config
    from masdsl.loaded import LoadedProgram
    from masdsl.runtime.program import Models
    from masdsl.runtime.result import Result

SIGNATURE: Final = "flow main(question, answer, reference) -> (score: float, why: text(60))"
PATIENCE: Final = 30.0
"""Seconds to wait for a judge's run whose former owner has not been found dead yet."""
_PAUSE: Final = 0.1
_GIVEN: Final = ("question", "answer", "reference")


def judge_of(text: str, folder: str, config: Config | None, models: Models | None) -> Grader:
    """Return the judge `PATH` or `PATH,out_of=10`. Raises GraderFault for a program that cannot be one."""
    path, comma, rest = text.rpartition(",")
    if not comma or "=" not in rest:
        path, rest = text, ""
    given = arguments_of("judge", rest, {"out_of": "its highest score"})
    highest = given.get("out_of", Fraction(1))
    if not path.strip() or not highest:
        raise GraderFault("the grader `judge` needs a program, as in judge:judge.mas, and out_of above 0")
    place = path_in(folder, path.strip())
    loaded = _loaded(place, config, models)
    flow = next(
        (one for one in loaded.checked.flows if one.name == "main" and not one.module and not one.statics), None
    )
    if flow is None:
        raise GraderFault(f"the judge {place} has no flow `main`; give it one: {SIGNATURE}")
    names = tuple(one.name for one in flow.params if not one.optional and one.default is None)
    taken = tuple(one.name for one in flow.params)
    if not set(names) <= set(_GIVEN) or "answer" not in taken or not _texts(flow):
        raise GraderFault(f"`main` of the judge {place} takes texts named {', '.join(_GIVEN)}; write {SIGNATURE}")
    if not _is_score(flow.returns):
        raise GraderFault(
            f"`main` of the judge {place} gives no score: a number, a truth value, or a record with one in a field "
            f"`score`; write {SIGNATURE}"
        )
    spec = f"judge:{place}" + (f",{rest}" if rest else "")
    return _Judge(spec, loaded, flow, tuple(name for name in _GIVEN if name in taken), float(highest))


def _loaded(path: str, config: Config | None, models: Models | None) -> LoadedProgram:
    from masdsl.diagnostics.render import render_short
    from masdsl.loaded import LoadedProgram
    from masdsl.pipeline import check_file

    findings = Findings()
    checked = check_file(path, findings, config, priced=models is None)
    if checked.program is None or not findings.ok:
        told = render_short(findings.sorted()).strip()
        raise GraderFault(f"the judge {path} cannot be used: {told}; `mas check {os.path.basename(path)}` says more")
    return LoadedProgram(checked.program, checked.config, models, None)


def _texts(flow: Flow) -> bool:
    return all(isinstance(one.type, Text) for one in flow.params if one.name in _GIVEN)


def _is_score(kind: Type) -> bool:
    if isinstance(kind, Optional):
        kind = kind.inner
    if isinstance(kind, Record):
        field = kind.field("score")
        return field is not None and not isinstance(field, Record) and _is_score(field)
    return isinstance(kind, Bool | Int | Float)


class _Judge:
    """A loaded program whose `main` gives scores from 0 to `highest`."""

    def __init__(self, spec: str, loaded: LoadedProgram, flow: Flow, names: tuple[str, ...], highest: float) -> None:
        self.spec = spec
        self._loaded = loaded
        self._flow = list(loaded.compiled.flows)[[one.key for one in loaded.checked.flows].index(flow.key)]
        self._names = names
        self._highest = highest

    def fault_of(self, sample: Sample) -> str:
        """See Grader."""
        return "it has no answer" if sample.answer is None and "reference" in self._names else ""

    async def score(self, value: Any, sample: Sample, *, seed: int = 0, kept: Kept | None = None) -> Score:
        """See Grader. A judge that fails, or gives no score or one beyond its range, leaves the value ungraded."""
        from masdsl.runtime.failures import InputError, RunFailed, StepFailed

        said = {"question": _question(sample), "answer": _text(value), "reference": _text(sample.answer)}
        inputs = {name: said[name] for name in self._names}
        try:
            result = await self._run(inputs, seed, kept)
        except RunFailed as failure:
            return _with_cost(None, f"the judge failed at {failure.step}: {failure.reason}", failure.result)
        except (InputError, StepFailed) as fault:
            return Score(None, f"the judge cannot be run: {fault}")
        return self._read(result)

    async def _run(self, inputs: dict[str, Any], seed: int, kept: Kept | None) -> Result:
        from masdsl.journal import JournalBusy, RunExists

        start, flow = self._loaded.start, self._flow
        if kept is None:
            return await start(flow, inputs, seed=seed)
        journal, key = kept
        try:
            return await start(flow, inputs, seed=seed, journal=journal, run_id=key)
        except RunExists:
            pass
        until = time.monotonic() + PATIENCE
        while True:
            try:
                return await start(flow, {}, journal=journal, resume=key, count_doubts=False)
            except JournalBusy:  # who had it has died, or is about to be found dead
                if time.monotonic() > until:
                    raise
                await asyncio.sleep(_PAUSE)

    def _read(self, result: Result) -> Score:
        from masdsl.runtime.shapes import plain

        said = plain(result.value)
        if isinstance(said, dict):
            said = said.get("score")
        if isinstance(said, bool):
            return _with_cost(float(said), "", result)
        if not isinstance(said, int | float) or not math.isfinite(said):
            return _with_cost(None, "the judge gave no score", result)
        if not 0 <= said <= self._highest:
            return _with_cost(None, f"the judge gave {said:g}, and its scores are from 0 to {self._highest:g}", result)
        return _with_cost(said / self._highest, "", result)


def _with_cost(score: float | None, why: str, result: Result) -> Score:
    return Score(score, why, result.calls, result.tokens, result.picodollars)


def _question(sample: Sample) -> str:
    for name in ("question", "query"):
        if isinstance(sample.inputs.get(name), str):
            return str(sample.inputs[name])
    if len(sample.inputs) == 1:
        return _text(next(iter(sample.inputs.values())))
    return _text(dict(sample.inputs))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
