"""Prompts as Jinja2 sees them: parsed with exact places, then held against the list of what prompts may use.

Two things make Jinja2's parser safe to run on anybody's text. It only parses: nothing is compiled or evaluated. And its
tree is walked with an explicit stack, so that neither depth nor size matter before both are known to be small.

Jinja2 knows the line of a node and nothing more. But all that its parser does with a token's line number is to copy it
into nodes and errors, so here that number is the token's offset: every node's `lineno` *is* its offset in the text.

This module imports Jinja2, which takes longer than checking a small program: import it only for a prompt that needs it.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from jinja2 import Environment, TemplateSyntaxError, nodes
from jinja2.lexer import TokenStream
from jinja2.parser import Parser

from masdsl.limits import EXPRESSION_DEPTH, TEMPLATE_BLOCKS, TEMPLATE_LOOPS, TEMPLATE_NODES

_TOKEN = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|\w+|\{[{%#]|[}%#]\}|.""", re.S)
_OPENING, _CLOSING = frozenset("([{"), frozenset(")]}")


class TemplateFault(Exception):
    """Jinja2 cannot read the text; `offset` is where."""

    def __init__(self, problem: str, offset: int) -> None:
        super().__init__(problem)
        self.problem = problem
        self.offset = offset


class TemplateTooLarge(Exception):
    """The text is over a limit; `offset` is where."""

    def __init__(self, what: str, limit: str, offset: int) -> None:
        super().__init__(what)
        self.what = what
        self.limit = limit
        self.offset = offset


class Refusal(NamedTuple):
    """A construct that prompts may not use; `name` is the word to show where the text has one."""

    what: str
    instead: str
    offset: int


def parse_template(text: str) -> nodes.Template:
    """Return the tree of a prompt (`\\r` already gone), whose `lineno`s are offsets.

    Raises TemplateFault for a text that Jinja2 refuses and TemplateTooLarge for one over the limits of `masdsl.limits`.
    """
    environment = _environment()
    try:
        tokens = list(environment.lexer.tokeniter(text, None))
    except TemplateSyntaxError as fault:
        raise TemplateFault(_said(fault), _fault_offset(text, fault)) from None
    placed = list(_placed(text, tokens))
    _check_nesting(placed)
    parser = Parser(environment, "")
    parser.stream = TokenStream(environment.lexer.wrap(placed), None, None)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a doubtful escape in a string is a deprecation to Python's own decoder
            tree = parser.parse()
    except TemplateSyntaxError as fault:
        raise _fault(fault, placed) from None
    except RecursionError:
        raise _too_deep(0) from None
    except (ValueError, OverflowError, SyntaxError, MemoryError):  # what Python's own reader of numbers may raise
        raise TemplateFault("a number in it cannot be read", _longest_number(placed)) from None
    _check_size(tree)
    return tree


@lru_cache(maxsize=1)
def _environment() -> Environment:
    """The syntax of prompts: Jinja2's own, without extensions. The runtime fills prompts in under the same one."""
    return Environment(autoescape=False)


def token_end(text: str, offset: int) -> int:
    """Return where the word, string or sign that starts at `offset` ends."""
    found = _TOKEN.match(text, offset)
    return found.end() if found else offset


_MARKS = (
    ("end of print statement", "}}"),
    ("end of statement block", "%}"),
    ("begin of print statement", "{{"),
    ("begin of statement block", "{%"),
)


def _fault(fault: TemplateSyntaxError, tokens: list[tuple[int, str, str]]) -> TemplateFault:
    """Return a fault of the parser in words about the text rather than about the parser."""
    message = fault.message or ""
    tag = re.match(r"Encountered unknown tag '(\w+)'", message)
    if tag:
        name = tag.group(1)
        closes = name.startswith("end") or name in ("else", "elif")
        problem = f"`{name}` belongs to nothing that is open here" if closes else f"there is no tag `{name}`"
        return TemplateFault(problem, fault.lineno)
    if "end of template" in message:
        opened = _still_open(tokens)
        if opened is not None:
            return TemplateFault(f"`{opened[1]}` is not closed", opened[0])
    return TemplateFault(_said(fault), fault.lineno)


