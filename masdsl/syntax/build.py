"""Builders of documents, bindings and patches; the others come with it: one function for each rule of the grammar."""

from __future__ import annotations

from typing import Any

from masdsl.node import Span
from masdsl.syntax import ast, build_declarations, build_statements, build_values
from masdsl.syntax.rules import BUILDERS, LEAVES, Builder, Children, Site, in_order, rule

__all__ = ["BUILDERS", "LEAVES", "Site"]

PARTS = (build_declarations, build_statements, build_values)
"""The modules of the other builders, which register themselves."""


@rule("program")
def _program(site: Site, children: Children, span: Span) -> ast.Program:
    return ast.Program(children[0].value, tuple(children[1:]), span=span)


@rule("binding")
def _binding(site: Site, children: Children, span: Span) -> ast.Binding:
    return ast.Binding(children[0].value, tuple(children[1:]), span=span)


@rule("patch")
def _patch(site: Site, children: Children, span: Span) -> ast.Patch:
    base = children[1] if len(children) > 1 and isinstance(children[1], ast.StrLit) else None
    return ast.Patch(children[0].value, base, tuple(children[2 if base else 1 :]), span=span)


@rule("chunk", "number")
def _only(site: Site, children: Children, span: Span) -> Any:
    return children[0] if children else None


# ---------------------------------------------------------------- bindings and patches


@rule("assignment")
def _assignment(site: Site, children: Children, span: Span) -> ast.Assignment:
    return ast.Assignment(children[0], children[1], span=span)


@rule("set")
def _set(site: Site, children: Children, span: Span) -> ast.SetEdit:
    return ast.SetEdit(children[0], children[1], span=span)


@rule("rebind")
def _rebind(site: Site, children: Children, span: Span) -> ast.BindEdit:
    whole = children[0].span.to(children[1].span)
    return ast.BindEdit(ast.Assignment(children[0], children[1], span=whole), span=span)


@rule("add")
def _add(site: Site, children: Children, span: Span) -> ast.AddEdit | None:
    return ast.AddEdit(children[0], span=span) if children else None  # None: the declaration is faulty


def _add_of(where: str) -> Builder:
    def build(site: Site, children: Children, span: Span) -> ast.AddEdit | None:
        place, *item = children
        return ast.AddEdit(item[0], where, place, span=span) if item else None

    return build


BUILDERS["add_after"] = _add_of("after")
BUILDERS["add_before"] = _add_of("before")


@rule("test_place")
def _test_place(site: Site, children: Children, span: Span) -> ast.TestPlace:
    return ast.TestPlace(children[0], children[1].value if len(children) > 1 else None, span=span)


@rule("use_place")
def _use_place(site: Site, children: Children, span: Span) -> ast.UsePlace:
    path = tuple(child for child in children if isinstance(child, ast.Name))
    number = children[-1].value if len(children) > len(path) else None
    return ast.UsePlace(path, number, span=span)


def _word_place(word: str) -> Builder:
    def build(site: Site, children: Children, span: Span) -> ast.Path:
        return (ast.Name(word, span=span),)

    return build


BUILDERS["budget_place"] = _word_place("budget")
BUILDERS["rectify_place"] = _word_place("rectify")


@rule("drop")
def _drop(site: Site, children: Children, span: Span) -> ast.DropEdit:
    return ast.DropEdit(children[0], span=span)


@rule("replace")
def _replace(site: Site, children: Children, span: Span) -> ast.ReplaceEdit:
    return ast.ReplaceEdit(children[0], children[1], span=span)


@rule("substitute")
def _substitute(site: Site, children: Children, span: Span) -> ast.SubstituteEdit:
    path, brace, *statements, closing = children
    return ast.SubstituteEdit(path, ast.Block(tuple(statements), span=brace.to(closing)), span=span)


@rule("redeclare")
def _redeclare(site: Site, children: Children, span: Span) -> ast.RedeclareEdit | None:
    return ast.RedeclareEdit(children[0], span=span) if children else None


def _insert_of(where: str) -> Builder:
    def build(site: Site, children: Children, span: Span) -> ast.InsertEdit:
        path, brace, *statements, closing = children
        return ast.InsertEdit(where, path, ast.Block(tuple(statements), span=brace.to(closing)), span=span)

    return build


BUILDERS["after"] = _insert_of("after")
BUILDERS["before"] = _insert_of("before")


@rule("wrap")
def _wrap(site: Site, children: Children, span: Span) -> ast.WrapEdit:
    return ast.WrapEdit(children[0], children[1], span=span)


@rule("otherwise")
def _otherwise(site: Site, children: Children, span: Span) -> ast.ElseEdit:
    return ast.ElseEdit(children[0], children[1], span=span)


@rule("rename")
def _rename(site: Site, children: Children, span: Span) -> ast.RenameEdit:
    return ast.RenameEdit(children[0], children[1], span=span)


@rule("redo")
def _redo(site: Site, children: Children, span: Span) -> ast.RedoEdit:
    return ast.RedoEdit(children[0], span=span)


@rule("rebudget")
def _rebudget(site: Site, children: Children, span: Span) -> ast.BudgetEdit:
    return ast.BudgetEdit(in_order(children), span=span)
