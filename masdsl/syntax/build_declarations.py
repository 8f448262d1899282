"""Builders of declarations, types and tests.

Where a rule leaves parts out, the classes of the children tell which ones are there.
"""

from __future__ import annotations

from typing import Any

from masdsl.node import Node, Span
from masdsl.syntax import ast
from masdsl.syntax.rules import BUILDERS, Builder, Children, Site, in_order, rule


@rule("use")
def _use(site: Site, children: Children, span: Span) -> ast.Use:
    path = tuple(child for child in children if isinstance(child, ast.Name))
    return ast.Use(path, tuple(children[len(path) :]), span=span)


@rule("import_name")
def _import_name(site: Site, children: Children, span: Span) -> ast.ImportName:
    return ast.ImportName(children[0], children[1] if len(children) > 1 else None, span=span)


@rule("record_decl")
def _record_decl(site: Site, children: Children, span: Span) -> ast.RecordDecl:
    name, _, fields, _ = children
    return ast.RecordDecl(name, fields, span=span)


@rule("enum_decl")
def _enum_decl(site: Site, children: Children, span: Span) -> ast.EnumDecl:
    return ast.EnumDecl(children[0], tuple(children[1:]), span=span)


@rule("fields", "params", "statics", "path")
def _tuple(site: Site, children: Children, span: Span) -> tuple[Any, ...]:
    return tuple(children)


@rule("field")
def _field(site: Site, children: Children, span: Span) -> ast.Field:
    return ast.Field(children[0], _unless_text(_type_of(children[1])) if len(children) > 1 else None, span=span)


def _type_of(value: Any) -> Any:
    """A type that is a name alone comes as that name."""
    return ast.NamedType(value, None, span=value.span) if isinstance(value, ast.Name) else value


def _unless_text(kind: Any) -> Any:
    """`x: text` says no more than `x`, so both are one tree, and `fmt` has one spelling for them."""
    return None if isinstance(kind, ast.NamedType) and kind.size is None and kind.name.text == "text" else kind


@rule("sized_type")
def _sized_type(site: Site, children: Children, span: Span) -> ast.NamedType:
    return ast.NamedType(children[0], children[1], span=span)


@rule("list_cap")
def _list_cap(site: Site, children: Children, span: Span) -> tuple[Any, bool, Span]:
    return children[0], len(children) > 1, span


@rule("type")
def _type(site: Site, children: Children, span: Span) -> Any:
    whole = _type_of(children[0])
    for suffix in children[1:]:
        if suffix == "?":
            made: Node = ast.OptionalType(whole, span=span)
        else:
            size, nonempty, place = suffix
            made = ast.ListType(whole, size, nonempty, span=Span(span.start, place.end))
        if not site.raised(made, (whole,)):
            return whole
        whole = made
    return whole


@rule("param")
def _param(site: Site, children: Children, span: Span) -> ast.Param:
    kind, default = _optional_type(children[1:])
    return ast.Param(children[0], _unless_text(kind), default, span=span)


_TYPES = (ast.NamedType, ast.ListType, ast.OptionalType, ast.RecordType, ast.AgentType)


def _optional_type(parts: Children) -> tuple[Any, Any]:
    if parts and isinstance(parts[0], _TYPES):
        return parts[0], parts[1] if len(parts) > 1 else None
    return None, parts[0] if parts else None


@rule("agent_type")
def _agent_type(site: Site, children: Children, span: Span) -> ast.AgentType:
    return ast.AgentType(tuple(children[:-1]), children[-1], span=span)


@rule("output")
def _output(site: Site, children: Children, span: Span) -> ast.Output:
    return ast.Output(children[0], children[1] if len(children) > 1 else None, span=span)


@rule("outputs")
def _outputs(site: Site, children: Children, span: Span) -> ast.RecordType:
    return ast.RecordType(children[0], span=span)


@rule("tool")
def _tool(site: Site, children: Children, span: Span) -> ast.Tool:
    name, params, output, source, *attrs = children
    return ast.Tool(name, params, output, source, in_order(attrs), span=span)


