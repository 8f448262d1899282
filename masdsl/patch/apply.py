"""What each edit does to a syntax tree.

Edits are made from the first to the last, each on what those before it left. The text of the result, and whether it is
a program, is the business of `patching`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from masdsl.diagnostics.base import Diagnostic
from masdsl.diagnostics.patches import ConflictingEdits, NameInUse, UnknownPlace, WrongValue
from masdsl.diagnostics.suggest import nearest
from masdsl.node import Node
from masdsl.patch import properties
from masdsl.patch.conflicts import clashes
from masdsl.patch.order import declared, place_for
from masdsl.patch.places import (
    ARM,
    BRANCH,
    FIELD,
    ITEM,
    NAMED_ITEMS,
    OPTION,
    OTHERWISE,
    STATEMENT,
    WHOLE,
    WORD,
    NoPlace,
    Spot,
    dotted,
    find,
    find_item,
    item_key,
    options_of,
)
from masdsl.patch.refusals import Refused, article, kind_of, place_span, wrong
from masdsl.patch.renaming import rename_in
from masdsl.patch.tree import Tree
from masdsl.syntax import ast


class PatchRefused(Exception):
    """A patch cannot be applied; `diagnostics` say why, about the text of the patch."""

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        super().__init__("; ".join(diagnostic.title() for diagnostic in diagnostics))
        self.diagnostics = tuple(diagnostics)


def apply_edits(patch: ast.Patch, program: ast.Program) -> ast.Program:
    """Return the program that the edits of a patch make of a program; the base of the patch is not looked at.

    Raises:
        PatchRefused: an edit cannot be made, or two of them get in each other's way.
    """
    tree = Tree(program)
    edit_tree(patch, tree)
    return tree.program


def edit_tree(patch: ast.Patch, tree: Tree) -> None:
    """Do what `apply_edits` does, on a program with its comments. After PatchRefused the tree is of no use."""
    faults: list[Diagnostic] = [
        ConflictingEdits(clash.what, patch.edits[clash.first].span, span=patch.edits[clash.second].span)
        for clash in clashes(patch.edits)
    ]
    editor = _Editor(tree)
    for edit in patch.edits:
        try:
            editor.make(edit)
        except NoPlace as lost:
            near = nearest(lost.name.text, lost.known)
            faults.append(UnknownPlace(lost.name.text, lost.where, near, lost.known, span=lost.name.span))
        except Refused as refused:
            faults.append(refused.diagnostic)
    if faults:
        raise PatchRefused(faults)


class _Editor:
    def __init__(self, tree: Tree) -> None:
        self._tree = tree

    def make(self, edit: ast.Edit) -> None:
        match edit:
            case ast.SetEdit():
                self._set(edit.path, edit.value)
            case ast.BindEdit():
                self._bind(edit.assignment)
            case ast.AddEdit():
                self._add(edit)
            case ast.DropEdit():
                self._drop(edit.place)
            case ast.ReplaceEdit():
                self._replace(edit.path, edit.value)
            case ast.SubstituteEdit():
                self._substitute(edit.path, edit.body)
            case ast.RedeclareEdit():
                self._redeclare(edit)
            case ast.InsertEdit():
                self._insert(edit)
            case ast.WrapEdit():
                self._wrap(edit)
            case ast.ElseEdit():
                self._otherwise(edit)
            case ast.RenameEdit():
                rename_in(self._tree, edit)
            case ast.RedoEdit():
                self._redo(edit)
            case ast.BudgetEdit():
                self._budget(edit)

    def _find(self, path: ast.Path) -> Spot:
        return find(self._tree.program, path)

    def _statement(self, path: ast.Path, doing: str) -> Spot:
        spot = self._find(path)
        if spot.kind != STATEMENT:
            raise wrong(
                f"`{dotted(path)}` is {article(spot.kind)}; {doing}", "name a statement of a flow", place_span(path)
            )
        return spot

    # ------------------------------------------------------------ properties

    def _set(self, path: ast.Path, value: ast.Expr) -> None:
        if len(path) < 2:
            advice = "write as in `set coder.on = smart` or `set main.refine.times = 2`"
            raise wrong(f"`{dotted(path)}` is no property; `set` sets one", advice, path[0].span)
        spot = self._find(path[:-1])
        name = path[-1]
        known = properties.properties_of(spot.node)
        if name.text not in known:
            raise wrong(f"`{dotted(path[:-1])}` has no property `{name.text}`", _instead(spot, path, known), name.span)
        self._with_property(spot, path, value)

    def _with_property(self, spot: Spot, path: ast.Path, value: ast.Expr | None) -> None:
        name = path[-1].text
        try:
            made = properties.with_property(spot.node, name, value)
        except properties.Unfit as unfit:
            if value is None:
                problem = f"`{dotted(path)}` cannot be dropped: {unfit.expected}"
                raise wrong(problem, "`set` gives it another value", path[-1].span) from None
            raise Refused(WrongValue(dotted(path), unfit.expected, span=value.span)) from None
        self._tree.change(spot.steps, lambda node: made)

    def _bind(self, assignment: ast.Assignment) -> None:
        role = assignment.role
        spot = self._find((role,))
        if not isinstance(spot.node, ast.Agent | ast.Variant):
            raise wrong(f"`{role.text}` is no agent", "`bind` gives an agent its model", role.span)
        model = assignment.model
        value = ast.Var(model, span=model.span) if isinstance(model, ast.Name) else model
        self._with_property(spot, (role, ast.Name("on", span=role.span)), value)

    def _budget(self, edit: ast.BudgetEdit) -> None:
        made = ast.Budget(edit.limits, span=edit.span)
        self._tree.keep(edit, made)
        for at, item in enumerate(self._tree.program.items):
            if isinstance(item, ast.Budget):
                self._tree.change((("items", at),), lambda node: made)
                return
        self._tree.splice((("items", place_for(made, self._tree.program.items)),), 0, (made,))

    # ------------------------------------------------------------ declarations

    def _add(self, edit: ast.AddEdit) -> None:
        items = self._tree.program.items
        self._check_free(edit.item, items)
        at = place_for(edit.item, items)
        if edit.place is not None:
            at = find_item(self._tree.program, self._declaration(edit.place)) + (edit.where == "after")
        self._tree.splice((("items", at),), 0, (edit.item,))
        self._tree.keep_around(edit, edit.item)

    def _declaration(self, place: ast.Place) -> ast.Place:
        if isinstance(place, tuple) and len(place) > 1:
            advice = "name a declaration: its first part alone"
            raise wrong(f"`{dotted(place)}` is no declaration", advice, place_span(place))
        return place

    def _check_free(self, item: ast.Item, items: Sequence[ast.Item]) -> None:
        if isinstance(item, ast.Budget | ast.Rectify):
            word = item_key(item)[1]
            if any(isinstance(other, type(item)) for other in items):
                advice = f"write `replace {word} ..` to change it"
                raise wrong(f"the program has a `{word}` already", advice, item.span)
        taken = {name: other for other in items for name in declared(other)}
        for name in declared(item):
            if name in taken:
                span = item.name.span if isinstance(item, NAMED_ITEMS) else item.span
                raise Refused(NameInUse(name, f"the name of {kind_of(taken[name])}", span=span))

    def _redeclare(self, edit: ast.RedeclareEdit) -> None:
        item = edit.item
        tree = self._tree
        keys = [item_key(other) for other in tree.program.items]
        if item_key(item) not in keys:
            kind, text = item_key(item)
            span = item.name.span if isinstance(item, NAMED_ITEMS) else item.span
            known = [other for its_kind, other in keys if its_kind == kind]
            raise NoPlace(ast.Name(text, span=span), "the program", known)
        at = keys.index(item_key(item))
        old = tree.program.items[at]
        made: Any = item
        if isinstance(item, ast.Flow) and isinstance(old, ast.Flow) and not item.body.statements:
            made = item.replace(body=old.body)
        tree.keep_around(edit, made)
        tree.keep_around(old, made)
        tree.splice((("items", at),), 1, (made,))

    # ------------------------------------------------------------ dropping

    def _drop(self, place: ast.Place) -> None:
        tree = self._tree
        if not isinstance(place, tuple):
            tree.splice((("items", find_item(tree.program, place)),), 1, ())
            return
        try:
            spot = self._find(place)
        except NoPlace:
            if not self._drop_property(place):
                raise
            return
        *above, (field, at) = spot.steps
        if spot.kind == OTHERWISE:
            tree.change(above, lambda node: node.replace(orelse=None))
        elif spot.kind == OPTION:
            options = options_of(spot.owner.value)  # type: ignore[attr-defined]
            kept = (*options[:at], *options[at + 1 :])
            tree.change(above, lambda node: node.replace(value=_with_options(node.value, kept)))
        else:
            if spot.kind in (FIELD, WORD) and len(getattr(spot.owner, field)) == 1:
                problem = f"`{dotted(place)}` is the last {spot.kind} of its type"
                raise wrong(problem, "drop the type", place_span(place))
            tree.splice(spot.steps, 1, ())

    def _drop_property(self, path: ast.Path) -> bool:
        """Drop a property if an address names one; say whether it did."""
        if len(path) < 2:
            return False
        try:
            spot = self._find(path[:-1])
        except NoPlace:
            return False
        name = path[-1].text
        if name not in properties.properties_of(spot.node) or properties.get(spot.node, name) is None:
            return False
        self._with_property(spot, path, None)
        return True

    # ------------------------------------------------------------ statements

    def _replace(self, path: ast.Path, value: ast.Rhs) -> None:
        spot = self._find(path)
        change: dict[str, Any]
        match spot.kind, spot.node:
            case "statement", (ast.Bind() | ast.Return()):
                change = {"value": value}
            case "statement", ast.Append():
                change = {"value": _single(path, value)}
            case "statement", ast.Until():
                change = {"condition": _single(path, value)}
            case "statement", ast.For():
                change = {"items": _single(path, value)}
            case "statement", ast.Match():
                change = {"subject": _single(path, value)}
            case "branch", _:
                change = {"condition": _single(path, value)}
            case "statement", ast.If():
                expr = _single(path, value)
                self._tree.change((*spot.steps, ("branches", 0)), lambda node: node.replace(condition=expr))
                return
            case "option", _:
                *above, (_, at) = spot.steps
                options = options_of(spot.owner.value)  # type: ignore[attr-defined]
                made = (*options[:at], _single(path, value), *options[at + 1 :])
                self._tree.change(above, lambda node: node.replace(value=_with_options(node.value, made)))
                return
            case _:
                advice = "write `replace agent ..`, a whole declaration" if spot.kind == ITEM else _set_instead(spot)
                problem = f"`{dotted(path)}` is {article(spot.kind)} without a right-hand side"
                raise wrong(problem, advice, place_span(path))
        self._tree.change(spot.steps, lambda node: node.replace(**change))

    def _substitute(self, path: ast.Path, body: ast.Block) -> None:
        tree = self._tree
        try:
            spot = self._find(path)
        except NoPlace:
            spot = self._without_else(path)
            tree.change(spot.steps, lambda node: node.replace(orelse=body))
            return
        match spot.kind:
            case "statement":
                if body.statements:
                    tree.keep_around(spot.node, body.statements[0])
                tree.splice(spot.steps, 1, body.statements)
            case "branch" | "arm":
                tree.change((*spot.steps, ("body", WHOLE)), lambda node: body)
            case "else":
                tree.change(spot.steps, lambda node: body)
            case _:
                problem = f"`{dotted(path)}` is {article(spot.kind)}; statements can only stand in place of statements"
                raise wrong(problem, "name a statement of a flow, or a branch", place_span(path))

    def _without_else(self, path: ast.Path) -> Spot:
        """Return the `if` or `match` whose missing `else` an address names; raises NoPlace for any other address."""
        if path[-1].text == "else" and len(path) > 2:
            spot = self._find(path[:-1])
            if spot.kind == STATEMENT and isinstance(spot.node, ast.If | ast.Match) and spot.node.orelse is None:
                return spot
        self._find(path)
        raise AssertionError("the address was not found before")

    def _insert(self, edit: ast.InsertEdit) -> None:
        spot = self._statement(edit.path, f"`{edit.where}` puts statements beside another one")
        *above, (field, at) = spot.steps
        self._tree.splice((*above, (field, at + (edit.where == "after"))), 0, edit.body.statements)

    def _wrap(self, edit: ast.WrapEdit) -> None:
        spot = self._statement(edit.path, "`wrap` puts a statement into a block")
        block = ast.Block((spot.node,), span=edit.opener.span)  # type: ignore[arg-type]
        opener = edit.opener
        made: Node
        if isinstance(opener, ast.If):
            made = opener.replace(branches=(opener.branches[0].replace(body=block),))
        else:
            made = opener.replace(body=block)
        self._tree.keep(opener, made)
        self._tree.splice(spot.steps, 1, (made,))

    def _otherwise(self, edit: ast.ElseEdit) -> None:
        spot = self._statement(edit.path, "`otherwise` gives a step another option")
        if not isinstance(spot.node, ast.Bind | ast.Return):
            advice = "name a statement that binds or returns something"
            raise wrong(f"`{dotted(edit.path)}` has no step", advice, place_span(edit.path))
        more = options_of(edit.value)
        self._tree.change(
            spot.steps,
            lambda node: node.replace(value=_with_options(node.value, (*options_of(node.value), *more))),
        )

    def _redo(self, edit: ast.RedoEdit) -> None:
        spot = self._find(edit.path)
        if spot.kind not in (STATEMENT, BRANCH, OTHERWISE, ARM, OPTION):
            problem = f"`{dotted(edit.path)}` is {article(spot.kind)}; `redo` runs a step again"
            raise wrong(problem, "name a step, or a construct around steps", place_span(edit.path))


def _with_options(value: Any, options: tuple[ast.Expr, ...]) -> Any:
    """Return a right-hand side with other options to try."""
    if isinstance(value, ast.Sample | ast.Each):
        return value.replace(body=_with_options(value.body, options))
    if len(options) == 1:
        return options[0]
    return value.replace(options=options) if isinstance(value, ast.Fallback) else ast.Fallback(options, span=value.span)


def _single(path: ast.Path, value: ast.Rhs) -> ast.Expr:
    if isinstance(value, ast.Sample | ast.Each | ast.Fallback):
        raise Refused(WrongValue(dotted(path), "an expression, without `of`, `each` or `else`", span=value.span))
    return value


def _instead(spot: Spot, path: ast.Path, known: Sequence[str]) -> str:
    near = nearest(path[-1].text, known)
    if near is not None:
        return f"did you mean `{near}`?"
    if known:
        return f"there are {', '.join(f'`{name}`' for name in known)}"
    return "`replace .. = ..` changes what a statement does" if spot.kind == STATEMENT else "replace the declaration"


def _set_instead(spot: Spot) -> str:
    known = properties.properties_of(spot.node)
    return f"`set` changes {', '.join(f'`{name}`' for name in known)}" if known else "name a statement"
