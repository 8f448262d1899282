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

_COMMENT = re.compile(r"  # (?:[a-z_][a-z0-9_.]*:[0-9]{1,9}(?:  # fmt: skip)?|fmt: skip)")
_NAME = re.compile(r"(?!__)[A-Za-z_][A-Za-z0-9_]{0,199}|__name__")
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
        tree = ast.parse(text)
    except VerificationError:
        raise
    except SyntaxError as error:
        raise VerificationError("text", error.lineno or 1, f"not Python: {error.msg}") from None
    except (ValueError, RecursionError, MemoryError, OverflowError) as error:
        raise VerificationError("text", 1, f"cannot be parsed ({type(error).__name__})") from None
    _check_text(text, _check_forms(tree))
    return tree


def refuse(node: ast.AST, reason: str) -> NoReturn:
    """Raise the error that names a node."""
    raise VerificationError(type(node).__name__, getattr(node, "lineno", 1), reason)


def _check_forms(tree: ast.Module) -> list[ast.Constant]:
    """Refuse every form of syntax that generated code does not have, and trees that are too large or too deep.

    Returns the texts among the constants.
    """
    texts: list[ast.Constant] = []
    level: list[ast.AST] = [tree]
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
            for field in parts:
                part = getattr(node, field)
                if isinstance(part, list):
                    below += [inner for inner in part if isinstance(inner, ast.AST)]
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