def _still_open(tokens: list[tuple[int, str, str]]) -> tuple[int, str] | None:
    """Return the place and word of the innermost mark or block that is open at the end."""
    mark: tuple[int, str] | None = None
    blocks: list[tuple[int, str]] = []
    fresh = False
    for offset, kind, value in tokens:
        if kind in ("variable_begin", "block_begin"):
            mark, fresh = (offset, value[:2]), kind == "block_begin"
        elif kind in ("variable_end", "block_end"):
            mark = None
        elif kind == "name" and fresh:
            fresh = False
            if value.startswith("end") and blocks:
                blocks.pop()
            elif value in ("if", "for", "macro", "call", "filter", "block", "with", "autoescape", "set"):
                blocks.append((offset, value))
    return mark or (blocks[-1] if blocks else None)


def _longest_number(tokens: list[tuple[int, str, str]]) -> int:
    numbers = [(len(value), offset) for offset, kind, value in tokens if kind in ("integer", "float")]
    return max(numbers, default=(0, 0))[1]


def _said(fault: TemplateSyntaxError) -> str:
    message = (fault.message or "a mark is not closed").strip().rstrip(".")
    if re.match(r"unexpected char (\"'\"|'\"')", message):
        return "a quote is not closed"
    for phrase, mark in _MARKS:
        message = message.replace(phrase, mark)
    message = re.sub(r"'([^']*)'", r"`\1`", message)
    message = re.sub(r" at \d+$", "", message)
    return message[:1].lower() + message[1:]


def _fault_offset(text: str, fault: TemplateSyntaxError) -> int:
    """Return the offset of a fault of the lexer, which knows the line and for a strange character the offset too."""
    exact = re.search(r" at (\d+)$", fault.message or "")
    if exact:
        return int(exact.group(1))
    line_start = 0
    for _ in range(fault.lineno - 1):
        line_start = text.find("\n", line_start) + 1
    line_end = text.find("\n", line_start)
    line = text[line_start : line_end if line_end >= 0 else len(text)]
    if "comment" in (fault.message or ""):
        return line_start + max(0, line.rfind("{#"))
    strange = re.search(r"unexpected '(.)'", fault.message or "")
    if strange:
        return line_start + max(0, line.rfind(strange.group(1)))
    return line_start + len(line) - len(line.lstrip())


def _placed(text: str, tokens: list[tuple[int, str, str]]) -> Iterator[tuple[int, str, str]]:
    """Yield the tokens with their offsets for line numbers: they stand in order, with only trimmed blanks between."""
    at = 0
    for _, kind, value in tokens:
        found = text.find(value, at)
        start = found if found >= 0 else at
        at = start + len(value)
        yield start, kind, value


def _check_nesting(tokens: list[tuple[int, str, str]]) -> None:
    """Refuse brackets so deep, or prefixes so long, that Jinja2's recursive parser might not come back."""
    depth = prefixes = 0
    for offset, kind, value in tokens:
        if kind == "operator" and value in _OPENING:
            depth += 1
        elif kind == "operator" and value in _CLOSING:
            depth -= 1
        if kind != "whitespace":
            prefixes = prefixes + 1 if value in ("not", "-", "+") else 0
        if depth > EXPRESSION_DEPTH or prefixes > EXPRESSION_DEPTH:
            raise _too_deep(offset)


def _too_deep(offset: int) -> TemplateTooLarge:
    limit = f"at most {EXPRESSION_DEPTH} levels in an expression and {TEMPLATE_BLOCKS} blocks in blocks"
    return TemplateTooLarge("is nested too deep", limit, offset)


def _check_size(tree: nodes.Template) -> None:
    count = 0
    stack: list[tuple[nodes.Node, int, int, int]] = [(tree, 0, 0, 0)]
    while stack:
        node, loops, blocks, depth = stack.pop()
        count += 1
        if count > TEMPLATE_NODES:
            limit = f"at most {TEMPLATE_NODES} pieces (insertions, names, texts between them, conditions)"
            raise TemplateTooLarge("has too many pieces", limit, _offset(node))
        if isinstance(node, nodes.For):
            loops += 1
        if isinstance(node, nodes.Stmt) and not isinstance(node, nodes.Output):
            blocks, depth = blocks + 1, 0
        elif isinstance(node, nodes.Expr):
            depth += 1
        if loops > TEMPLATE_LOOPS:
            limit = f"at most {TEMPLATE_LOOPS} `for` loops inside each other"
            raise TemplateTooLarge("has loops too deep inside each other", limit, _offset(node))
        if blocks > TEMPLATE_BLOCKS or depth > EXPRESSION_DEPTH:
            raise _too_deep(_offset(node))
        # Jinja2 keeps the `elif`s of an `if` inside it; they are no deeper than it is
        elifs = {id(branch) for branch in node.elif_} if isinstance(node, nodes.If) else set()
        stack.extend((child, loops, blocks - (id(child) in elifs), depth) for child in node.iter_child_nodes())


