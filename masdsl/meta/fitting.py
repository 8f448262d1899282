"""Whether what a model wrote may be taken, after machine fixes: what is judged, and what the model is told.

A program has to be right, to have the flow that its task asks for, to use no tools but the task's, as these are
declared there, to ask an agent, and to need no more calls than are left. All of it is diagnostics; what has a remedy
(`masdsl.fixes`) is mended before a model hears of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple, TypeAlias

from masdsl.check.program import Bind, Flow, Program
from masdsl.check.relations import fits
from masdsl.decode.binding import open_roles
from masdsl.diagnostics.base import ERROR, Finding, Findings, Fix
from masdsl.diagnostics.bounds import CEILING, MayNotFit
from masdsl.diagnostics.designs import AsksNobody, NothingWritten, NotInPool, OtherEntry, OtherTool
from masdsl.diagnostics.render import render_short
from masdsl.diagnostics.suggest import nearest
from masdsl.fixes import State, mend
from masdsl.meta.extract import Kind
from masdsl.meta.host import NAME, Host, fit_of, main_of
from masdsl.meta.task import Task
from masdsl.node import Span
from masdsl.patch.binding import bind
from masdsl.runtime.meter import Limits
from masdsl.source import Source
from masdsl.syntax import ast
from masdsl.syntax.parse import parse_binding, parse_program
from masdsl.syntax.print import print_document, print_item
from masdsl.trust.analysis import analyse
from masdsl.trust.policy import Unproven, policy_of, without_limits
from masdsl.types import Bool, Enum, Float, Int, List, Optional, Record, Text, Type

MOST_DIAGNOSTICS: Final = 12
"""A model is told so many at once: the first ones are the causes of many that follow."""
TITLES: Final[dict[Kind, str]] = {"mas": "program", "bind": "binding", "patch": "patch"}
"""What a text of each kind is called."""


class Judged(NamedTuple):
    """A text after machine fixes, and what is wrong with it in the `short` form: nothing where it may be taken."""

    text: str
    diagnostics: tuple[str, ...] = ()
    fixes: int = 0


_ADVICE_TO_HOSTS: Final = (
    (re.compile(r", or have the host raise \[budget\] in .*"), ""),
    (re.compile(r"; grant it under .*"), "; use only tools that are granted"),
)
_AROUND: Final = ("around_main", "around_main_2", "around_main_3")

Judge: TypeAlias = Callable[[str], Judged]


def nothing_written(kind: Kind) -> tuple[str, ...]:
    """Return what a model is told whose reply holds no text of the kind."""
    nothing = NothingWritten(TITLES[kind], f"{kind} 1", span=Span(0, 0))
    return _short([Finding(Source("<reply>", ""), nothing)])


# ---------------------------------------------------------------- programs


def granted_to(host: Host, declared: Sequence[ast.Tool]) -> Host:
    """Return a host that grants no more than these tools."""
    names = {tool.source.value for tool in declared}
    grants = {name: grant for name, grant in host.config.tools.items() if name in names}
    return host._replace(config=host.config._replace(tools=grants))


def declared_tools(task: Task) -> tuple[ast.Tool, ...]:
    """Return the declarations of a task's tools; those that cannot be read are left out (`shape_of` refuses them)."""
    parsed = parse_program(Source(NAME, "mas 1\n" + "".join(f"{line}\n" for line in task.tools)), Findings())
    items = parsed.document.items if isinstance(parsed.document, ast.Program) else ()
    return tuple(item for item in items if isinstance(item, ast.Tool))


