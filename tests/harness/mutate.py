"""Random changes of programs, as people and models make them, on syntax trees.

`mutated(program, random, times)` returns a program that declares no name twice. It need not be well typed: patches are
about what is written.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from masdsl.node import Node
from masdsl.patch.places import NAMED_ITEMS
from masdsl.patch.rename import Names, local_names, renamed
from masdsl.syntax import ast
from masdsl.syntax.walk import find_all


def mutated(program: ast.Program, random: Random, times: int = 3) -> ast.Program:
    """Return a program after some random changes."""
    for _ in range(times):
        program = random.choice(CHANGES)(program, random)
    return program


# ---------------------------------------------------------------- statements


def _in_some_block(program: ast.Program, random: Random, change: Callable[[list[Any]], None]) -> ast.Program:
    """Change the statements of one block of one flow."""
    flows = [at for at, item in enumerate(program.items) if isinstance(item, ast.Flow)]
    if not flows:
        return program
    at = random.choice(flows)
    blocks = list(find_all(program.items[at], ast.Block))
    chosen = random.choice(blocks)

    def rebuilt(node: Any) -> Any:
        if node is chosen:
            statements = list(node.statements)
            change(statements)
            return node.replace(statements=tuple(statements))
        changes = {}
        for field in node._fields:
            value = getattr(node, field)
            if isinstance(value, Node):
                changes[field] = rebuilt(value)
            elif isinstance(value, tuple):
                changes[field] = tuple([rebuilt(part) if isinstance(part, Node) else part for part in value])
        return node.replace(**changes)

    return _with_item(program, at, rebuilt(program.items[at]))


def _with_item(program: ast.Program, at: int, item: Any) -> ast.Program:
    return program.replace(items=(*program.items[:at], item, *program.items[at + 1 :]))


def _some_value(program: ast.Program, random: Random) -> ast.Rhs:
    values: list[ast.Rhs] = [bind.value for bind in find_all(program, ast.Bind)]
    return random.choice([*values, ast.IntLit(random.randrange(9)), ast.Var(ast.Name("q"))])


def _fresh(program: ast.Program, random: Random) -> str:
    taken = {name.text for name in find_all(program, ast.Name)}
    return next(name for name in iter(lambda: f"n{random.randrange(10_000)}", "") if name not in taken)


def add_statements(program: ast.Program, random: Random) -> ast.Program:
    """Put one to three statements somewhere."""

    def change(statements: list[Any]) -> None:
        at = random.randrange(len(statements) + 1)
        for _ in range(1 + random.randrange(3)):
            name = ast.Name(_fresh(program, random))
            statements.insert(at, random.choice([
                ast.Bind(name, _some_value(program, random)),
                ast.Append(name, ast.ListLit(())),
                ast.Until(ast.BoolLit(True)),
                ast.Loop(None, ast.IntLit(2), ast.Block((ast.Bind(name, _some_value(program, random)),))),
                ast.If(None, (ast.Branch(ast.BoolLit(True), ast.Block(())),), None),
            ]))  # fmt: skip

    return _in_some_block(program, random, change)


def drop_statement(program: ast.Program, random: Random) -> ast.Program:
    """Take a statement away."""

    def change(statements: list[Any]) -> None:
        if statements:
            del statements[random.randrange(len(statements))]

    return _in_some_block(program, random, change)


def move_statement(program: ast.Program, random: Random) -> ast.Program:
    """Put a statement elsewhere in its block."""

    def change(statements: list[Any]) -> None:
        if statements:
            node = statements.pop(random.randrange(len(statements)))
            statements.insert(random.randrange(len(statements) + 1), node)

    return _in_some_block(program, random, change)


def wrap_statement(program: ast.Program, random: Random) -> ast.Program:
    """Put a statement into a construct, or what is in a construct in its place."""

    def change(statements: list[Any]) -> None:
        if not statements:
            return
        at = random.randrange(len(statements))
        node = statements[at]
        if isinstance(node, ast.Loop | ast.For | ast.Within) and random.randrange(2):
            statements[at : at + 1] = node.body.statements
            return
        label = ast.Name(_fresh(program, random)) if random.randrange(2) else None
        body = ast.Block((node,))
        limits = (ast.Limit("calls", ast.IntLit(7)),)
        statements[at] = random.choice([
            ast.Loop(label, ast.IntLit(3), body),
            ast.Within(label, limits, body),
            ast.If(label, (ast.Branch(ast.BoolLit(False), body),), None),
        ])  # fmt: skip

    return _in_some_block(program, random, change)


def change_statement(program: ast.Program, random: Random) -> ast.Program:
    """Change what a statement does."""

    def change(statements: list[Any]) -> None:
        if not statements:
            return
        at = random.randrange(len(statements))
        statements[at] = _changed(statements[at], program, random)

    return _in_some_block(program, random, change)


def _changed(node: Any, program: ast.Program, random: Random) -> Any:
    match node:
        case ast.Bind() | ast.Return():
            return node.replace(value=_other_value(node.value, program, random))
        case ast.Append():
            return node.replace(value=ast.ListLit((ast.IntLit(random.randrange(9)),)))
        case ast.Until():
            return node.replace(condition=ast.Not(node.condition))
        case ast.Loop():
            return node.replace(times=ast.IntLit(1 + random.randrange(9)))
        case ast.For():
            return node.replace(items=ast.ListLit(()))
        case ast.Within():
            kinds = random.sample(ast.LIMIT_ORDER, 1 + random.randrange(3))
            limits = [ast.Limit(kind, ast.IntLit(random.randrange(9))) for kind in ast.LIMIT_ORDER if kind in kinds]
            return node.replace(limits=tuple(limits))
        case ast.If():
            return _other_if(node, random)
        case ast.Match():
            arms = node.arms[: random.randrange(len(node.arms) + 1)]
            return random.choice(
                [node.replace(arms=arms), node.replace(orelse=ast.Block(())), node.replace(orelse=None)]
            )


def _other_if(node: ast.If, random: Random) -> ast.If:
    at = random.randrange(len(node.branches))
    branch = node.branches[at].replace(condition=ast.BoolLit(bool(random.randrange(2))))
    fewer = node.branches[:at] + node.branches[at + 1 :]
    return random.choice([
        node.replace(branches=(*node.branches[:at], branch, *node.branches[at + 1 :])),
        node.replace(branches=(*node.branches, branch)),
        node.replace(branches=fewer or node.branches),
        node.replace(orelse=None),
        node.replace(orelse=node.branches[0].body),
        node.replace(label=ast.Name(f"label{random.randrange(9)}") if node.label is None else None),
    ])  # fmt: skip


def _other_value(value: Any, program: ast.Program, random: Random) -> Any:
    other = _some_value(program, random)
    plain = other if not isinstance(other, ast.Sample | ast.Each | ast.Fallback) else ast.NoneLit()
    if isinstance(value, ast.Sample):
        return value.replace(count=ast.IntLit(1 + random.randrange(9)))
    if isinstance(value, ast.Each):
        return value.replace(body=plain)
    if isinstance(value, ast.Fallback):
        at = random.randrange(len(value.options))
        options = (*value.options[:at], plain, *value.options[at + 1 :])
        fewer = value.options[:at] + value.options[at + 1 :]
        return random.choice(
            [value.replace(options=options), fewer[0] if len(fewer) == 1 else value.replace(options=fewer), other]
        )
    return random.choice([other, ast.Fallback((value, plain)), ast.Sample(ast.IntLit(2), value)])


# ---------------------------------------------------------------- declarations


def change_declaration(program: ast.Program, random: Random) -> ast.Program:
    """Change an agent, a tool, a type, a budget or the head of a flow."""
    if not program.items:
        return program
    at = random.randrange(len(program.items))
    item: Any = program.items[at]
    match item:
        case ast.Agent():
            attrs = {attr.key: attr for attr in item.attrs}
            values: list[tuple[str, ast.Name | ast.FloatLit | ast.IntLit]] = [
                ("on", ast.Name("smart")),
                ("temp", ast.FloatLit(0.5)),
                ("retry", ast.IntLit(2)),
            ]
            key, value = random.choice(values)
            if not attrs.pop(key, None) or random.randrange(2):
                attrs[key] = ast.Attr(key, value)
            ordered = sorted(attrs.values(), key=lambda attr: ast.ATTRIBUTE_ORDER.index(attr.key))
            item = random.choice([
                item.replace(attrs=tuple(ordered)),
                item.replace(prompt=ast.StrLit("Other words.\nOn two lines.")),
                item.replace(params=item.params[1:]),
                item.replace(statics=() if item.statics else (ast.Static(ast.Name("T"), None),)),
                item.replace(output=item.output.replace(default=ast.StrLit("x"))),
                item.replace(output=item.output.replace(default=None)),
            ])  # fmt: skip
        case ast.Variant():
            item = random.choice([
                item.replace(attrs=(ast.Attr("on", ast.Name(random.choice(["fast", "smart"]))),)),
                item.replace(prompt=random.choice([None, ast.StrLit("Other words.")])),
                item.replace(base=ast.Name(_fresh(program, random))),
            ])  # fmt: skip
        case ast.Tool():
            item = random.choice([item.replace(source=ast.StrLit("other")), item.replace(attrs=())])
        case ast.Extern():
            params = (*item.params, ast.Param(ast.Name(_fresh(program, random)), None, None))
            item = item.replace(params=random.choice([item.params[1:] or params, params]))
        case ast.RecordDecl():
            fields = (*item.fields, ast.Field(ast.Name(_fresh(program, random)), None))
            item = item.replace(fields=random.choice([item.fields[1:] or fields, fields]))
        case ast.EnumDecl():
            words = (*item.words, ast.Name(_fresh(program, random)))
            item = item.replace(words=random.choice([item.words[1:] or words, words]))
        case ast.Budget():
            item = item.replace(limits=(ast.Limit("tokens", ast.IntLit(random.randrange(9_000))),))
        case ast.Flow():
            item = random.choice([
                item.replace(budget=ast.Budget((ast.Limit("calls", ast.IntLit(random.randrange(9))),))),
                item.replace(budget=None),
                item.replace(output=item.output.replace(default=ast.StrLit("x"))),
                item.replace(params=(*item.params, ast.Param(ast.Name(_fresh(program, random)), None, None))),
            ])  # fmt: skip
    return _with_item(program, at, item)


def add_declaration(program: ast.Program, random: Random) -> ast.Program:
    """Put a declaration somewhere."""
    name = ast.Name(_fresh(program, random))
    out = ast.Output(ast.NamedType(ast.Name("int"), None), None)
    test = ast.Test(ast.StrLit(random.choice(["a", "b"])), (), ast.Block(()), (ast.Expect(ast.BoolLit(True)),))
    item = random.choice([
        ast.Agent(name, (), out, (), ast.StrLit("Go.")),
        ast.Tool(name, (), out, ast.StrLit("there"), ()),
        ast.Extern(name, (), (), out.type),
        ast.Variant(name, ast.Name(_fresh(program, random)), (ast.Attr("on", ast.Name("fast")),), None),
        ast.Flow(name, (), (), out, None, ast.Block((ast.Return(ast.IntLit(1)),))),
        ast.EnumDecl(ast.Name(name.text.upper()), (ast.Name("a"), ast.Name("b"))),
        ast.Use((ast.Name("std"), name), ()),
        test,
    ])  # fmt: skip
    at = random.randrange(len(program.items) + 1)
    return program.replace(items=(*program.items[:at], item, *program.items[at:]))


def drop_declaration(program: ast.Program, random: Random) -> ast.Program:
    """Take a declaration away."""
    if not program.items:
        return program
    at = random.randrange(len(program.items))
    return program.replace(items=program.items[:at] + program.items[at + 1 :])


def move_declaration(program: ast.Program, random: Random) -> ast.Program:
    """Put a declaration elsewhere."""
    items = list(program.items)
    if items:
        item = items.pop(random.randrange(len(items)))
        items.insert(random.randrange(len(items) + 1), item)
    return program.replace(items=tuple(items))


def rename(program: ast.Program, random: Random) -> ast.Program:
    """Give a declaration, or a name in a flow, another name."""
    new = _fresh(program, random)
    named = [item for item in program.items if isinstance(item, NAMED_ITEMS)]
    if not named:
        return program
    item = random.choice(named)
    if isinstance(item, ast.Flow) and random.randrange(3) and local_names(item):
        old = random.choice(sorted(local_names(item)))
        params = {part.name.text for part in (*item.params, *item.statics)}  # type: ignore[attr-defined]
        table = {item.name.text: {old: new}}
        return renamed(program, Names(parameters=table) if old in params else Names(locals=table))
    upper = isinstance(item, ast.RecordDecl | ast.EnumDecl)
    return renamed(program, Names(declared={item.name.text: new.upper() if upper else new}))


CHANGES: list[Callable[[ast.Program, Random], ast.Program]] = [
    *(add_statements, drop_statement, move_statement, wrap_statement, change_statement, change_statement),
    *(change_declaration, add_declaration, drop_declaration, move_declaration, rename),
]
