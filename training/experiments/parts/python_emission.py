"""A model that writes Python in place of the language: its training rows, and what becomes of what it writes.

The Python is masdsl's own: what `masdsl build` makes of the same program, without the marks that say which line it
comes from. So both arms say the same system, with the same prompts, and run on the same runtime.

Nothing that a model wrote is executed before `masdsl.runtime.loader` has verified it: it is compared with what
generated code can be, and sees no built-ins. What compiles and is not verified counts as not loading.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import masdsl
from masdsl.batch.base import Sample
from masdsl.batch.graders import grader_of
from masdsl.meta.host import Host
from masdsl.meta.trained import messages_of
from masdsl.runtime import RunFailed
from masdsl.runtime.failures import InputError, StepFailed
from masdsl.runtime.granted import HostTools
from masdsl.runtime.loader import load_module
from masdsl.runtime.models.base import ChatModel, ModelError, Request
from masdsl.runtime.models.registry import Models
from masdsl.runtime.shapes import plain
from masdsl.verify import VerificationError
from training.data.export import Example
from training.rates.asking import Asked
from training.rates.measuring import Measured

REPLY_TOKENS: Final = 1_200
_MARK: Final = re.compile(r"  # (?:mas|std\.[\w.]+):[0-9]+", re.MULTILINE)
_BLOCK: Final = re.compile(r"```python\n(.*?)(?:```|\Z)", re.DOTALL)


def python_of(program: str, host: Host) -> str:
    """Return a program as Python. Raises masdsl.ProgramError."""
    return _MARK.sub("", masdsl.build(masdsl.Source("system.mas", program), config=host.config))


def python_row(example: Example, host: Host) -> dict[str, Any]:
    """Return an example as a row whose completion is Python; the prompt is the same."""
    row = example.row("compact")
    said = f"{example.reasoning.strip()}\n\n```python\n{python_of(example.program, host)}```".lstrip()
    return {**row, "completion": [{"role": "assistant", "content": said}]}


async def measure_python(model: ChatModel, asked: Asked, host: Host) -> Measured:
    """Let a model write Python for a query, and follow it: it compiles, it is verified and loads, it runs, its answer.

    The stages are `parses`, then `checks` and `fits` (both: it loads and takes a query), then `ran` and `score`.
    """
    messages = messages_of(asked.query, asked.signature, asked.tools, asked.calls)
    done = Measured(asked.id, asked.family, gold=asked.answer is not None)
    try:
        reply = await model.complete(Request(messages, max_tokens=REPLY_TOKENS, temperature=0.0, timeout=600))
    except ModelError as fault:
        return done._replace(why=str(fault))
    done = done._replace(tokens_out=reply.output_tokens or 0)
    blocks = _BLOCK.findall(reply.text)
    if not blocks:
        return done._replace(why="there is no block of Python in it")
    text = blocks[-1]
    done = done._replace(written=True, program=text)
    try:
        compile(text, "system.py", "exec")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return done._replace(why=f"it does not compile: {error}")
    done = done._replace(parses=True)
    try:
        program = load_module(text).PROGRAM
        main = program.flows["main"]
    except (VerificationError, AttributeError, KeyError) as error:
        return done._replace(why=f"it does not load: {error}")
    inputs = [name for name in main.__annotations__ if name not in ("run", "return")]
    done = done._replace(checks=True, why="" if inputs == ["query"] else "it does not take a query")
    if done.why:
        return done
    return await _ran(done._replace(fits=True), program, asked, host)


async def _ran(done: Measured, program: Any, asked: Asked, host: Host) -> Measured:
    tools = HostTools(host.config)
    why = ""
    try:
        granted = tools.of(program.tools.values())
        result = await program.run(
            "main", {"query": asked.query}, models=Models(host.config, host.config.folder()), tools=granted
        )
    except RunFailed as failure:
        result, why = failure.result, f"{failure.step}: {failure.reason}"
    except (InputError, StepFailed) as fault:
        return done._replace(why=str(fault))
    finally:
        await tools.close()
    done = done._replace(ran=not why, why=why, calls=result.calls, run_tokens=result.tokens)
    grader = grader_of(asked.grader)
    if why or grader is None:
        return done
    sample = Sample(0, {"query": asked.query}, asked.answer, asked.extra)
    said = await grader.score(plain(result.value), sample)
    return done._replace(score=said.score or 0.0)


async def measure_all(model: ChatModel, asked: Sequence[Asked], host: Host) -> tuple[Measured, ...]:
    """Return what became of all queries."""
    return tuple([await measure_python(model, one, host) for one in asked])
