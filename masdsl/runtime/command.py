"""The command line of a compiled program: `python program_mas.py [flow] name=value ...`.

Exit codes: 0 fine, 2 wrong usage, 3 the budget refused a call that was needed, 4 the run failed.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from masdsl.diagnostics.escape import escape
from masdsl.runtime.events import Event
from masdsl.runtime.failures import BudgetExceeded, InputError, RunFailed
from masdsl.runtime.replies import Fault, parse_reply
from masdsl.runtime.run import FlowShape, flow_shape
from masdsl.runtime.shapes import OptionalShape, Shape, TextShape

if TYPE_CHECKING:
    from masdsl.runtime.program import Program


def main(program: Program, arguments: Sequence[str] | None = None) -> int:
    """Run what the arguments say, print the value as JSON, and return the exit code."""
    parser = argparse.ArgumentParser(description=f"Run {program.name}.")
    parser.add_argument("words", nargs="*", metavar="[flow] name=value", help=_usage(program))
    parser.add_argument("--events", action="store_true", help="print every event as a line of JSON on standard error")
    options = parser.parse_args(arguments)
    words: list[str] = options.words
    flow = words.pop(0) if words and "=" not in words[0] else _entry(program)
    try:
        if flow not in program.flows:
            raise InputError(f"{program.name} has no flow `{flow}`; it has {', '.join(program.flows) or 'none'}")
        inputs = dict(_input(word, flow_shape(program.flows[flow])) for word in words)
        result = program.run_sync(flow, inputs, on_event=_print_event if options.events else None)
    except InputError as error:
        parser.error(escape(str(error)))
    except RunFailed as failure:
        sys.stderr.write(f"{parser.prog}: {escape(str(failure))}\n")
        return 3 if isinstance(failure, BudgetExceeded) else 4
    except KeyboardInterrupt:
        sys.stderr.write(f"{parser.prog}: interrupted\n")
        return 130
    sys.stdout.write(json.dumps(result.to_json(), ensure_ascii=False, indent=2) + "\n")
    return 0


def _entry(program: Program) -> str:
    return "main" if "main" in program.flows or not program.flows else list(program.flows)[-1]


def _usage(program: Program) -> str:
    flows = []
    for name, function in program.flows.items():
        shape = flow_shape(function)
        flows.append(" ".join([name, *(f"{inner}=.." for inner in shape.inputs)]))
    return "; ".join(flows)


def _input(word: str, shape: FlowShape) -> tuple[str, Any]:
    """Return the name and value of `name=value`; what is no text is read as a model's reply would be."""
    name, equals, text = word.partition("=")
    if not equals:
        raise InputError(f"`{word}` is no input: write name=value")
    parameter = shape.parameter_of(name)
    kind: Shape = TextShape(0) if parameter is None else shape.inputs[parameter]
    if isinstance(kind, TextShape) or (isinstance(kind, OptionalShape) and isinstance(kind.inner, TextShape)):
        return name, text
    parsed = parse_reply(text, kind)
    if isinstance(parsed, Fault):
        raise InputError(f"the input `{name}` does not fit: {parsed.text}")
    return name, parsed.value


def _print_event(event: Event) -> None:
    sys.stderr.write(json.dumps(event.to_json()) + "\n")
