"""Which way a kept run went where it could go several: found by running it once more from its journal.

A journal keeps what steps gave, not what was decided between them: that follows from these values. So the program is
compiled as ever, each condition of an `if` or an `until` and each subject of a `match` is made to tell its value, and
the run is replayed. The tree is changed after it was verified, and only here.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from masdsl.check.program import If, Match, Program, Until
from masdsl.check.uses import statements_of
from masdsl.journal.base import Row, RunHeader
from masdsl.lower import ir
from masdsl.node import Span
from masdsl.pipeline import load_changed
from masdsl.rectify.checks import Ground
from masdsl.rectify.replay import ReadRun, run_again
from masdsl.rectify.stored import stored
from masdsl.runtime import Program as CompiledProgram
from masdsl.runtime import Run, RunFailed
from masdsl.runtime.events import Event
from masdsl.runtime.failures import NotInJournal
from masdsl.runtime.shapes import plain

YES, NO = "yes", "no"
Decision: TypeAlias = tuple[str, str, int, int]
"""Where something is decided: the address of the frame (`main.refine`), and file, line and column of the condition or
the subject."""
_TELL: Final = "<tell>"
"""No generated code can name this."""
Where: TypeAlias = tuple[str, int, int]
"""File, line and column."""


Tell: TypeAlias = Callable[[Where, Run, Any], None]


class Ways(NamedTuple):
    """How often each decision had which outcome: `yes` or `no`, or a word of an enum.

    `asked` are the places of all that was made to tell: a decision that changes nothing is not compiled. `whole` says
    that the run was seen to its end; else what is missing may have been decided all the same. `flows` is how often each
    flow was called, by the address of the step that calls it.
    """

    decided: Mapping[Decision, Mapping[str, int]]
    asked: frozenset[Where]
    whole: bool
    flows: Mapping[str, int]


async def ways_of(header: RunHeader, rows: Sequence[Row], ground: Ground) -> Ways:
    """Return which ways a run went, in the program that it has by now; no model and no tool is called.

    Raises JournalDamaged, and StoredFaulty where that program has errors.
    """
    version = stored(header, rows, ground).versions[-1]
    seen: dict[Decision, dict[str, set[tuple[int, ...]]]] = {}

    def tell(where: Where, frame: Run, value: Any) -> None:
        word = (YES if value else NO) if isinstance(value, bool) else str(plain(value))
        seen.setdefault((frame.path, *where), {}).setdefault(word, set()).add(frame.indices)

    asked: set[Where] = set()
    called: dict[str, set[tuple[int, ...]]] = {}

    def see(event: Event) -> None:
        if event.what == "flow" and event.kind == "started":
            called.setdefault(event.path, set()).add(event.indices)

    def compiled(program: Program) -> CompiledProgram:
        return load_changed(program, lambda module, tree: _told(program, module, tree, tell, asked))

    try:
        await run_again(ReadRun(header, rows), version, see, compile=compiled)
        whole = True
    except RunFailed:
        whole = True
    except NotInJournal:
        whole = False
    counted = {where: {word: len(rounds) for word, rounds in found.items()} for where, found in seen.items()}
    return Ways(counted, frozenset(asked), whole, {path: len(times) for path, times in called.items()})


# ---------------------------------------------------------------- what is made to tell


def _told(program: Program, module: ir.Module, tree: ast.Module, tell: Tell, asked: set[Where]) -> Mapping[str, Any]:
    """Let the decisions of a module's tree tell their values; return the names that this needs.

    `asked` gets their places.
    """
    known = _places(program)
    decisions = [known.get((flow.module, span)) for flow in module.flows for span in _decisions(flow.body)]
    found = [one for node in tree.body if isinstance(node, ast.AsyncFunctionDef) for one in _in_function(node)]
    if len(found) != len(decisions):
        raise AssertionError(f"{len(decisions)} decisions were lowered, and {len(found)} written")
    for number, (node, frame) in enumerate(found):
        place = decisions[number]
        if place is None:
            continue
        asked.add(place)
        given = node.test if isinstance(node, ast.If) else node.subject
        names = [ast.Name(_TELL, ast.Load()), ast.Name(frame, ast.Load())]
        told = ast.Call(names[0], [ast.Constant(number), names[1], given], [])
        ast.copy_location(told, given)
        ast.fix_missing_locations(told)
        if isinstance(node, ast.If):
            node.test = told
        else:
            node.subject = told

    def decided(number: int, frame: Run, value: Any) -> Any:
        where = decisions[number]
        assert where is not None
        tell(where, frame, value)
        return value

    return {_TELL: decided}


def _places(program: Program) -> dict[tuple[str, Span], Where]:
    """Return where the decisions of a program stand, by the module and the span that lowered code has for them."""
    sources = {module.name: module.source for module in program.modules}
    found: dict[tuple[str, Span], Where] = {}
    for flow in program.flows:
        source = sources[flow.module]

        def where(span: Span, source: Any = source) -> Where:
            position = source.position(span.start)
            return source.name, position.line, position.column

        for node in statements_of(flow.body):
            match node:
                case If():
                    for branch in node.branches:
                        found[flow.module, branch.span] = where(branch.condition.span)
                case Match() | Until():
                    found[flow.module, node.span] = where(node.span)
                case _:
                    pass
    return found


def _decisions(block: Iterable[ir.Statement]) -> Iterator[Span]:
    """Yield the spans of the conditions and subjects of a block, in the order in which they are written."""
    for node in block:
        match node:
            case ir.If():
                for branch in node.branches:
                    yield branch.span
                    yield from _decisions(branch.body)
                yield from _decisions(node.orelse)
            case ir.Match():
                yield node.span
                for arm in node.arms:
                    yield from _decisions(arm.body)
                yield from _decisions(node.orelse or ())
            case ir.Loop() | ir.For() | ir.Within():
                yield from _decisions(node.body)
            case ir.Try():
                yield from _decisions(node.body)
                yield from _decisions(node.handler)
            case ir.Define():
                yield from _decisions(node.function.body)
            case _:
                pass


def _in_function(node: ast.AsyncFunctionDef) -> Iterator[tuple[ast.If | ast.Match, str]]:
    """Yield the conditions and subjects of a function and of those in it, each with the frame around it."""
    yield from _in_block(node.body, node.args.args[0].arg)


def _in_block(block: Iterable[ast.stmt], frame: str) -> Iterator[tuple[ast.If | ast.Match, str]]:
    for node in block:
        match node:
            case ast.If():
                yield node, frame
                yield from _in_block((*node.body, *node.orelse), frame)
            case ast.Match():
                yield node, frame
                for case in node.cases:
                    yield from _in_block(case.body, frame)
            case ast.For(target=ast.Name(id=inner)) | ast.For(target=ast.Tuple(elts=[ast.Name(id=inner), *_])):
                yield from _in_block(node.body, inner)
            case ast.AsyncWith(items=[ast.withitem(optional_vars=ast.Name(id=inner))]):
                yield from _in_block(node.body, inner)
            case ast.Try():
                yield from _in_block(node.body, frame)
                for handler in node.handlers:
                    yield from _in_block(handler.body, frame)
            case ast.AsyncFunctionDef():
                yield from _in_function(node)
            case _:
                pass
