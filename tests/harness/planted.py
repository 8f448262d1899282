"""Faults as people and models make them, planted in sound programs: one in each text that comes out.

Kinds are syntax, name, type and budget. A fault that changes nothing that the checker minds is none: whoever plants it
looks (`planted` does).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

from masdsl.config import Config
from masdsl.decode.draft import is_fault
from masdsl.diagnostics.base import Findings
from masdsl.node import Span
from masdsl.pipeline import check_source
from masdsl.source import Source
from masdsl.syntax import ast
from masdsl.syntax.grammar import keywords
from masdsl.syntax.parse import parse_program
from masdsl.syntax.walk import find_all


class Planted(NamedTuple):
    """A text with a fault: of which kind, and what was done."""

    kind: str
    fault: str
    text: str


Change = Callable[[str, ast.Program, Random], str | None]


def _cut(text: str, span: Span, new: str = "") -> str:
    return text[: span.start] + new + text[span.end :]


def _one_of(text: str, pattern: str, new: str, random: Random) -> str | None:
    """Replace one place outside of texts and comments that matches a pattern."""
    code = re.sub(r'"""[\s\S]*?"""|"(?:\\.|[^"\\])*"|#.*', lambda found: "\0" * len(found[0]), text)
    found = list(re.finditer(pattern, code))
    if not found:
        return None
    chosen = random.choice(found)
    return text[: chosen.start()] + chosen.expand(new) + text[chosen.end() :]


def _syntax(pattern: str, new: str) -> Change:
    return lambda text, program, random: _one_of(text, pattern, new, random)


def _misspelt(word: str, random: Random) -> str:
    at = random.randrange(len(word))
    if len(word) > 3 and random.random() < 0.5:
        return word[:at] + word[at + 1 :]
    return word[:at] + word[at] + word[at:]


def _name(text: str, program: ast.Program, random: Random) -> str | None:
    """Misspell one use of a name that is bound or declared."""
    uses = [node.name for node in find_all(program, ast.Var)]
    uses += [node.callee for node in find_all(program, ast.Call)]
    return _cut(text, (one := random.choice(uses)).span, _misspelt(one.text, random)) if uses else None


def _field(text: str, program: ast.Program, random: Random) -> str | None:
    fields = [node.field for node in find_all(program, ast.Attribute)]
    return _cut(text, (one := random.choice(fields)).span, _misspelt(one.text, random)) if fields else None


def _hole(text: str, program: ast.Program, random: Random) -> str | None:
    """Misspell a parameter in a prompt."""
    found = list(re.finditer(r"\{\{ *([a-z_]+)", text))
    if not found:
        return None
    chosen = random.choice(found)
    return text[: chosen.start(1)] + _misspelt(chosen[1], random) + text[chosen.end(1) :]


def _keyword(text: str, program: ast.Program, random: Random) -> str | None:
    words = "|".join(sorted(keywords(), key=len, reverse=True))
    found = list(re.finditer(rf"(?m)^ *({words})\b", text))
    if not found:
        return None
    chosen = random.choice(found)
    return text[: chosen.start(1)] + _misspelt(chosen[1], random) + text[chosen.end(1) :]


def _calls(program: ast.Program, least: int) -> list[ast.Call]:
    return [node for node in find_all(program, ast.Call) if len(node.arguments) >= least]


def _swapped(text: str, program: ast.Program, random: Random) -> str | None:
    calls = _calls(program, 2)
    if not calls:
        return None
    first, second = random.choice(calls).arguments[:2]
    source = Source("x", text)
    between = text[first.span.end : second.span.start]
    swapped = source.slice(second.span) + between + source.slice(first.span)
    return _cut(text, Span(first.span.start, second.span.end), swapped)


def _missing(text: str, program: ast.Program, random: Random) -> str | None:
    calls = _calls(program, 2)
    if not calls:
        return None
    *_, before, last = random.choice(calls).arguments
    return _cut(text, Span(before.span.end, last.span.end))


def _number(text: str, program: ast.Program, random: Random) -> str | None:
    """Pass a number."""
    calls = _calls(program, 1)
    return _cut(text, random.choice(random.choice(calls).arguments).span, "7") if calls else None


def _type(text: str, program: ast.Program, random: Random) -> str | None:
    return _one_of(text, r"\btext\(\d+\)", "string", random) or _one_of(text, r"\bbool\b", "boolean", random)


def _half_budget(text: str, program: ast.Program, random: Random) -> str | None:
    budgets = [limit for item in program.items if isinstance(item, ast.Budget) for limit in item.limits]
    chosen = [limit for limit in budgets if limit.kind == "calls" and isinstance(limit.amount, ast.IntLit)]
    if not chosen:
        return None
    amount = chosen[0].amount
    assert isinstance(amount, ast.IntLit)
    return _cut(text, amount.span, str(max(1, amount.value // 2)))


def _more_rounds(text: str, program: ast.Program, random: Random) -> str | None:
    sizes = [node.times for node in find_all(program, ast.Loop)] + [
        node.count for node in find_all(program, ast.Sample)
    ]
    whole = [size for size in sizes if isinstance(size, ast.IntLit)]
    return _cut(text, (one := random.choice(whole)).span, str(one.value * 10)) if whole else None


FAULTS: Final[dict[str, dict[str, Change]]] = {
    "syntax": {
        "brace missing": _syntax(r"\}", ""),
        "bracket missing": _syntax(r"\)", ""),
        "comma missing": _syntax(r", ", " "),
        "semicolon": _syntax(r"\)\n", ");\n"),
        "colon for brace": _syntax(r" \{\n", ":\n"),
        "arrow missing": _syntax(r" -> ", " "),
        "keyword misspelt": _keyword,
    },
    "name": {"name misspelt": _name, "field misspelt": _field, "parameter misspelt in a prompt": _hole},
    "type": {
        "arguments swapped": _swapped,
        "argument missing": _missing,
        "number for a text": _number,
        "type of another language": _type,
    },
    "budget": {"half of the calls": _half_budget, "ten times the rounds": _more_rounds},
}


def planted(source: Source, config: Config, seed: int) -> Iterator[Planted]:
    """Yield a program with each kind of fault that it has a place for, so that the checker finds something."""
    document = parse_program(source, Findings()).document
    assert isinstance(document, ast.Program)
    for kind, changes in FAULTS.items():
        for fault, change in changes.items():
            random = Random(f"{seed} {Path(source.name).name} {fault}")  # the same in every checkout
            for _ in range(3):
                text = change(source.text, document, random)
                if text is not None and faults_of(Source(source.name, text), config):
                    yield Planted(kind, fault, text)
                    break


def faults_of(source: Source, config: Config) -> bool:
    """Whether a text is no sound program: errors, or a bound above a budget."""
    findings = Findings()
    check_source(source, config, findings)
    return any(is_fault(one) for one in findings.sorted())
