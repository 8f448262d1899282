"""Programs as templates: without models and tests, under the signature of a task; with models again, to be run."""

from __future__ import annotations

from typing import Final

from masdsl.check.program import Flow, Param
from masdsl.diagnostics.base import Findings
from masdsl.meta.host import NAME, Host, main_of
from masdsl.meta.task import Task
from masdsl.patch.binding import bind, template_of
from masdsl.patch.rename import Names, local_names, renamed
from masdsl.sizes import text_tokens
from masdsl.source import Source
from masdsl.syntax import ast
from masdsl.syntax.compact import print_compact
from masdsl.syntax.parse import parse_program
from masdsl.syntax.print import print_document
from masdsl.types import Bool, Enum, Float, Int, List, Optional, Record, Text, Type

SIGNATURE_SIZED: Final = "flow main(query: text({size})) -> text"
"""The usual signature, for a query that is longer than a text without a size may be."""
INNER: Final = ("designed", "inner_system", "wrapped_system")
"""What the flow of a system is called that a task's own flow calls; the first that is free."""
ANSWERS: Final = ("answer", "final_answer", "final", "result", "solution", "code", "revised", "value")
"""Fields of a record that are its answer, the likeliest first."""


def parsed(text: str) -> ast.Program | None:
    """Return the tree of a program; None for a text that is none."""
    result = parse_program(Source(NAME, text), Findings())
    return result.document if result.ok and isinstance(result.document, ast.Program) else None


def bare(program: ast.Program) -> ast.Program:
    """Return M_temp = <R, P, T> of a program: no models, no tests, no limits of its own."""
    dropped = (ast.Test, ast.Budget, ast.Rectify)
    items = tuple(item for item in program.items if not isinstance(item, dropped))
    return template_of(program.replace(items=items))


def template(text: str) -> str | None:
    """Return a program as a template in its canonical layout; None for a text that is no program."""
    program = parsed(text)
    return None if program is None else print_document(bare(program))


def adapted(text: str, task: Task, shape: Flow, host: Host) -> str | None:
    """Return a system as a template under the signature of a task; None where it cannot be had.

    That is so for a system that needs more than one text, whose tools are not granted, or that is in several files. A
    parameter of another name is renamed; another type of answer is made one by a flow around it.
    """
    program = parsed(text)
    if program is None:
        return None
    program = bare(program)
    checked = host.check(print_document(program), Findings())
    main = None if checked is None else main_of(checked)
    if main is None:
        return None
    if (main.params, main.returns) == (shape.params, shape.returns):
        return print_document(program)
    given = _only_text(main)
    wanted = shape.params[0].type if len(shape.params) == 1 else None
    if given is None or not isinstance(wanted, Text) or not isinstance(given.type, Text):
        return None
    if given.type.cap < text_tokens(task.query):
        return None  # it would read a part of the query alone
    name = shape.params[0].name
    flow = next(item for item in program.items if isinstance(item, ast.Flow) and item.name.text == "main")
    if main.returns == shape.returns and len(main.params) == 1 and given.type == wanted:
        if name in local_names(flow):
            return None
        return print_document(renamed(program, Names(parameters={"main": {given.name: name}})))
    taken = {item.name.text for item in program.items if hasattr(item, "name")}
    inner = next((one for one in INNER if one not in taken), None)
    answer = _as(shape.returns, main.returns, "found")
    if inner is None or answer is None:
        return None
    around = f"\n{task.signature} {{\n  found = {inner}({name})\n  return {answer}\n}}\n"
    text = print_document(renamed(program, Names(declared={"main": inner}))) + around
    return text if host.check(text, Findings()) is not None else None


def _only_text(main: Flow) -> Param | None:
    """Return the one parameter that has to be passed, if it is a text."""
    needed = [one for one in main.params if not one.optional and one.default is None]
    return needed[0] if len(needed) == 1 and isinstance(needed[0].type, Text) else None


def _as(wanted: Type, kind: Type, value: str) -> str | None:
    """Return the expression that makes an answer of the wanted type of a value; None where there is none."""
    if wanted == kind:
        return value
    match kind:
        case Optional():
            plain = _as(wanted, kind.inner, value)
            return None if plain != value or not isinstance(wanted, Text) else f'{value} else ""'
        case Record():
            fields = dict(kind.fields)
            order = [*(name for name in ANSWERS if name in fields), *reversed(fields)]
            return next((made for name in order if (made := _as(wanted, fields[name], f"{value}.{name}"))), None)
        case Text() if isinstance(wanted, Text):
            return value
        case Int() | Float() | Bool() | Enum() if isinstance(wanted, Text):
            return f"text({value})"
        case List() if isinstance(wanted, Text) and isinstance(kind.element, Text):
            return f'join({value}, "\\n")'
    return None


# ---------------------------------------------------------------- with models, and rules of repair


def with_binding(text: str, binding: str) -> str | None:
    """Return M = M_temp (+) phi: a template with a binding; None where they do not fit."""
    done = bind(Source("<binding>", binding), Source(NAME, text), Findings())
    return None if done is None else done.source.text


def repairable(text: str, tries: int, at: float | None = None) -> str:
    """Return a program that may be repaired so often while it runs; `at` is the share of its budget, theta_C."""
    program = parsed(text)
    if program is None or any(isinstance(item, ast.Rectify) for item in program.items):
        return text
    uses = [item for item in program.items if isinstance(item, ast.Use)]
    rest = [item for item in program.items if not isinstance(item, ast.Use)]
    return print_document(program.replace(items=(*uses, ast.Rectify(tries, at), *rest)))


def compact(text: str) -> str:
    """Return a program in compact text, as decoders write it; the text itself where it is no program."""
    program = parsed(text)
    return text if program is None else print_compact(program)
