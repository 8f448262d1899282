"""The files of `editors/` that are made from the grammar: TextMate (VS Code and others), Vim, tree-sitter.

`python -m tests.regen` writes them, and a test keeps them equal. The words come from `masdsl.editor.words`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from masdsl.editor.words import ALONE, CONSTANT, CONTROL, DECLARATION, IN_PLACE, LOGICAL, PRIMITIVE, TEMPLATE
from tests.harness import tree_sitter

ROOT = Path(__file__).resolve().parents[2]
EDITORS = ROOT / "editors"
TREE_SITTER = EDITORS / "tree-sitter-mas"
NOTE = "Made from the grammar by `python -m tests.regen`; do not edit."
_NO_BINDING = r"(?!\s*(?:[.(,:\[]|\+?=))"


def files() -> Iterator[tuple[Path, str]]:
    """Yield the files and their text."""
    syntaxes = EDITORS / "vscode" / "syntaxes"
    yield syntaxes / "mas.tmLanguage.json", _as_json(textmate())
    yield syntaxes / "markdown-mas.tmLanguage.json", _as_json(markdown())
    yield EDITORS / "vim" / "syntax" / "mas.vim", vim()
    yield TREE_SITTER / "src" / "grammar.json", tree_sitter.text()
    yield TREE_SITTER / "queries" / "highlights.scm", tree_sitter.highlights()


def _as_json(made: dict[str, Any]) -> str:
    return json.dumps(made, indent=2, ensure_ascii=False) + "\n"


def _any(words: Iterable[str]) -> str:
    return f"\\b(?:{'|'.join(sorted(words))})\\b"


def _by_class() -> dict[str, list[str]]:
    """Return the words that are keywords in place, by what has to follow."""
    found: dict[str, list[str]] = {}
    for word, follows in IN_PLACE.items():
        found.setdefault(follows, []).append(word)
    return found


# ---------------------------------------------------------------- TextMate


def _rule(pattern: str, name: str) -> dict[str, Any]:
    return {"match": pattern, "name": f"{name}.mas"}


def _captured(pattern: str, *names: str) -> dict[str, Any]:
    captures = {str(number): {"name": f"{name}.mas"} for number, name in enumerate(names, 1)}
    return {"match": pattern, "captures": captures}


def _included(*names: str) -> list[dict[str, str]]:
    return [{"include": f"#{name}"} for name in names]


def _string(begin: str, name: str, inside: str) -> dict[str, Any]:
    return {
        "begin": begin,
        "end": begin if begin == '"""' else '"|$',
        "name": f"string.quoted.{name}.mas",
        "patterns": _included("escape", f"template-{inside}"),
    }


def _template(strings: str) -> dict[str, Any]:
    """Return the rules of templates in a string; `strings` are the strings in them."""
    inside = [{"match": strings, "name": "string.quoted.single.jinja.mas"}, *_included("expression")]
    marks = {"0": {"name": "punctuation.definition.template.mas"}}
    parts: list[dict[str, Any]] = [
        {"begin": r"\{#", "end": r"#\}", "name": "comment.block.jinja.mas"},
        *(
            {
                "begin": rf"\{{{mark}[-+]?",
                "end": rf"[-+]?{closing}\}}",
                "beginCaptures": marks,
                "endCaptures": marks,
                "name": "meta.embedded.jinja.mas",
                "patterns": inside,
            }
            for mark, closing in ((r"\{", r"\}"), ("%", "%"))
        ),
    ]
    return {"patterns": parts}


def textmate() -> dict[str, Any]:
    """Return the TextMate grammar."""
    keywords = [
        _captured(r"\b(agent|flow|tool|extern)\s+([a-z_][a-z0-9_]*)", "keyword.declaration", "entity.name.function"),
        _captured(r"\b(type)\s+([A-Z][A-Za-z0-9]*)", "keyword.declaration", "entity.name.type"),
        _rule(_any(DECLARATION), "keyword.declaration"),
        _rule(_any(CONTROL), "keyword.control"),
        _rule(_any(LOGICAL), "keyword.operator.logical"),
        _rule(_any(CONSTANT), "constant.language"),
        *(_rule(f"{_any(words)}(?=\\s+{follows})", "keyword.other") for follows, words in _by_class().items()),
        _rule(f"{_any(ALONE)}{_NO_BINDING}", "keyword.other"),
        _rule(f"(?<!\\.){_any(PRIMITIVE)}", "support.type"),
    ]
    return {
        "$schema": "https://raw.githubusercontent.com/martinring/tmlanguage/master/tmlanguage.json",
        "comment": NOTE,
        "name": "mas",
        "scopeName": "source.mas",
        "fileTypes": ["mas"],
        "patterns": _included("comments", "strings", "members", "keywords", "types", "numbers", "calls", "operators"),
        "repository": {
            "comments": {
                "patterns": [_rule("##.*$", "comment.line.documentation"), _rule("#.*$", "comment.line.number-sign")]
            },
            "strings": {"patterns": [_string('"""', "triple", "long"), _string('"', "double", "short")]},
            "escape": _rule(r"\\(?:u\{[0-9A-Fa-f]*\}|.)", "constant.character.escape"),
            "template-long": _template(r"'[^']*'|\"(?!\"\")[^\"]*\""),
            "template-short": _template(r"'[^']*'|\\\"(?:[^\"\\]|\\[^\"])*\\\""),
            "expression": {
                "patterns": [
                    _rule(_any(TEMPLATE), "keyword.control.jinja"),
                    _rule(_any(CONSTANT), "constant.language.jinja"),
                    _captured(r"\|\s*(\w+)", "support.function.jinja"),
                    _captured(r"\.\s*([a-z_]\w*)", "variable.other.property.jinja"),
                    _rule(r"[A-Za-z_]\w*", "variable.other.jinja"),
                    _rule(r"[0-9]+(?:\.[0-9]+)?", "constant.numeric.jinja"),
                ]
            },
            "members": _captured(r"\.([a-z_][a-z0-9_]*)", "variable.other.property"),
            "keywords": {"patterns": keywords},
            "types": _rule(r"\b[A-Z][A-Za-z0-9]*\b", "entity.name.type"),
            "numbers": _rule(r"\b[0-9]+(?:\.[0-9]+|%|[kM]\b)?", "constant.numeric"),
            "calls": _captured(r"\b([a-z_][a-z0-9_]*)(?=\()", "entity.name.function"),
            "operators": _rule(r"->|[+=!<>]=|[-+*/<>=|?]", "keyword.operator"),
        },
    }


