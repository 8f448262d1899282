"""Forms of syntax and characters: what no generated code has, wherever it stands."""

from __future__ import annotations

import ast
import re
from typing import Final, NoReturn

MAX_TEXT: Final = 8 * 1024 * 1024
"""Characters of a module."""
MAX_NODES: Final = 1_000_000
MAX_DEPTH: Final = 160
"""Levels of the syntax tree: blocks of 16 levels, expressions of 32, with room to spare; Python gives up at 1,000."""
MAX_BRACKETS: Final = 100
"""Brackets inside one another."""
MAX_ELSE_IFS: Final = 3_000
"""`elif` in a module."""
MAX_CHAIN: Final = 400
"""`elif` of one `if`, each of which is a level of the tree that is not counted as one."""

_COMMENT = re.compile(r"  # (?:[a-z_][a-z0-9_.]*:[0-9]{1,9}(?:  # fmt: skip)?|fmt: skip)")
_NAME = re.compile(r"(?!__)[A-Za-z_][A-Za-z0-9_]{0,199}|__name__")
_TOKEN = re.compile(
    r"""
    \"""[^"\\]*(?:(?:\\.|"(?!""))[^"\\]*)*\"""   # a text in three quotes
    | "[^"\\\n]*(?:\\.[^"\\\n]*)*"
    | \'\'\'                             # not a form of text here
    | '[^'\\\n]*(?:\\.[^'\\\n]*)*'
    | \#[^\n]*
    | [\[({]
    | [\])}]
    | \b[A-Za-z]+(?=["'])                # a text with a prefix
    | (?:\bnot\b\s*|[-+~]\s*){50}
    | \*\* | \blambda\b | \belif\b | \belse\b(?!:)
    """,
    re.VERBOSE | re.DOTALL,
)
_KEYWORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")

_FORMS = """
    Module Expr Constant ImportFrom alias ClassDef AnnAssign Assign AsyncFunctionDef arguments arg If Compare Eq NotEq
    Lt LtE Gt GtE Is IsNot Call keyword Attribute Name Subscript Tuple List Dict BinOp BitOr Mult UnaryOp Not USub
    BoolOp And Or ListComp comprehension Await Return For AsyncWith withitem Match match_case MatchValue MatchOr MatchAs
    Try ExceptHandler Break Raise Pass
"""
_PARTS: dict[type[ast.AST], tuple[str, ...]] = {
    kind: () if kind is ast.Constant else tuple(field for field in kind._fields if field != "ctx")
    for kind in (getattr(ast, name) for name in _FORMS.split())
}
_NAMES = frozenset({"id", "attr", "name", "asname", "arg"})