def _offset(node: nodes.Node) -> int:
    return node.lineno or 0


# ---------------------------------------------------------------- what prompts may use

_VALUES_ONLY = "compute it in the flow and pass the result as a parameter"
_NO_BLOCKS = "write the text out, or use `{% if %}` and `{% for %}`"

ALLOWED: frozenset[type[nodes.Node]] = frozenset(
    (
        *(nodes.Template, nodes.Output, nodes.TemplateData, nodes.For, nodes.If),
        *(nodes.Name, nodes.Getattr, nodes.Filter, nodes.Test, nodes.Const, nodes.List),
        *(nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not),
    )
)

_REFUSED: dict[type[nodes.Node], tuple[str, str]] = {
    nodes.Assign: ("`set`", _VALUES_ONLY),
    nodes.AssignBlock: ("`set`", _VALUES_ONLY),
    nodes.With: ("`with`", _VALUES_ONLY),
    nodes.Macro: ("`macro`", _NO_BLOCKS),
    nodes.CallBlock: ("`call`", _NO_BLOCKS),
    nodes.FilterBlock: ("`filter` blocks", "apply the filter to a value, as in `{{ name|upper }}`"),
    nodes.Block: ("`block`", _NO_BLOCKS),
    nodes.Extends: ("`extends`", "a prompt is one text; write it out"),
    nodes.Include: ("`include`", "a prompt is one text; write it out"),
    nodes.Import: ("`import`", "a prompt is one text; write it out"),
    nodes.FromImport: ("`import`", "a prompt is one text; write it out"),
    nodes.ScopedEvalContextModifier: ("`autoescape`", "prompts are plain text and nothing is escaped"),
    nodes.Call: ("calls", _VALUES_ONLY),
    nodes.Getitem: ("`[..]`", "write `value.field` for a field or `xs|first` for an item, or pass the item in"),
    nodes.Slice: ("`[..]`", "pass the part as a parameter, as in `slice(xs, 0, 3)` in the flow"),
    nodes.CondExpr: ("`a if b else c`", "write `{% if b %}a{% else %}c{% endif %}`"),
    nodes.Concat: ("`~`", "write the insertions one after the other, as in `{{ a }}{{ b }}`"),
    nodes.Tuple: ("several values in one place", "write an insertion for each, as in `{{ a }}, {{ b }}`"),
    nodes.Dict: ("`{..}` inside an expression", _VALUES_ONLY),
    nodes.NSRef: ("`set`", _VALUES_ONLY),
    nodes.Keyword: ("named arguments", 'give the argument without its name, as in `{{ notes|join(", ") }}`'),
}


def refusals(tree: nodes.Template) -> Iterator[Refusal]:
    """Yield what a prompt may not use, outermost first: what stands inside something refused is not looked at."""
    stack: list[nodes.Node] = [tree]
    while stack:
        node = stack.pop()
        if type(node) not in ALLOWED:
            what, instead = _REFUSED.get(type(node), ("arithmetic", _VALUES_ONLY))
            if not isinstance(node, nodes.BinExpr | nodes.UnaryExpr) and type(node) not in _REFUSED:
                what, instead = "this part of the template language", _NO_BLOCKS
            yield Refusal(what, instead, _offset(node))
            continue
        if isinstance(node, nodes.For):
            if node.recursive:
                yield Refusal("`recursive`", "nest a second `for` in the first", _offset(node))
            if node.test is not None:
                yield Refusal("a condition in `for`", "put `{% if %}` inside the loop", _offset(node.test))
            if not isinstance(node.target, nodes.Name):
                yield Refusal("several loop variables", "name one variable and print its fields", _offset(node.target))
                stack.extend(reversed([node.iter, *node.body, *node.else_]))
                continue
        elif isinstance(node, nodes.Filter | nodes.Test) and (node.dyn_args or node.dyn_kwargs):
            yield Refusal("`*` in arguments", "write the arguments out", _offset(node))
        elif isinstance(node, nodes.Test) and node.args:
            yield Refusal("tests with arguments", "compare with `==`, `<` or `in`", _offset(node))
        stack.extend(reversed(list(node.iter_child_nodes())))