def judge_program(text: str, task: Task, shape: Flow, host: Host, left: Limits) -> Judged:
    """Return a program after machine fixes, and whether it is one for a task of this shape (`meta.host.shape_of`)."""
    declared = declared_tools(task)
    host = granted_to(host, declared)

    def check(source: Source) -> State:
        findings = Findings()
        program = host.check(source.text, findings, left)
        tree = parse_program(source, Findings()).document
        if program is not None and isinstance(tree, ast.Program):
            for tool in (item for item in tree.items if isinstance(item, ast.Tool)):
                _check_tool(source, tool, declared, findings)
            _check_entry(source, program, tree, task, shape, findings)
        return State([one for one in findings.sorted() if _counts(one)])

    mended = mend(Source(NAME, text), check, suggested=True)
    judged = Judged(mended.source.text, _short(mended.left), len(mended.applied))
    if judged.diagnostics:
        return judged
    fit = fit_of(judged.text, shape, host, left)
    if fit.program is None:
        return judged._replace(diagnostics=fit.diagnostics)
    asks = fit.most is not None and fit.most.calls > 0
    if asks and hangs_on_a_model(judged.text, task, shape, host):
        return judged
    for other in _other_answers(judged.text, fit.program) if asks else ():
        if fit_of(other, shape, host, left).program is not None and hangs_on_a_model(other, task, shape, host):
            return Judged(other, (), judged.fixes + 1)
    flow = Span(judged.text.rfind("\nflow main") + 1, len(judged.text))
    return judged._replace(diagnostics=_short([Finding(Source(NAME, judged.text), AsksNobody(span=flow))]))


def hangs_on_a_model(text: str, task: Task, shape: Flow, host: Host) -> bool:
    """Whether anything that a model or a tool says can change what `main` gives, by the labels of trust.

    A flow around `main` makes its result that of a step, which has labels.
    """
    name = next(one for one in _AROUND if f"{one}(" not in text)
    head = re.sub(r"\bmain\b", name, task.signature, count=1)
    inner = ", ".join(param.name for param in shape.params)
    config = without_limits(host.config)
    around = f"{text.rstrip()}\n\n{head} {{\n  {name}_gives = main({inner})\n  return {name}_gives\n}}\n"
    program = host._replace(config=config).check(around, Findings())
    if program is None:  # the limits on the number of flows, or the like: then it is not looked at
        return True
    found = analyse(program, policy_of(program, config), Unproven())
    return any(labels.gives for (_, path), labels in found.steps.items() if path == f"{name}.{name}_gives")


def _other_answers(text: str, program: Program) -> Iterator[str]:
    """Yield the program with the result of a step in place of what `main` returns at its end, the last step first."""
    main = main_of(program)
    tree = parse_program(Source(NAME, text), Findings()).document
    flows = tree.items if isinstance(tree, ast.Program) else ()
    body = next((one.body.statements for one in flows if isinstance(one, ast.Flow) and one.name.text == "main"), ())
    if main is None or not body or not isinstance(end := body[-1], ast.Return):
        return
    for step in reversed(main.body):
        if isinstance(step, Bind) and (answer := _as_answer(step.name, step.type, main.returns)):
            yield f"{text[: end.span.start]}return {answer}{text[end.span.end :]}"


def _as_answer(name: str, kind: Type, wanted: Type) -> str:
    """Return the expression that makes a value of the wanted type of one of another; nothing where there is none."""
    if fits(kind, wanted):
        return name
    match kind, wanted:
        case Record(), _:
            ordered = sorted(kind.fields, key=lambda field: fits(field[1], wanted))
            fields = ordered[::-1]  # those that fit first, and of these the last: reasons stand before answers
            return next((made for field, one in fields if (made := _as_answer(f"{name}.{field}", one, wanted))), "")
        case List(), _ if kind.low and fits(kind.element, wanted):
            return f"first({name})"
        case List(element=Text()), Text():
            return f'join({name}, "\\n")'
        case Int() | Float() | Bool() | Enum(), Text():
            return f"text({name})"
        case Optional(inner=Text()), Text():
            return f'{name} else ""'
        case _:
            return ""


def _counts(finding: Finding) -> bool:
    """Whether a finding keeps a program from being taken: an error, or more calls than are left at worst."""
    diagnostic = finding.diagnostic
    if isinstance(diagnostic, MayNotFit):
        return diagnostic.budget == CEILING and diagnostic.measure == "calls"
    return diagnostic.severity == ERROR


def _check_tool(source: Source, tool: ast.Tool, declared: Sequence[ast.Tool], findings: Findings) -> None:
    same = [one.replace(name=tool.name) for one in declared if one.source.value == tool.source.value]
    if same and print_item(tool) not in [print_item(one) for one in same]:
        written = print_item(same[0])
        change = Fix("declare it as it is granted", ((tool.span, written),))
        findings.add(source, OtherTool(tool.name.text, " ".join(written.split()), change, span=tool.span))