@rule("agent")
def _agent(site: Site, children: Children, span: Span) -> ast.Agent:
    name, *rest, prompt = children
    statics = rest.pop(0) if isinstance(rest[1], tuple) else ()
    params, output, *attrs = rest
    return ast.Agent(name, params, output, in_order(attrs), prompt, statics, span=span)


@rule("variant")
def _variant(site: Site, children: Children, span: Span) -> ast.Variant:
    name, base, *attrs = children
    prompt = attrs.pop() if attrs and isinstance(attrs[-1], ast.StrLit) else None
    return ast.Variant(name, base, in_order(attrs), prompt, span=span)


@rule("extern")
def _extern(site: Site, children: Children, span: Span) -> ast.Extern:
    name, *statics, params, returns = children
    return ast.Extern(name, statics[0] if statics else (), params, _type_of(returns), span=span)


def _attribute_of(key: str) -> Builder:
    def build(site: Site, children: Children, span: Span) -> ast.Attr:
        return ast.Attr(key, children[0] if children else None, span=span)

    return build


for _key in ("effect", "timeout", "on", "role", "temp", "max", "retry", "steps"):
    BUILDERS[_key] = _attribute_of(_key)


@rule("tools")
def _tools(site: Site, children: Children, span: Span) -> ast.Attr:
    return ast.Attr("tools", tuple(children), span=span)


@rule("budget")
def _budget(site: Site, children: Children, span: Span) -> ast.Budget:
    return ast.Budget(in_order(children), span=span)


@rule("limit")
def _limit(site: Site, children: Children, span: Span) -> ast.Limit:
    return ast.Limit(children[0], children[1], span=span)


@rule("limit_kind")
def _limit_kind(site: Site, children: Children, span: Span) -> str:
    return str(children[0])


@rule("rectify")
def _rectify(site: Site, children: Children, span: Span) -> ast.Rectify:
    return ast.Rectify(children[0].value, children[1].value if len(children) > 1 else None, span=span)


@rule("static")
def _static(site: Site, children: Children, span: Span) -> ast.Static:
    return ast.Static(children[0], children[1].value if len(children) > 1 else None, span=span)


@rule("flow_head")
def _flow_head(site: Site, children: Children, span: Span) -> ast.Flow:
    """A flow whose body is still to come: an empty block where the opening brace is."""
    name, *rest, brace = children
    statics = rest.pop(0) if isinstance(rest[1], tuple) else ()
    params, output, *budget = rest
    return ast.Flow(name, statics, params, output, budget[0] if budget else None, ast.Block((), span=brace), span=span)


@rule("flow")
def _flow(site: Site, children: Children, span: Span) -> ast.Flow:
    head = children[0]
    body = ast.Block(tuple(children[1:-1]), span=head.body.span.to(children[-1]))
    return ast.Flow(head.name, head.statics, head.params, head.output, head.budget, body, span=span)


@rule("test_head")
def _test_head(site: Site, children: Children, span: Span) -> ast.Test:
    return ast.Test(children[0], (), ast.Block((), span=children[1]), (), span=span)


@rule("test")
def _test(site: Site, children: Children, span: Span) -> ast.Test:
    head, *inner, brace = children
    givens = tuple(part for part in inner if isinstance(part, ast.Given))
    expects = tuple(part for part in inner if isinstance(part, ast.Expect))
    statements = tuple(inner[len(givens) : len(inner) - len(expects)])
    return ast.Test(head.title, givens, ast.Block(statements, span=head.body.span.to(brace)), expects, span=span)


def _given_of(mode: str) -> Builder:
    def build(site: Site, children: Children, span: Span) -> ast.Given:
        return ast.Given(children[0], mode, children[1] if len(children) > 1 else None, span=span)

    return build


BUILDERS["given_value"] = _given_of("value")
BUILDERS["given_reply"] = _given_of("replies")
BUILDERS["given_failure"] = _given_of("fails")


@rule("expect")
def _expect(site: Site, children: Children, span: Span) -> ast.Expect:
    return ast.Expect(children[0], span=span)
