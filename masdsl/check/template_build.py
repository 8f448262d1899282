"""From Jinja2's tree of a faultless template to the parts of `check/template_parts.py`."""

from __future__ import annotations

from jinja2 import nodes

from masdsl.check.template_parts import (
    Choose,
    Constant,
    Field,
    Filtered,
    Insert,
    Named,
    Part,
    Parts,
    Repeat,
    Value,
    words,
)


def parts_of(body: list[nodes.Node]) -> Parts:
    """Return what the statements of a template, all of them checked before, print."""
    parts: list[Part] = []
    for node in body:
        if isinstance(node, nodes.Output):
            for piece in node.nodes:
                if isinstance(piece, nodes.TemplateData):
                    words(parts, piece.data)
                elif isinstance(piece, nodes.Const) and isinstance(piece.value, str):
                    words(parts, piece.value)
                else:
                    parts.append(Insert(_value(piece)))
        elif isinstance(node, nodes.For):
            assert isinstance(node.target, nodes.Name)
            parts.append(Repeat(node.target.name, _value(node.iter), parts_of(node.body), parts_of(node.else_)))
        elif isinstance(node, nodes.If):
            branches = tuple(parts_of(branch.body) for branch in (node, *node.elif_))
            parts.append(Choose(branches, parts_of(node.else_)))
    return tuple(parts)


def _value(node: nodes.Node) -> Value:
    match node:
        case nodes.Name():
            return Named(node.name)
        case nodes.Getattr():
            return Field(_value(node.node), node.attr)
        case nodes.Filter() if node.node is not None:
            return Filtered(_value(node.node), node.name, tuple(_constant(argument) for argument in node.args))
        case _:
            return _constant(node)


def _constant(node: nodes.Node) -> Constant:
    if isinstance(node, nodes.List):
        return Constant(tuple(item.value for item in node.items if isinstance(item, nodes.Const)))
    assert isinstance(node, nodes.Const), "the checker lets no other value pass"
    return Constant(node.value)