def markdown() -> dict[str, Any]:
    """Return the grammar that is put into that of Markdown: fences that say `mas`."""
    return {
        "comment": NOTE,
        "scopeName": "markdown.mas.codeblock",
        "injectionSelector": "L:text.html.markdown",
        "patterns": [
            {
                "begin": r"(^|\G)(\s*)(`{3,}|~{3,})\s*(?i:(mas)((\s+|:|,|\{|\?)[^`]*)?$)",
                "end": r"(^|\G)(\2|\s{0,3})(\3)\s*$",
                "name": "markup.fenced_code.block.markdown",
                "contentName": "meta.embedded.block.mas",
                "patterns": [{"include": "source.mas"}],
            }
        ],
    }


# ---------------------------------------------------------------- Vim


def vim() -> str:
    """Return the syntax file of Vim."""
    groups = {
        "masDeclaration": ("Keyword", DECLARATION),
        "masControl": ("Statement", CONTROL),
        "masLogical": ("Operator", LOGICAL),
        "masConstant": ("Boolean", CONSTANT),
        "masPrimitive": ("Type", PRIMITIVE),
    }
    lines = [
        f'" Vim syntax of mas, the language of masdsl. {NOTE}',
        'if exists("b:current_syntax") | finish | endif',
        "syntax case match",
        "syntax sync minlines=200",
        "",
    ]
    for group, (_, words) in groups.items():
        lines.append(f"syntax keyword {group} {' '.join(sorted(words))}")
    for follows, placed in _by_class().items():
        lines.append(rf"syntax match masPlaced /\v<%({'|'.join(sorted(placed))})>(\s+{follows})@=/")
    lines += [
        rf"syntax match masPlaced /\v<%({'|'.join(sorted(ALONE))})>(\s*%([.(,:\[]|\+?\=))@!/",
        r"syntax match masType /\v<[A-Z][A-Za-z0-9]*>/",
        r"syntax match masCall /\v<[a-z_][a-z0-9_]*\(@=/",
        r"syntax match masMember /\v\.[a-z_][a-z0-9_]*/",
        r"syntax match masNumber /\v<[0-9]+%(\.[0-9]+|\%|[kM]>)?/",
        r"syntax match masComment /#.*$/ contains=@Spell",
        r"syntax match masDoc /##.*$/ contains=@Spell",
        r"syntax match masEscape /\v\\%(u\{[0-9A-Fa-f]*\}|.)/ contained",
        r'syntax region masString start=/"/ skip=/\\./ end=/"/ oneline contains=masEscape,masTag,masNote',
        r'syntax region masString start=/"""/ skip=/\\./ end=/"""/ contains=masEscape,masTag,masNote',
        r"syntax region masNote start=/{#/ end=/#}/ contained",
        r"syntax region masTag matchgroup=masMark start=/{{[-+]\?/ end=/[-+]\?}}/ contained contains=@masInside",
        r"syntax region masTag matchgroup=masMark start=/{%[-+]\?/ end=/[-+]\?%}/ contained contains=@masInside",
        f"syntax keyword masTagWord {' '.join(sorted((*TEMPLATE, *CONSTANT)))} contained",
        r"syntax match masFilter /|\s*\w\+/ contained",
        r"syntax match masTagString /'[^']*'/ contained",
        "syntax cluster masInside contains=masTagWord,masFilter,masTagString",
        "",
    ]
    links = {group: link for group, (link, _) in groups.items()} | {
        "masPlaced": "Keyword",
        "masType": "Type",
        "masCall": "Function",
        "masMember": "Identifier",
        "masNumber": "Number",
        "masComment": "Comment",
        "masDoc": "SpecialComment",
        "masEscape": "SpecialChar",
        "masString": "String",
        "masNote": "Comment",
        "masMark": "PreProc",
        "masTag": "Identifier",
        "masTagWord": "Conditional",
        "masFilter": "Function",
        "masTagString": "String",
    }
    lines += [f"highlight default link {group} {link}" for group, link in links.items()]
    return "\n".join([*lines, "", 'let b:current_syntax = "mas"', ""])
