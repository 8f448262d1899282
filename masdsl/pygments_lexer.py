"""The language for Pygments: highlighting in documentation, terminals, and Markdown fences (```mas).

Found by its entry point wherever masdsl is installed; Pygments itself is not required by anything else.
"""

from __future__ import annotations

from typing import Any, ClassVar

from pygments.lexer import RegexLexer, bygroups, include, words
from pygments.token import Comment, Keyword, Name, Number, Operator, Punctuation, String, Whitespace

from masdsl.editor.words import ALONE, CONSTANT, CONTROL, DECLARATION, IN_PLACE, LOGICAL, PRIMITIVE, TEMPLATE

_NAME = r"[a-z_][a-z0-9_]*"
_BINDING = r"(?!\s*(?:[.(,:\[]|\+?=))"


def _in_place() -> list[tuple[Any, ...]]:
    return [(rf"\b{word}\b(?=[ \t]+{follows})", Keyword) for word, follows in IN_PLACE.items()]


class MasLexer(RegexLexer):  # type: ignore[misc]  # Pygments has no types
    """Programs, bindings and patches of masdsl."""

    name = "mas"
    aliases: ClassVar[list[str]] = ["mas", "masdsl"]
    filenames: ClassVar[list[str]] = ["*.mas"]
    mimetypes: ClassVar[list[str]] = ["text/x-mas"]
    url = ""

    tokens: ClassVar[dict[str, list[Any]]] = {
        "root": [
            (r"\s+", Whitespace),
            (r"##[^\n]*", String.Doc),
            (r"#[^\n]*", Comment.Single),
            (r'"""', String.Double, "long"),
            (r'"', String.Double, "short"),
            (r"\.(?=[a-z_])", Punctuation, "member"),
            (
                rf"\b(agent|flow|tool|extern)\b(\s+)({_NAME})",
                bygroups(Keyword.Declaration, Whitespace, Name.Function),
            ),
            (r"\b(type)\b(\s+)([A-Z]\w*)", bygroups(Keyword.Declaration, Whitespace, Name.Class)),
            (words(DECLARATION, prefix=r"\b", suffix=r"\b"), Keyword.Declaration),
            (words(CONTROL, prefix=r"\b", suffix=r"\b"), Keyword),
            (words(LOGICAL, prefix=r"\b", suffix=r"\b"), Operator.Word),
            (words(CONSTANT, prefix=r"\b", suffix=r"\b"), Keyword.Constant),
            *_in_place(),
            (words(ALONE, prefix=r"\b", suffix=rf"\b{_BINDING}"), Keyword),
            (words(PRIMITIVE, prefix=r"\b", suffix=r"\b"), Keyword.Type),
            (r"[A-Z][A-Za-z0-9]*", Name.Class),
            (rf"{_NAME}(?=\()", Name.Function),
            (_NAME, Name),
            (r"[0-9]+(?:\.[0-9]+|%|[kM]\b)", Number.Float),
            (r"[0-9]+", Number.Integer),
            (r"->|[+=!<>]=|[-+*/<>=|?]", Operator),
            (r"[{}()\[\],:.]", Punctuation),
        ],
        "member": [(r"[a-z_][a-z0-9_]*", Name.Attribute, "#pop")],
        "string": [
            (r"\\(?:u\{[0-9A-Fa-f]*\}|[\s\S])", String.Escape),
            (r"\{#[\s\S]*?#\}", Comment.Multiline),
        ],
        "long": [
            (r'"""', String.Double, "#pop"),
            include("string"),
            (r"\{[{%][-+]?", String.Interpol, "inside long"),
            (r'[^"\\{]+|["{]', String.Double),
        ],
        "short": [
            (r'"|\n', String.Double, "#pop"),
            include("string"),
            (r"\{[{%][-+]?", String.Interpol, "inside short"),
            (r'[^"\\{\n]+|\{', String.Double),
        ],
        "expression": [
            (r"\s+", Whitespace),
            (words(TEMPLATE, prefix=r"\b", suffix=r"\b"), Keyword),
            (words(CONSTANT, prefix=r"\b", suffix=r"\b"), Keyword.Constant),
            (r"(\|)(\s*)(\w+)", bygroups(Operator, Whitespace, Name.Builtin)),
            (r"(\.)(\s*)([a-z_]\w*)", bygroups(Punctuation, Whitespace, Name.Attribute)),
            (r"[A-Za-z_]\w*", Name.Variable),
            (r"[0-9]+(?:\.[0-9]+)?", Number),
            (r"'[^'\n]*'", String.Single),
        ],
        "inside long": [
            (r"[-+]?[%}]\}", String.Interpol, "#pop"),
            (r'"""', String.Double, "#pop:2"),
            (r'"[^"\n]*"', String.Single),
            include("expression"),
            (r"[^\s]", Operator),
        ],
        "inside short": [
            (r"[-+]?[%}]\}", String.Interpol, "#pop"),
            (r'\\"(?:[^"\\\n]|\\[^"\n])*\\"', String.Single),
            (r'"', String.Double, "#pop:2"),
            include("expression"),
            (r"[^\s]", Operator),
        ],
    }
