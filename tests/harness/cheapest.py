"""The cheapest patch between two small programs by brute force: all edits that could help, in all orders.

Edits are made of what stands in the program that is wanted. Where they lead is searched in the order of what they
weigh, so the first way that arrives is a cheapest one.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush
from itertools import count
from typing import Any

from masdsl.patch import properties
from masdsl.patch.apply import PatchRefused, apply_edits
from masdsl.patch.blocks import empty_opener
from masdsl.patch.declarations import place_of
from masdsl.patch.emit import path_of
from masdsl.patch.places import NAMED_ITEMS, blocks_of, item_keys, options_of, statements_of
from masdsl.patch.weights import edit_weight
from masdsl.syntax import ast
from masdsl.syntax.print import print_program
from masdsl.syntax.walk import find_all


def cheapest(before: ast.Program, after: ast.Program, below: int, states: int) -> int | None:
    """Return the weight of the cheapest patch that weighs less than `below`, None if there is none.

    Looks at no more than `states` programs on the way.
    """
    wanted = print_program(after)
    number = count()
    waiting = [(0, next(number), before)]
    seen: dict[str, int] = {}
    while waiting and states:
        weight, _, program = heappop(waiting)
        text = print_program(program)
        if text == wanted:
            return weight
        if seen.get(text, below) <= weight:
            continue
        seen[text] = weight
        states -= 1
        for edit in _edits(program, after):
            more = weight + edit_weight(edit)
            if more >= below:
                continue
            try:
                heappush(waiting, (more, next(number), apply_edits(ast.Patch(1, None, (edit,)), program)))
            except PatchRefused:
                continue
    return None


def _edits(program: ast.Program, after: ast.Program) -> Iterator[ast.Edit]:
    """Yield every edit that is made of addresses of one program and parts of the other."""
    keys = item_keys(program.items)
    for item, key in zip(program.items, keys, strict=True):
        yield ast.DropEdit(place_of(item, key[2]))
    for item in after.items:
        if isinstance(item, ast.Budget):
            yield ast.BudgetEdit(item.limits)
        yield ast.RedeclareEdit(item)
        yield ast.AddEdit(item)
        for other, key in zip(program.items, keys, strict=True):
            yield ast.AddEdit(item, "after", place_of(other, key[2]))
        for name in properties.properties_of(item):
            assert isinstance(item, NAMED_ITEMS)
            path = path_of((item.name.text, name))
            value = properties.get(item, name)
            yield ast.DropEdit(path) if value is None else ast.SetEdit(path, properties.as_expr(value))
            if name == "on" and value is not None:
                yield ast.BindEdit(ast.Assignment(item.name, value))
        if isinstance(item, ast.Flow):
            yield ast.RedeclareEdit(item.replace(body=ast.Block(())))
    for flow in program.items:
        if isinstance(flow, ast.Flow):
            yield from _flow_edits(flow, after)
    names = {item.name.text for item in after.items if isinstance(item, NAMED_ITEMS)}
    for item in program.items:
        if isinstance(item, NAMED_ITEMS) and item.name.text not in names:
            yield from (ast.RenameEdit((item.name,), ast.Name(name)) for name in sorted(names))


def _flow_edits(flow: ast.Flow, after: ast.Program) -> Iterator[ast.Edit]:
    runs = [
        ast.Block(block.statements[start:end])
        for block in find_all(after, ast.Block)
        for start in range(len(block.statements))
        for end in range(start + 1, len(block.statements) + 1)
    ]
    statements = [node for item in after.items if isinstance(item, ast.Flow) for _, node in statements_of(item)]
    values = [node.value for node in statements if isinstance(node, ast.Bind | ast.Return)]
    conditions = [node.condition for node in statements if isinstance(node, ast.Until)]
    conditions += [branch.condition for branch in find_all(after, ast.Branch)]
    options = [option for value in values for option in options_of(value)]
    names = {bind.name.text for bind in find_all(after, ast.Bind)}
    names |= {node.label.text for node in statements if getattr(node, "label", None) is not None}  # type: ignore[union-attr]
    openers: list[Any] = [
        empty_opener(node)
        for node in statements
        if isinstance(node, ast.Loop | ast.For | ast.Within)
        or (isinstance(node, ast.If) and len(node.branches) == 1 and node.orelse is None)
    ]
    for address, node in statements_of(flow):
        where = (flow.name.text, *address.split("."))
        path = path_of(where)
        yield ast.DropEdit(path)
        for run in runs:
            yield ast.InsertEdit("after", path, run)
            yield ast.InsertEdit("before", path, run)
            yield ast.SubstituteEdit(path, run)
        yield from (ast.WrapEdit(path, opener) for opener in openers)
        yield from (ast.RenameEdit(path, ast.Name(name)) for name in sorted(names))
        yield from (ast.ReplaceEdit(path, value) for value in (*values, *conditions))
        if isinstance(node, ast.Loop):
            times = [other.times for other in statements if isinstance(other, ast.Loop)]
            yield from (ast.SetEdit((*path, ast.Name("times")), properties.as_expr(value)) for value in times)
        for suffix, _, _ in blocks_of(node):
            if suffix:
                inner = path_of((*where, suffix))
                yield ast.DropEdit(inner)
                yield from (ast.ReplaceEdit(inner, condition) for condition in conditions)
                yield from (ast.SubstituteEdit(inner, run) for run in runs)
        if isinstance(node, ast.Bind | ast.Return):
            yield from (ast.ElseEdit(path, option) for option in options)
            for number in range(1, len(options_of(node.value))):
                inner = path_of((*where, "else" if number == 1 else f"else_{number}"))
                yield ast.DropEdit(inner)
                yield from (ast.ReplaceEdit(inner, option) for option in options)
