"""A program that is being written piece by piece: what stands so far, what may come next, and how it could end.

A piece is a line of compact text: a declaration, a statement, the head of a block or its end (an agent comes in two,
its head and its prompt). Each is checked by the checker that checks every program, in the program as it would be if it
ended there, so that whatever is accepted is sound and within the budget, and can be closed at any time.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from masdsl.check.cursor import Cursor
from masdsl.check.program import Program
from masdsl.config import Config
from masdsl.decode.profile import USUAL, Profile
from masdsl.decode.typed import Scope
from masdsl.decode.visible import calls_allowed, visible
from masdsl.diagnostics.base import ERROR, Finding, Findings
from masdsl.source import Source
from masdsl.syntax import ast
from masdsl.types import Bool, Enum, Float, Int, List, Optional, Record, Text, Type

_SENTINEL: Final = "here_ = 0\n"
"""A statement that changes nothing, to ask what is known at its place."""
_SENTINEL_VALUE: Final = "none"


class Refused(Exception):
    """A piece that makes the program wrong, or dearer than its budget. `findings` say why."""

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        super().__init__("; ".join(finding.diagnostic.title() for finding in findings))
        self.findings = findings


class Open(NamedTuple):
    """A block that is not closed: what opened it, how often it runs, and how many statements it has.

    `kind` is flow, loop, for, within, if, else, match or arm; `subject` and `words` are those of a match, `name` is a
    flow's.
    """

    kind: str
    times: int = 1
    statements: int = 0
    subject: Enum | None = None
    words: frozenset[str] = frozenset()
    name: str = ""


class Draft(NamedTuple):
    """What is written.

    `head` is an agent's head whose prompt is still to come; `closed_if` says that the last piece ended an `if` that may
    have an `else`; `in_main` that the flow at the place, if there is one, is that of the signature, which comes last.
    `done` says that the program is whole.
    """

    text: str
    signature: str
    profile: Profile
    config: Config
    stack: tuple[Open, ...] = ()
    head: str = ""
    statements: int = 0
    agents: int = 0
    types: int = 0
    closed_if: bool = False
    done: bool = False
    scope: Scope = Scope()
    exits: bool = False
    returns: Type | None = None
    """What the flow at the place returns."""
    main_returns: Type | None = None
    in_main: bool = False


def begin(signature: str, config: Config, profile: Profile = USUAL, header: str = "") -> Draft:
    """Return the draft of a program whose flow is `signature` (`flow main(query) -> text`).

    `header` are lines that are given: imports, tools that the host grants, the budget. Raises Refused where they or the
    signature have faults.
    """
    draft = Draft(f"mas 1\n{header}", signature, profile, config)
    cursor = Cursor(len(draft.text) + len(signature) + len(" {\n"))
    _look(draft, draft.text + _ending(draft, _SENTINEL), cursor)  # for the type alone
    return _checked(draft._replace(main_returns=cursor.returns), "")


def fed(draft: Draft, piece: str) -> Draft:
    """Return the draft with one more piece, a line of compact text. Raises Refused; the draft stays as it was."""
    if draft.head:
        return _checked(draft._replace(head="", text=draft.text + draft.head, agents=draft.agents + 1), piece)
    if piece.startswith("agent ") and not piece.rstrip("\n").endswith('"'):
        return draft._replace(head=piece.rstrip("\n") + " ")
    return _checked(_moved(draft, piece), piece)


def closed(draft: Draft) -> str:
    """Return the shortest whole program that begins with the draft."""
    return draft.text + _ending(draft, "")


def _moved(draft: Draft, piece: str) -> Draft:
    """Return the draft's place behind a piece, whose text is not in it yet."""
    closed_if, draft = draft.closed_if, draft._replace(closed_if=False)
    if piece == draft.signature + " {\n":
        begun = Open("flow", name=main_name(draft))
        return draft._replace(stack=(begun,), in_main=True, returns=draft.main_returns)
    if piece == "}\n":
        *outer, ended = draft.stack
        whole = not outer and draft.in_main
        return draft._replace(stack=tuple(outer), closed_if=ended.kind == "if", done=whole)
    if not draft.stack:
        if piece.startswith("flow "):
            name = re.split(r"\W+", piece)[1]
            return draft._replace(stack=(Open("flow", name=name),), returns=_returns_of(draft, piece))
        return draft._replace(types=draft.types + piece.startswith("type "))
    *outer, block = draft.stack
    if block.kind == "match":
        words = block.subject.words if block.subject is not None and piece == "else {\n" else piece[:-3].split(" | ")
        return draft._replace(stack=(*outer, block._replace(words=block.words | set(words)), Open("arm")))
    if piece.startswith("else ") and closed_if:
        return draft._replace(stack=(*draft.stack, Open("if" if piece.startswith("else if ") else "else")))
    here = (*outer, block._replace(statements=block.statements + 1))
    opened: tuple[Open, ...] = ()
    if piece.endswith("{\n"):
        opened = (_opened(draft, piece),)
    return draft._replace(stack=(*here, *opened), statements=draft.statements + 1)


def _returns_of(draft: Draft, head: str) -> Type | None:
    """Return what a flow returns that begins with this head."""
    cursor = Cursor(len(draft.text) + len(head))
    text = f"{draft.text}{head}{_SENTINEL}return {_SENTINEL_VALUE}\n}}\n"
    _look(draft, text + _ending(draft, _SENTINEL), cursor)  # for the type alone
    return cursor.returns


