"""The grader `code`: a value is Python, and the sample's tests say whether it is right. All of it runs in the sandbox.

A sample has its tests in the column `tests` (or `test`, `test_list`, `answer`): Python, or a list of statements. Tests
that define `check(candidate)`, as HumanEval's do, are called with the function `entry_point`; others are statements of
their own, as MBPP's are. `test_setup_code` or `test_imports` stand before them.
"""

from __future__ import annotations

import ast
import re
import textwrap
import warnings
from typing import Any, Final, NamedTuple

from masdsl.batch.base import Sample
from masdsl.batch.grading import Grader, GraderFault, Kept, Score, arguments_of
from masdsl.batch.likeness import answer_of
from masdsl.runtime.answers import code_in
from masdsl.sandbox import Limits, SandboxRefused, run_python
from masdsl.sandbox.ladder import chosen

_TESTS: Final = ("tests", "test", "test_list")
_SETUP: Final = ("test_setup_code", "test_imports")
_SEEN: Final = 20_000
"""Characters of a prompt that are looked at as Python."""


def code_grader_of(text: str) -> Grader:
    """Return the grader `code` with its arguments. Raises GraderFault where no sandbox works here."""
    given = arguments_of("code", text, {"seconds": "how long the tests of one sample may take"})
    seconds = float(given.get("seconds", Limits().seconds))
    if not 0 < seconds <= 600:
        raise GraderFault(f"`seconds` of the grader `code` is above 0 and at most 600, not {seconds:g}")
    try:
        chosen(None)
    except SandboxRefused as refusal:
        raise GraderFault(f"the grader `code` runs Python that models wrote, in the sandbox alone: {refusal}") from None
    limits = Limits(seconds=seconds, cpu_seconds=max(Limits().cpu_seconds, round(seconds)))
    return _Code("code" + (f":{text}" if text else ""), limits)


class _Code(NamedTuple):
    spec: str
    limits: Limits

    def fault_of(self, sample: Sample) -> str:
        """See Grader."""
        tests = tests_of(sample)
        if not tests.strip():
            return "it has no `tests`"
        named = "check" in tests and "entry_point" not in sample.extra and re.search(r"^def check\(", tests, re.M)
        return "its tests define `check`, and it has no `entry_point`" if named else ""

    async def score(self, value: Any, sample: Sample, *, seed: int = 0, kept: Kept | None = None) -> Score:
        """See Grader."""
        if isinstance(value, dict) and isinstance(value.get("code"), str):
            value = value["code"]
        value = answer_of(value)
        tests = tests_of(sample)
        if not isinstance(value, str) or not tests.strip():
            return Score(0.0, "the value is no text" if tests.strip() else "the sample has no tests")
        entry = sample.extra.get("entry_point")
        entry = entry if isinstance(entry, str) and entry.isidentifier() else None
        code = program_of(code_of(value), prompt_of(sample), entry)
        try:
            result = await run_python(code, entry_point=entry, tests=tests, limits=self.limits)
        except SandboxRefused as refusal:  # it worked when the batch began: this machine is short of something now
            return Score(None, str(refusal))
        if result.ok and result.passed:
            return Score(1.0)
        return Score(0.0, result.error.message if result.error is not None else "its tests assert nothing")


def tests_of(sample: Sample) -> str:
    """Return the tests of a sample as Python; empty where it has none."""
    found = next((sample.extra[name] for name in _TESTS if sample.extra.get(name)), sample.answer)
    setup = [sample.extra[name] for name in _SETUP if sample.extra.get(name)]
    return "\n".join([*map(_python, setup), _python(found)]) + "\n" if _python(found) else ""


def _python(found: Any) -> str:
    if isinstance(found, list):
        return "\n".join(one for one in found if isinstance(one, str))
    return found if isinstance(found, str) else ""


def prompt_of(sample: Sample) -> str:
    """Return the beginning of a program that the sample asks to go on with: its column `prompt` or an input, if it is
    Python with a function; else an empty text.
    """
    texts = [sample.extra.get("prompt"), *sample.inputs.values()]
    return next(
        (one for one in texts if isinstance(one, str) and len(one) < _SEEN and "def " in one and _is_python(one)), ""
    )


def program_of(code: str, prompt: str, entry: str | None) -> str:
    """Return the program of a reply: the reply after the prompt, which may define what the reply only uses.

    A reply that does not define the function goes on where the prompt ends, indented if it has to be.
    """
    if not prompt:
        return code
    if entry is None or re.search(rf"^(?:async\s+)?def\s+{re.escape(entry)}\b", code, re.M):
        return (
            f"{prompt.rstrip()}\n\n\n{code}" if re.match(r"\s*(?:@|def |import |from |class |async )", prompt) else code
        )
    ways = (code, textwrap.indent(code, "    "), f"    {code}")[not code[:1].isspace() :]
    joined = [f"{prompt.rstrip()}\n{way}" for way in ways]
    return next(filter(_is_python, joined), joined[0])


def code_of(reply: str) -> str:
    """Return the code in a reply (`code_in`), with the indentation of its first line, which may go on a prompt."""
    code = code_in(reply)
    before = reply[: max(reply.find(code), 0)].rpartition("\n")[2]
    return before + code if before.isspace() else code


def _is_python(text: str) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of escapes in the text of a model
        try:
            ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return False
    return True
