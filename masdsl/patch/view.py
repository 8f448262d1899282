"""A patch as people read it, and as data: what it adds, changes and drops, with the values before and after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from masdsl.patch import properties
from masdsl.patch.apply import apply_edits
from masdsl.patch.conflicts import place_text
from masdsl.patch.identity import base_of
from masdsl.patch.places import OPTION, STATEMENT, NoPlace, dotted, find
from masdsl.patch.weights import patch_weight
from masdsl.syntax import ast
from masdsl.syntax.print import print_edit, print_expr, print_item, print_rhs, print_statement

ADDED, CHANGED, DROPPED, KEPT = "+", "~", "-", "="


class Line(NamedTuple):
    """One thing that a patch does: a mark, the address, what is there before and after (empty where nothing is)."""

    mark: str
    address: str
    before: str
    after: str


class View(NamedTuple):
    """What a patch does, in its order, and how many things it adds, changes and drops."""

    lines: tuple[Line, ...]
    added: int
    changed: int
    dropped: int


def view(patch: ast.Patch, program: ast.Program) -> View:
    """Return what the edits of a patch do to a program. Raises PatchRefused where they do not fit it."""
    lines: list[Line] = []
    for edit in patch.edits:
        lines += _lines(edit, program)
        program = apply_edits(ast.Patch(1, None, (edit,)), program)
    marks = [line.mark for line in lines]
    return View(tuple(lines), marks.count(ADDED), marks.count(CHANGED), marks.count(DROPPED))


def as_text(shown: View) -> str:
    """Return a view as lines: `+` is added, `~` changed, `-` dropped, `=` kept but run again."""
    return "".join(f"{_line(line)}\n" for line in shown.lines)


def summary(shown: View) -> str:
    """Return `1 to add, 2 to change, 0 to drop`."""
    return f"{shown.added} to add, {shown.changed} to change, {shown.dropped} to drop"


def as_data(patch: ast.Patch, before: ast.Program, after: ast.Program) -> dict[str, Any]:
    """Return a patch as plain data: the hashes of both programs, every edit, and what they come to."""
    edits = []
    program = before
    for edit in patch.edits:
        lines = [line._asdict() for line in _lines(edit, program)]
        edits.append({"edit": print_edit(edit).split(None, 1)[0], "text": print_edit(edit), "changes": lines})
        program = apply_edits(ast.Patch(1, None, (edit,)), program)
    shown = view(patch, before)
    weight, number = patch_weight(patch)
    return {
        "version": 1,
        "base": base_of(before),
        "result": base_of(after),
        "edits": edits,
        "counts": {"edits": number, "add": shown.added, "change": shown.changed, "drop": shown.dropped},
        "weight": weight,
    }


def bounds_change(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> str:
    """Return how the worst case of the flow that a run begins with changes, from two cost reports.

    Such as `calls <= 7 -> <= 8 (budget 10), tokens <= 4000`. Empty where a program has errors, so that nothing is
    known.
    """
    old, new = _entry(before), _entry(after)
    if old is None or new is None:
        return ""
    told = []
    for measure in ("calls", "tokens", "usd", "seconds"):
        was, now = old["most"][measure], new["most"][measure]
        if measure in ("usd", "seconds") and was == now:
            continue
        limit = new["budget"].get(measure)
        change = f"<= {_number(was)} -> <= {_number(now)}" if was != now else f"<= {_number(now)}"
        told.append(f"{measure} {change}" + ("" if limit is None else f" (budget {_number(limit)})"))
    return ", ".join(told)


def _entry(report: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    flows = [] if report is None else report["flows"]
    named = [flow for flow in flows if flow["flow"] == "main"]
    return next(iter(named or [flow for flow in flows if flow["entry"]]), None)


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.6f}".rstrip("0").rstrip(".")


# ---------------------------------------------------------------- lines


def _line(line: Line) -> str:
    change = " -> ".join(text for text in (line.before, line.after) if text)
    gap = "" if not line.address or not change else ": "
    return f"{line.mark} {line.address}{gap}{change}"


def _lines(edit: ast.Edit, program: ast.Program) -> Sequence[Line]:
    match edit:
        case ast.SetEdit():
            before = _property(program, edit.path)
            return [Line(CHANGED, dotted(edit.path), before or "none", print_expr(edit.value))]
        case ast.BindEdit():
            path = (edit.assignment.role, ast.Name("on"))
            model = edit.assignment.model
            after = model.text if isinstance(model, ast.Name) else print_expr(model)
            return [Line(CHANGED, dotted(path), _property(program, path) or "none", after)]
        case ast.AddEdit():
            return [Line(ADDED, "", "", _first_line(print_item(edit.item)))]
        case ast.DropEdit():
            return [Line(DROPPED, place_text(edit.place), _at(program, edit.place), "")]
        case ast.ReplaceEdit():
            return [Line(CHANGED, dotted(edit.path), _at(program, edit.path), print_rhs(edit.value))]
        case ast.RedeclareEdit():
            return [Line(CHANGED, "", "", _first_line(print_item(edit.item)))]
        case ast.SubstituteEdit():
            here = dotted(edit.path)
            new = [Line(ADDED, here, "", _first_line(print_statement(node))) for node in edit.body.statements]
            return [Line(CHANGED, here, _at(program, edit.path), ""), *new]
        case ast.InsertEdit():
            here = dotted(edit.path[:-1])
            return [Line(ADDED, here, "", _first_line(print_statement(node))) for node in edit.body.statements]
        case ast.WrapEdit():
            return [Line(CHANGED, dotted(edit.path), "", print_edit(edit).partition(" in ")[2])]
        case ast.ElseEdit():
            return [Line(CHANGED, dotted(edit.path), "", "else " + print_rhs(edit.value))]
        case ast.RenameEdit():
            return [Line(CHANGED, dotted(edit.path), edit.path[-1].text, edit.name.text)]
        case ast.RedoEdit():
            return [Line(KEPT, dotted(edit.path), "", "run again")]
        case ast.BudgetEdit():
            old = next((item for item in program.items if isinstance(item, ast.Budget)), None)
            before = "none" if old is None else print_item(old).removeprefix("budget ")
            return [Line(CHANGED, "budget", before, print_edit(edit).removeprefix("budget "))]


def _property(program: ast.Program, path: ast.Path) -> str:
    value = properties.get(find(program, path[:-1]).node, path[-1].text)
    return "" if value is None else print_expr(properties.as_expr(value))


def _at(program: ast.Program, place: ast.Place) -> str:
    """Return what stands at a place, shortly."""
    if not isinstance(place, tuple):
        return ""
    try:
        spot = find(program, place)
    except NoPlace:
        return _property(program, place)
    node: Any = spot.node
    if spot.kind == OPTION:
        return print_expr(node)
    if spot.kind != STATEMENT:
        return ""
    return print_rhs(node.value) if isinstance(node, ast.Bind | ast.Return) else _first_line(print_statement(node))


def _first_line(text: str) -> str:
    line, _, rest = text.partition("\n")
    return f"{line} .." if rest and line.endswith("{") else line
