"""What `rename` does: which name an address means, and whether the new one is free."""

from __future__ import annotations

from masdsl.diagnostics.patches import NameInUse
from masdsl.node import Node
from masdsl.patch.order import declared
from masdsl.patch.places import FIELD, NAMED_ITEMS, WORD, Construct, Spot, dotted, find
from masdsl.patch.refusals import Refused, article, kind_of, place_span, wrong
from masdsl.patch.rename import Names, local_names, renamed, with_addresses
from masdsl.patch.tree import Tree
from masdsl.syntax import ast


def rename_in(tree: Tree, edit: ast.RenameEdit) -> None:
    """Rename what an edit names, with all its uses; an unlabelled construct gets a label.

    Raises NoPlace and Refused.
    """
    program, new = tree.program, edit.name.text
    spot = find(program, edit.path)
    owner, old = edit.path[0].text, edit.path[-1].text
    if isinstance(spot.node, Construct) and spot.node.label is None:
        _check_new(tree, edit, local_names(_flow(tree, spot)))
        tree.change(spot.steps, lambda node: node.replace(label=edit.name))
        tree.program = with_addresses(program, tree.program, tree.keep)
        return
    match spot.kind:
        case "declaration" if isinstance(spot.node, NAMED_ITEMS):
            flows = [item for item in program.items if isinstance(item, ast.Flow)]
            _check_new(tree, edit, {name for flow in flows for name in local_names(flow)})
            names = Names(declared={owner: new})
        case "parameter" | "static parameter":
            node = spot.owner
            inside = local_names(node) if isinstance(node, ast.Flow) else _parameters(node)
            _check_new(tree, edit, inside, among_items=isinstance(node, ast.Flow))
            names = Names(parameters={owner: {old: new}})
        case "statement":
            bound = _local_name(spot.node)
            if bound is None:
                problem = f"`{dotted(edit.path)}` binds no name"
                raise wrong(problem, "rename what binds one, or a construct", place_span(edit.path))
            old = bound
            _check_new(tree, edit, local_names(_flow(tree, spot)))
            names = Names(locals={owner: {old: new}})
        case _:
            advice = "declare the type anew: `replace type ..`" if spot.kind in (FIELD, WORD) else "name a step"
            raise wrong(f"{article(spot.kind)} cannot be renamed", advice, place_span(edit.path))
    if old[:1].isupper() != new[:1].isupper():
        advice = "names of types begin with a capital letter, all others with a small one"
        raise wrong(f"`{old}` cannot be called `{new}`", advice, edit.name.span)
    tree.program = renamed(program, names, tree.keep)


def _flow(tree: Tree, spot: Spot) -> ast.Flow:
    flow = tree.program.items[spot.steps[0][1]]
    assert isinstance(flow, ast.Flow)
    return flow


def _check_new(tree: Tree, edit: ast.RenameEdit, inside: set[str], among_items: bool = True) -> None:
    new = edit.name
    taken = {name: item for item in tree.program.items for name in declared(item)} if among_items else {}
    if new.text in taken:
        raise Refused(NameInUse(new.text, f"the name of {kind_of(taken[new.text])}", span=new.span))
    if new.text in inside:
        raise Refused(NameInUse(new.text, "a name that is used there", span=new.span))


def _parameters(node: Node) -> set[str]:
    assert isinstance(node, ast.Agent | ast.Tool)
    names = {param.name.text for param in node.params}
    return names | {static.name.text for static in node.statics} if isinstance(node, ast.Agent) else names


def _local_name(node: Node) -> str | None:
    if isinstance(node, ast.Bind | ast.Append):
        return node.name.text
    if isinstance(node, Construct) and node.label is not None:
        return node.label.text
    return None