class VerificationError(ValueError):
    """A Python text is no generated code. `form` is the kind of syntax that is refused, `line` where it stands."""

    def __init__(self, form: str, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {form}: {reason}")
        self.form = form
        self.line = line
        self.reason = reason


def parse(text: str) -> ast.Module:
    """Return the syntax tree of a text that has no form of syntax and no character that generated code has not."""
    if len(text) > MAX_TEXT:
        raise VerificationError("text", 1, f"longer than {MAX_TEXT} characters")
    try:
        text.encode("utf-8")
        control = _CONTROL.search(text)
        if control is not None:
            raise VerificationError("text", text.count("\n", 0, control.start()) + 1, "a control character")
        _check_nesting(text)
        tree = ast.parse(text)
    except VerificationError:
        raise
    except SyntaxError as error:
        raise VerificationError("text", error.lineno or 1, f"not Python: {error.msg}") from None
    except (ValueError, RecursionError, MemoryError, OverflowError) as error:
        raise VerificationError("text", 1, f"cannot be parsed ({type(error).__name__})") from None
    _check_text(text, _check_forms(tree))
    return tree


def _check_nesting(text: str) -> None:
    """Refuse what is nested so deeply that Python's own parser might run out of stack in a thread with little of it."""
    depth = else_ifs = 0
    for found in _TOKEN.finditer(text):
        token = found[0]
        reason = ""
        if token in ("(", "[", "{"):
            depth += 1
            reason = "nested too deeply" if depth > MAX_BRACKETS else ""
        elif token in (")", "]", "}"):
            depth -= 1
        elif token == "elif":
            else_ifs += 1
            reason = "too large" if else_ifs > MAX_ELSE_IFS else ""
        elif token[0] not in "\"'#" or token == "'''":
            reason = f"{token[:10]!a} is not a part of generated code"
        if reason:
            raise VerificationError("text", text.count("\n", 0, found.start()) + 1, reason)


def refuse(node: ast.AST, reason: str) -> NoReturn:
    """Raise the error that names a node."""
    raise VerificationError(type(node).__name__, getattr(node, "lineno", 1), reason)


def _check_forms(tree: ast.Module) -> list[ast.Constant]:
    """Refuse every form of syntax that generated code does not have, and trees that are too large or too deep.

    Returns the texts among the constants.
    """
    texts: list[ast.Constant] = []
    level: list[ast.AST] = [tree]
    chains: dict[ast.AST, int] = {}
    count = depth = 0
    line = 1
    while level:
        depth += 1
        count += len(level)
        if depth > MAX_DEPTH or count > MAX_NODES:
            raise VerificationError("text", line, "nested too deeply" if depth > MAX_DEPTH else "too large")
        below: list[ast.AST] = []
        for node in level:
            line = getattr(node, "lineno", line)
            parts = _PARTS.get(type(node))
            if parts is None:
                refuse(node, "not a form of generated code")
            else_if = _else_if(node)
            if else_if is not None:
                chains[else_if] = chains.get(node, 0) + 1
                if chains[else_if] > MAX_CHAIN:
                    refuse(else_if, "too many branches")
                level.append(else_if)
            for field in parts:
                part = getattr(node, field)
                if isinstance(part, list):
                    below += [inner for inner in part if isinstance(inner, ast.AST) and inner is not else_if]
                elif isinstance(part, ast.AST):
                    below.append(part)
                elif part is not None and field in _NAMES:
                    if not (_KEYWORD if isinstance(node, ast.keyword) else _NAME).fullmatch(part):
                        refuse(node, f"the name {part[:80]!a}")
                elif part is not None and field == "type_comment":
                    refuse(node, "a type comment")
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node)
        level = below
    return texts


def _else_if(node: ast.AST) -> ast.If | None:
    """Return the `elif` of an `if`."""
    if isinstance(node, ast.If) and len(node.orelse) == 1:
        other = node.orelse[0]
        if isinstance(other, ast.If) and other.col_offset == node.col_offset:
            return other
    return None


def _check_text(text: str, texts: list[ast.Constant]) -> None:
    """Refuse what does not show in the tree: comments that are no marks, and anything but ASCII outside of texts."""
    spans: dict[int, list[tuple[int, int]]] = {}
    inside: set[int] = set()
    for node in texts:
        assert node.end_lineno is not None and node.end_col_offset is not None
        last = node.end_col_offset
        if node.lineno == node.end_lineno:
            spans.setdefault(node.lineno, []).append((node.col_offset, last))
        else:
            spans.setdefault(node.lineno, []).append((node.col_offset, 1 << 62))
            spans.setdefault(node.end_lineno, []).append((0, last))
            inside.update(range(node.lineno + 1, node.end_lineno))
    for number, line in enumerate(text.split("\n"), 1):
        if number in inside:
            continue
        code = line
        if number in spans:
            raw = line.encode("utf-8")
            for start, end in sorted(spans[number], reverse=True):
                raw = raw[:start] + b"''" + raw[end:]
            code = raw.decode("utf-8", "replace")
        if "#" in code:
            at = code.index("#")
            start = len(code[:at].rstrip(" "))
            if not start or not _COMMENT.fullmatch(code[start:]):
                raise VerificationError("comment", number, "not a mark")
            code = code[:start]
        if not (code.isascii() and (code.isprintable() or not code)) or "\\" in code or ";" in code:
            raise VerificationError("text", number, "a character that generated code has only in texts")