def _check_entry(
    source: Source, program: Program, tree: ast.Program, task: Task, shape: Flow, findings: Findings
) -> None:
    main = main_of(program)
    if main is not None and _shape(main) == _shape(shape):
        return
    flows = [item for item in tree.items if isinstance(item, ast.Flow) and not item.statics]
    named = [flow for flow in flows if flow.name.text == "main"]
    if not (named or flows):
        findings.add(source, OtherEntry(task.signature, "", span=Span(0, 0)))
        return
    flow = (named or flows)[-1]
    head = Span(flow.span.start, (flow.budget or flow.output).span.end)
    change = None
    names, wanted = [param.name.text for param in flow.params], [param.name for param in shape.params]
    if len(names) == len(wanted) and (named or flow.name.text not in _called(program)):
        body = source.text.index("{", head.end) + 1
        renamed = "".join(
            f"\n  {old} = {new}" for old, new in zip(names, wanted, strict=True) if old != new and old not in wanted
        )
        parts = [(head, task.signature)] + ([(Span(body, body), renamed)] if renamed else [])
        change = Fix("give it the head of the task", tuple(parts))
    found = " ".join(source.slice(head).split())
    findings.add(source, OtherEntry(task.signature, found, change, span=head))


def _shape(flow: Flow) -> tuple[object, ...]:
    return tuple((param.name, param.type) for param in flow.params), flow.returns


def _called(program: Program) -> set[str]:
    """Return the names of the flows of which a program has no instance of their own, or that others call."""
    from masdsl.bounds.flows import bound

    entries = bound(program, {}, {}).entries
    return {flow.name for flow in program.flows if flow.key not in entries}


# ---------------------------------------------------------------- bindings


def judge_binding(text: str, template: str, tiers: Sequence[str], cheapest: str, host: Host) -> Judged:
    """Return a binding after machine fixes, and whether it fits a template and names only tiers of the pool.

    Roles that it leaves open get the `cheapest` tier, once nothing else is wrong.
    """
    origin = Source(NAME, template)

    def check(source: Source) -> State:
        findings = Findings()
        parsed = parse_binding(source, Findings()).document
        for one in parsed.assignments if isinstance(parsed, ast.Binding) else ():
            name = one.model.text if isinstance(one.model, ast.Name) else one.model.value
            if name not in tiers:
                findings.add(source, NotInPool(name, tuple(tiers), nearest(name, tiers), span=one.model.span))
        bind(source, origin, findings, lambda program, faults: host.check(program.text, faults))
        return State([one for one in findings.sorted() if one.diagnostic.severity == ERROR])

    mended = mend(Source("<binding>", text), check, suggested=True)
    if mended.left:
        return Judged(mended.source.text, _short(mended.left), len(mended.applied))
    tree = parse_binding(mended.source, Findings()).document
    assert isinstance(tree, ast.Binding)
    bound = {one.role.text for one in tree.assignments}
    missing = [role for role in roles_without_model(template) if role not in bound]
    whole = print_document(tree) + "".join(f"{role} = {cheapest}\n" for role in missing)
    return Judged(whole, _short(check(Source("<binding>", whole)).findings), len(mended.applied) + len(missing))


def roles_without_model(template: str) -> tuple[str, ...]:
    """Return the roles that a template leaves open; none for a text that is no program."""
    tree = parse_program(Source(NAME, template), Findings()).document
    return open_roles(tree) if isinstance(tree, ast.Program) else ()


def _short(findings: Sequence[Finding]) -> tuple[str, ...]:
    lines = [_for_a_model(line) for line in render_short(findings[:MOST_DIAGNOSTICS]).splitlines()]
    more = len(findings) - MOST_DIAGNOSTICS
    return (*lines, *([f"and {more} more"] if more > 0 else []))


def _for_a_model(line: str) -> str:
    """Return a line without what only a host can do: a model that writes a program is none."""
    for advice, instead in _ADVICE_TO_HOSTS:
        line = advice.sub(instead, line)
    return line.replace(CEILING, "what is left for it")
