"""Builds the syntax tree while the parser reduces: one function for each rule of `grammar/mas.lark`.

The parser calls `BUILDERS[rule](site, children, span)`. `children` are the values of the rule's right side as written,
with repetitions flattened into it and without punctuation and keywords, which carry no value. `LEAVES` says what a
token's value is; a brace is its span. Where a rule leaves parts out, the classes of the children tell which ones are
there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from masdsl import limits
from masdsl.node import Node, Span
from masdsl.syntax import ast, strings

Children: TypeAlias = list[Any]


class Site:
    """What builders share during one parse: the height of each expression so far, and where to complain.

    `complain(kind, span, text)` gets the name of a fault and the text that is at fault.
    """

    __slots__ = ("_complained", "_heights", "complain")

    def __init__(self, complain: Callable[[str, Span, str], None]) -> None:
        self.complain = complain
        self._complained = False  # one such diagnostic is enough, whatever its size
        self._heights: dict[int, tuple[int, Node]] = {}  # the node is kept so that its id stays its own

    def raised(self, node: Node, parts: tuple[Node, ...] | list[Node]) -> bool:
        """Note the height of a node over its parts. False, with a complaint, if it would be too high to build on."""
        heights = self._heights
        height = 0
        for part in parts:
            known = heights.get(id(part))
            if known and known[0] > height:
                height = known[0]
        if height + 1 >= limits.EXPRESSION_DEPTH:
            if not self._complained:
                self._complained = True
                self.complain("depth", node.span, "")
            return False
        heights[id(node)] = (height + 1, node)
        return True


Builder: TypeAlias = Callable[[Site, Children, Span], Any]
BUILDERS: dict[str, Builder] = {}


def _rule(*names: str) -> Callable[[Builder], Builder]:
    def register(builder: Builder) -> Builder:
        for name in names:
            BUILDERS[name] = builder
        return builder

    return register


# ---------------------------------------------------------------- tokens


def _text(site: Site, text: str, span: Span) -> str:
    return text


def _name(site: Site, text: str, span: Span) -> ast.Name:
    return ast.Name(text, span=span)


def _brace(site: Site, text: str, span: Span) -> Span:
    return span


def _integer(site: Site, text: str, span: Span) -> ast.IntLit:
    if len(text) > limits.INTEGER_DIGITS and len(text.lstrip("0")) > limits.INTEGER_DIGITS:
        site.complain("digits", span, text)
        return ast.IntLit(0, span=span)
    return ast.IntLit(int(text), span=span)


def _scaled(site: Site, text: str, span: Span) -> ast.IntLit:
    zeros = "000" if text[-1] == "k" else "000000"
    return _integer(site, text[:-1] + zeros, span)


def _float(site: Site, text: str, span: Span) -> ast.FloatLit:
    whole, _, fraction = text.partition(".")
    if len(whole) > limits.INTEGER_DIGITS:
        site.complain("digits", span, text)
        return ast.FloatLit(0.0, span=span)
    if len(fraction) > limits.FRACTION_DIGITS:
        site.complain("fraction", span, text)
        return ast.FloatLit(0.0, span=span)
    return ast.FloatLit(float(text), span=span)


def _percent(site: Site, text: str, span: Span) -> ast.FloatLit:
    if len(text) - 1 > limits.INTEGER_DIGITS:
        site.complain("digits", span, text)
        return ast.FloatLit(0.0, span=span)
    return ast.FloatLit(int(text[:-1]) / 100, span=span)


def _string(site: Site, text: str, span: Span) -> ast.StrLit:
    value, faults = strings.decode(text)
    for fault in faults:
        start = span.start + fault.offset
        site.complain("escape", Span(start, start + len(fault.text)), fault.text)
    if len(value) * 4 > limits.STRING_BYTES and len(value.encode("utf-8")) > limits.STRING_BYTES:
        site.complain("string", span, str(len(value.encode("utf-8"))))
        value = ""
    return ast.StrLit(value, span=span)


LEAVES: dict[str, Callable[[Site, str, Span], Any]] = {
    "NAME": _name,
    "TYPENAME": _name,
    "INT": _integer,
    "SCALED": _scaled,
    "FLOAT": _float,
    "PERCENT": _percent,
    "STRING": _string,
    "TRUE": lambda site, text, span: ast.BoolLit(True, span=span),
    "FALSE": lambda site, text, span: ast.BoolLit(False, span=span),
    "NONE": lambda site, text, span: ast.NoneLit(span=span),
    "LBRACE": _brace,
    "RBRACE": _brace,
}
LEAVES.update(
    dict.fromkeys(("OPT", "PLUS", "MINUS", "STAR", "SLASH", "CMP", "CALLS", "TOKENS", "USD", "SECONDS"), _text)
)


# ---------------------------------------------------------------- documents


@_rule("program")
def _program(site: Site, children: Children, span: Span) -> ast.Program:
    return ast.Program(children[0].value, tuple(children[1:]), span=span)


@_rule("binding")
def _binding(site: Site, children: Children, span: Span) -> ast.Binding:
    return ast.Binding(children[0].value, tuple(children[1:]), span=span)


@_rule("patch")
def _patch(site: Site, children: Children, span: Span) -> ast.Patch:
    base = children[1] if len(children) > 1 and isinstance(children[1], ast.StrLit) else None
    return ast.Patch(children[0].value, base, tuple(children[2 if base else 1 :]), span=span)


@_rule("chunk", "number")
def _only(site: Site, children: Children, span: Span) -> Any:
    return children[0] if children else None


# ---------------------------------------------------------------- declarations


@_rule("use")
def _use(site: Site, children: Children, span: Span) -> ast.Use:
    path = tuple(child for child in children if isinstance(child, ast.Name))
    return ast.Use(path, tuple(children[len(path) :]), span=span)


@_rule("import_name")
def _import_name(site: Site, children: Children, span: Span) -> ast.ImportName:
    return ast.ImportName(children[0], children[1] if len(children) > 1 else None, span=span)


@_rule("record_decl")
def _record_decl(site: Site, children: Children, span: Span) -> ast.RecordDecl:
    name, _, fields, _ = children
    return ast.RecordDecl(name, fields, span=span)


@_rule("enum_decl")
def _enum_decl(site: Site, children: Children, span: Span) -> ast.EnumDecl:
    return ast.EnumDecl(children[0], tuple(children[1:]), span=span)


@_rule("fields", "params", "statics", "path")
def _tuple(site: Site, children: Children, span: Span) -> tuple[Any, ...]:
    return tuple(children)


@_rule("field")
def _field(site: Site, children: Children, span: Span) -> ast.Field:
    return ast.Field(children[0], _type_of(children[1]) if len(children) > 1 else None, span=span)


def _type_of(value: Any) -> Any:
    """A type that is a name alone comes as that name."""
    return ast.NamedType(value, None, span=value.span) if isinstance(value, ast.Name) else value


@_rule("sized_type")
def _sized_type(site: Site, children: Children, span: Span) -> ast.NamedType:
    return ast.NamedType(children[0], children[1], span=span)


@_rule("list_cap")
def _list_cap(site: Site, children: Children, span: Span) -> tuple[Any, bool, Span]:
    return children[0], len(children) > 1, span


@_rule("type")
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


@_rule("param")
def _param(site: Site, children: Children, span: Span) -> ast.Param:
    kind, default = _optional_type(children[1:])
    return ast.Param(children[0], kind, default, span=span)


_TYPES = (ast.NamedType, ast.ListType, ast.OptionalType, ast.RecordType, ast.AgentType)


def _optional_type(parts: Children) -> tuple[Any, Any]:
    if parts and isinstance(parts[0], _TYPES):
        return parts[0], parts[1] if len(parts) > 1 else None
    return None, parts[0] if parts else None


@_rule("agent_type")
def _agent_type(site: Site, children: Children, span: Span) -> ast.AgentType:
    return ast.AgentType(tuple(children[:-1]), children[-1], span=span)


@_rule("output")
def _output(site: Site, children: Children, span: Span) -> ast.Output:
    return ast.Output(children[0], children[1] if len(children) > 1 else None, span=span)


@_rule("outputs")
def _outputs(site: Site, children: Children, span: Span) -> ast.RecordType:
    return ast.RecordType(children[0], span=span)


_PLACES = {word: place for place, word in enumerate((*ast.ATTRIBUTE_ORDER, *ast.LIMIT_ORDER))}


def _in_order(parts: Children) -> tuple[Any, ...]:
    """Attributes or limits in the one order that trees have them in: programs that differ only in theirs are equal."""
    return tuple(sorted(parts, key=lambda part: _PLACES[part.key if isinstance(part, ast.Attr) else part.kind]))


@_rule("tool")
def _tool(site: Site, children: Children, span: Span) -> ast.Tool:
    name, params, output, source, *attrs = children
    return ast.Tool(name, params, output, source, _in_order(attrs), span=span)


@_rule("agent")
def _agent(site: Site, children: Children, span: Span) -> ast.Agent:
    name, params, output, *attrs, prompt = children
    return ast.Agent(name, params, output, _in_order(attrs), prompt, span=span)


def _attribute_of(key: str) -> Builder:
    def build(site: Site, children: Children, span: Span) -> ast.Attr:
        return ast.Attr(key, children[0] if children else None, span=span)

    return build


for _key in ("effect", "timeout", "on", "role", "temp", "max", "retry", "steps"):
    BUILDERS[_key] = _attribute_of(_key)


@_rule("tools")
def _tools(site: Site, children: Children, span: Span) -> ast.Attr:
    return ast.Attr("tools", tuple(children), span=span)


@_rule("budget")
def _budget(site: Site, children: Children, span: Span) -> ast.Budget:
    return ast.Budget(_in_order(children), span=span)


@_rule("limit")
def _limit(site: Site, children: Children, span: Span) -> ast.Limit:
    return ast.Limit(children[0], children[1], span=span)


@_rule("limit_kind")
def _limit_kind(site: Site, children: Children, span: Span) -> str:
    return str(children[0])


@_rule("rectify")
def _rectify(site: Site, children: Children, span: Span) -> ast.Rectify:
    return ast.Rectify(children[0].value, children[1].value if len(children) > 1 else None, span=span)


@_rule("static")
def _static(site: Site, children: Children, span: Span) -> ast.Static:
    return ast.Static(children[0], children[1].value if len(children) > 1 else None, span=span)


@_rule("flow_head")
def _flow_head(site: Site, children: Children, span: Span) -> ast.Flow:
    """A flow whose body is still to come: an empty block where the opening brace is."""
    name, *rest, brace = children
    statics = rest.pop(0) if isinstance(rest[1], tuple) else ()
    params, output, *budget = rest
    return ast.Flow(name, statics, params, output, budget[0] if budget else None, ast.Block((), span=brace), span=span)


@_rule("flow")
def _flow(site: Site, children: Children, span: Span) -> ast.Flow:
    head = children[0]
    body = ast.Block(tuple(children[1:-1]), span=head.body.span.to(children[-1]))
    return ast.Flow(head.name, head.statics, head.params, head.output, head.budget, body, span=span)


@_rule("test_head")
def _test_head(site: Site, children: Children, span: Span) -> ast.Test:
    return ast.Test(children[0], (), ast.Block((), span=children[1]), (), span=span)


@_rule("test")
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


@_rule("expect")
def _expect(site: Site, children: Children, span: Span) -> ast.Expect:
    return ast.Expect(children[0], span=span)


# ---------------------------------------------------------------- statements


@_rule("bind")
def _bind(site: Site, children: Children, span: Span) -> ast.Bind:
    return ast.Bind(children[0], children[1], span=span)


@_rule("append")
def _append(site: Site, children: Children, span: Span) -> ast.Append:
    return ast.Append(children[0], children[1], span=span)


@_rule("until")
def _until(site: Site, children: Children, span: Span) -> ast.Until:
    return ast.Until(children[0], span=span)


@_rule("return_")
def _return(site: Site, children: Children, span: Span) -> ast.Return:
    return ast.Return(children[0], span=span)


def _empty(span: Span) -> ast.Block:
    """The body of an opener, at its end, until its braces come."""
    return ast.Block((), span=Span(span.end, span.end))


@_rule("loop")
def _loop(site: Site, children: Children, span: Span) -> ast.Loop:
    return ast.Loop(None, children[0], _empty(span), span=span)


@_rule("for_")
def _for(site: Site, children: Children, span: Span) -> ast.For:
    return ast.For(None, children[0], children[1], _empty(span), span=span)


@_rule("within")
def _within(site: Site, children: Children, span: Span) -> ast.Within:
    return ast.Within(None, _in_order(children), _empty(span), span=span)


@_rule("block_opener")
def _block_opener(site: Site, children: Children, span: Span) -> Any:
    head = children[-1]
    return head if len(children) == 1 else head.replace(label=children[0], span=span)


@_rule("block")
def _block(site: Site, children: Children, span: Span) -> Any:
    head, brace, *statements, closing = children
    body = ast.Block(tuple(statements), span=brace.to(closing))
    if isinstance(head, ast.Loop):
        return ast.Loop(head.label, head.times, body, span=span)
    if isinstance(head, ast.For):
        return ast.For(head.label, head.var, head.items, body, span=span)
    return ast.Within(head.label, head.limits, body, span=span)


@_rule("if_opener")
def _if_opener(site: Site, children: Children, span: Span) -> ast.If:
    label = children[0] if len(children) > 1 else None
    condition = children[-1]
    return ast.If(label, (ast.Branch(condition, _empty(span), span=span),), None, span=span)


@_rule("match_opener")
def _match_opener(site: Site, children: Children, span: Span) -> ast.Match:
    return ast.Match(children[0] if len(children) > 1 else None, children[-1], (), None, span=span)


@_rule("choice")
def _choice(site: Site, children: Children, span: Span) -> ast.If:
    head, brace, *rest = children
    orelse = rest.pop() if isinstance(rest[-1], ast.Block) else None
    closing = next(at for at, part in enumerate(rest) if isinstance(part, Span))
    body = ast.Block(tuple(rest[:closing]), span=brace.to(rest[closing]))
    first = ast.Branch(head.branches[0].condition, body, span=Span(span.start, body.span.end))
    return ast.If(head.label, (first, *rest[closing + 1 :]), orelse, span=span)


@_rule("elif_head")
def _elif_head(site: Site, children: Children, span: Span) -> ast.Branch:
    return ast.Branch(children[0], ast.Block((), span=children[1]), span=span)


@_rule("elif")
def _elif(site: Site, children: Children, span: Span) -> ast.Branch:
    head = children[0]
    body = ast.Block(tuple(children[1:-1]), span=head.body.span.to(children[-1]))
    return ast.Branch(head.condition, body, span=span)


@_rule("else_head")
def _else_head(site: Site, children: Children, span: Span) -> ast.Block:
    return ast.Block((), span=children[0])


@_rule("else_")
def _else(site: Site, children: Children, span: Span) -> ast.Block:
    return ast.Block(tuple(children[1:-1]), span=children[0].span.to(children[-1]))


@_rule("arm_head")
def _arm_head(site: Site, children: Children, span: Span) -> ast.Arm:
    return ast.Arm(tuple(children[:-1]), ast.Block((), span=children[-1]), span=span)


@_rule("arm")
def _arm(site: Site, children: Children, span: Span) -> ast.Arm:
    head = children[0]
    body = ast.Block(tuple(children[1:-1]), span=head.body.span.to(children[-1]))
    return ast.Arm(head.words, body, span=span)


@_rule("match_")
def _match(site: Site, children: Children, span: Span) -> ast.Match:
    head, _, *rest, _ = children
    orelse = rest.pop() if rest and isinstance(rest[-1], ast.Block) else None
    return ast.Match(head.label, head.subject, tuple(rest), orelse, span=span)


# ---------------------------------------------------------------- right-hand sides and expressions


@_rule("sample")
def _sample(site: Site, children: Children, span: Span) -> ast.Sample:
    return ast.Sample(children[0], children[1], span=span)


@_rule("each")
def _each(site: Site, children: Children, span: Span) -> ast.Each:
    condition = children[2] if len(children) > 3 else None
    return ast.Each(children[0], children[1], condition, children[-1], span=span)


@_rule("attempt")
def _attempt(site: Site, children: Children, span: Span) -> ast.Fallback:
    return ast.Fallback(tuple(children), span=span)


def _checked(site: Site, node: Any, parts: Any, instead: Any) -> Any:
    """The node, or `instead` where it would make the expression too deep."""
    return node if site.raised(node, parts) else instead


@_rule("expr")
def _or(site: Site, children: Children, span: Span) -> Any:
    return _checked(site, ast.Or(tuple(children), span=span), children, children[0])


@_rule("and_expr")
def _and(site: Site, children: Children, span: Span) -> Any:
    return _checked(site, ast.And(tuple(children), span=span), children, children[0])


@_rule("not_")
def _not(site: Site, children: Children, span: Span) -> Any:
    return _checked(site, ast.Not(children[0], span=span), children, children[0])


@_rule("compare", "sum", "term")
def _binary(site: Site, children: Children, span: Span) -> Any:
    left = children[0]
    for at in range(1, len(children), 2):
        right = children[at + 1]
        made = ast.Binary(left, children[at], right, span=Span(span.start, right.span.end))
        if not site.raised(made, (left, right)):
            break
        left = made
    return left


@_rule("negate")
def _negate(site: Site, children: Children, span: Span) -> Any:
    operand = children[1]
    if isinstance(operand, ast.IntLit) and operand.value >= 0:
        return ast.IntLit(-operand.value, span=span)
    if isinstance(operand, ast.FloatLit) and operand.value >= 0:
        return ast.FloatLit(-operand.value, span=span)
    return _checked(site, ast.Negate(operand, span=span), (operand,), operand)


@_rule("group")
def _group(site: Site, children: Children, span: Span) -> Any:
    """Parentheses leave no node: the one inside takes their place in the text."""
    object.__setattr__(children[0], "span", span)
    return children[0]


@_rule("var")
def _var(site: Site, children: Children, span: Span) -> ast.Var:
    return ast.Var(children[0], span=span)


@_rule("attribute")
def _attribute(site: Site, children: Children, span: Span) -> Any:
    return _checked(site, ast.Attribute(children[0], children[1], span=span), (children[0],), children[0])


@_rule("index")
def _index(site: Site, children: Children, span: Span) -> Any:
    return _checked(site, ast.Index(children[0], children[1], span=span), children, children[0])


@_rule("call")
def _call(site: Site, children: Children, span: Span) -> Any:
    arguments = tuple(children[1:])
    made = ast.Call(children[0], arguments, span=span)
    return _checked(site, made, [argument.value for argument in arguments], ast.Call(children[0], (), span=span))


@_rule("argument")
def _argument(site: Site, children: Children, span: Span) -> ast.Argument:
    return ast.Argument(children[0] if len(children) > 1 else None, children[-1], span=span)


@_rule("record")
def _record(site: Site, children: Children, span: Span) -> Any:
    kind = children[0] if isinstance(children[0], ast.Name) else None
    fields = tuple(children[1:] if kind else children)
    made = ast.RecordLit(kind, fields, span=span)
    return _checked(site, made, [field.value for field in fields], ast.NoneLit(span=span))


@_rule("named")
def _named(site: Site, children: Children, span: Span) -> ast.NamedValue:
    return ast.NamedValue(children[0], children[1], span=span)


@_rule("tag")
def _tag(site: Site, children: Children, span: Span) -> ast.TagLit:
    return ast.TagLit(children[0], children[1], span=span)


@_rule("list")
def _list(site: Site, children: Children, span: Span) -> Any:
    return _checked(site, ast.ListLit(tuple(children), span=span), children, ast.NoneLit(span=span))


# ---------------------------------------------------------------- bindings and patches


@_rule("assignment")
def _assignment(site: Site, children: Children, span: Span) -> ast.Assignment:
    return ast.Assignment(children[0], children[1], span=span)


@_rule("set")
def _set(site: Site, children: Children, span: Span) -> ast.SetEdit:
    return ast.SetEdit(children[0], children[1], span=span)


@_rule("rebind")
def _rebind(site: Site, children: Children, span: Span) -> ast.BindEdit:
    whole = children[0].span.to(children[1].span)
    return ast.BindEdit(ast.Assignment(children[0], children[1], span=whole), span=span)


@_rule("add")
def _add(site: Site, children: Children, span: Span) -> ast.AddEdit | None:
    return ast.AddEdit(children[0], span=span) if children else None  # None: the declaration is faulty


@_rule("drop")
def _drop(site: Site, children: Children, span: Span) -> ast.DropEdit:
    return ast.DropEdit(children[0], span=span)


@_rule("replace")
def _replace(site: Site, children: Children, span: Span) -> ast.ReplaceEdit:
    return ast.ReplaceEdit(children[0], children[1], span=span)


def _insert_of(where: str) -> Builder:
    def build(site: Site, children: Children, span: Span) -> ast.InsertEdit:
        path, brace, *statements, closing = children
        return ast.InsertEdit(where, path, ast.Block(tuple(statements), span=brace.to(closing)), span=span)

    return build


BUILDERS["after"] = _insert_of("after")
BUILDERS["before"] = _insert_of("before")


@_rule("wrap")
def _wrap(site: Site, children: Children, span: Span) -> ast.WrapEdit:
    return ast.WrapEdit(children[0], children[1], span=span)


@_rule("otherwise")
def _otherwise(site: Site, children: Children, span: Span) -> ast.ElseEdit:
    return ast.ElseEdit(children[0], children[1], span=span)


@_rule("rename")
def _rename(site: Site, children: Children, span: Span) -> ast.RenameEdit:
    return ast.RenameEdit(children[0], children[1], span=span)


@_rule("redo")
def _redo(site: Site, children: Children, span: Span) -> ast.RedoEdit:
    return ast.RedoEdit(children[0], span=span)


@_rule("rebudget")
def _rebudget(site: Site, children: Children, span: Span) -> ast.BudgetEdit:
    return ast.BudgetEdit(_in_order(children), span=span)