def _opened(draft: Draft, piece: str) -> Open:
    node = _head_of(piece)
    match node:
        case ast.Loop():
            return Open("loop", node.times if isinstance(node.times, int) else 1)
        case ast.For():
            kind = _type_of(draft, node.items)
            return Open("for", kind.high if isinstance(kind, List) else 1)
        case ast.Match():
            kind = _type_of(draft, node.subject)
            return Open("match", subject=kind if isinstance(kind, Enum) else None)
        case ast.Within():
            return Open("within")
        case _:
            return Open("if")


def _head_of(piece: str) -> object:
    from masdsl.syntax.parse import parse_chunk

    findings = Findings()
    chunk = parse_chunk(Source("<piece>", piece), findings)
    if chunk is None:
        raise Refused(tuple(findings.sorted()))
    return chunk.node


def _type_of(draft: Draft, node: ast.Expr) -> Type | None:
    """Return the type of a name or of a field of one."""
    if isinstance(node, ast.Var):
        return dict(draft.scope.names).get(node.name.text)
    if isinstance(node, ast.Attribute):
        record = _type_of(draft, node.value)
        return record.field(node.field.text) if isinstance(record, Record) else None
    return None


# ---------------------------------------------------------------- checking


def _checked(draft: Draft, piece: str) -> Draft:
    """Return the draft with the piece's text and with what is known behind it. Raises Refused."""
    draft = draft._replace(text=draft.text + piece, exits=False)
    if draft.done or (draft.stack and draft.stack[-1].kind == "match"):  # no statement can stand there
        program, faults = _look(draft, draft.text if draft.done else closed(draft), None)
        if faults or program is None:
            raise Refused(faults)
        return draft
    cursor = Cursor(len(draft.text) + (0 if draft.stack else len(draft.signature) + len(" {\n")))
    program, faults = _look(draft, draft.text + _ending(draft, _SENTINEL), cursor)
    draft = draft._replace(exits=cursor.exits)
    if cursor.exits:  # nothing gets to where the question stood, which is a fault of the question
        program, faults = _look(draft, closed(draft), None)
    if faults or program is None:
        raise Refused(faults)
    return draft._replace(scope=_scope(draft, program, cursor))


def _look(draft: Draft, text: str, cursor: Cursor | None) -> tuple[Program | None, tuple[Finding, ...]]:
    """Check a whole program and its bounds; return it with its errors, a bound above a budget being one."""
    from masdsl.pipeline import check_source

    findings = Findings()
    program = check_source(Source("<draft>", text), draft.config, findings, watch=cursor)
    return program, tuple(one for one in findings.sorted() if is_fault(one))


def is_fault(finding: Finding) -> bool:
    """Whether a finding is an error, or says that a bound is above a budget, were it only perhaps."""
    return finding.diagnostic.severity == ERROR or finding.diagnostic.code.startswith("MAS4")


def _ending(draft: Draft, sentinel: str) -> str:
    """Return what closes all that is open: blocks, then the flow with a value of its type; and the last flow."""
    lines = [sentinel]
    if draft.stack:
        for block in reversed(draft.stack[1:]):
            if block.kind == "match" and block.subject is not None and block.words < set(block.subject.words):
                lines.append("else {\n}\n")
            lines.append("}\n")
        whole = len(draft.stack) == 1 and draft.exits
        lines.append("}\n" if whole else f"return {literal_of(draft.returns or Text(1))}\n}}\n")
    if not draft.stack or not draft.in_main:
        here = [] if draft.stack else lines
        more = "" if here else "".join(lines)
        lines = [more, f"{draft.signature} {{\n", *here, f"return {literal_of(draft.main_returns or Text(1))}\n}}\n"]
    return "".join(lines)


def literal_of(kind: Type) -> str:
    """Return the shortest value of a type, as the language writes it."""
    match kind:
        case Optional():
            return "none"
        case Text():
            return '""'
        case Enum():
            return f"{kind.name}.{kind.words[0]}"
        case Record():
            fields = ", ".join(f"{field}: {literal_of(inner)}" for field, inner in kind.fields)
            return f"{kind.name or ''}({fields})"
        case List():
            return f"[{', '.join([literal_of(kind.element)] * kind.low)}]"
        case _:
            return {Int: "0", Float: "0.0", Bool: "false"}.get(type(kind), "none")


def _scope(draft: Draft, program: Program, cursor: Cursor) -> Scope:
    """Return what is visible at the cursor."""
    from masdsl.bounds.flows import bound

    own = [flow for flow in program.flows if not flow.module]
    main = next(flow for flow in own if flow.name == main_name(draft))
    here = next((flow for flow in own if draft.stack and flow.name == draft.stack[0].name), main)
    bounds = bound(program, {}, {})
    times = 1
    for block in draft.stack:
        times *= block.times
    left = max(0, calls_allowed(program, draft.config) - bounds.flows[main.key].most.calls) // times
    most = {key: flow.most.calls for key, flow in bounds.flows.items()}
    return visible(program, cursor, here, most, left=left, nested=bool(draft.stack[1:]))


def main_name(draft: Draft) -> str:
    """Return the name of the flow of the signature."""
    return draft.signature.split("(")[0].split()[-1]
