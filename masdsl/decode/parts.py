"""Parts of pieces that programs and patches share: new names, heads and prompts of agents, simple statements."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from masdsl.check.builtins import BUILTINS
from masdsl.decode.bnf import Bnf, Production, Symbol, text
from masdsl.decode.profile import Profile
from masdsl.decode.typed import ANY, ITEM, STEP, VALUE, Scope, Typing
from masdsl.reading import HIDDEN_RANGES, SURROGATES
from masdsl.syntax.grammar import keywords
from masdsl.types import List, Optional, Record, Type

NEW: Final = Symbol("pattern", "NEW")
NEW_TYPE: Final = Symbol("pattern", "NEWTYPE")
PROMPT: Final = Symbol("pattern", "PROMPT")
_PLAIN: Final = rf'[^"\\{{}}\t\n{HIDDEN_RANGES.replace(SURROGATES, "")}]'


def excluded(scope: Scope, *texts: str) -> dict[str, frozenset[str]]:
    """Return the words that new names cannot be: those of the texts, fields and words of enums among them."""
    used = frozenset(word for one in texts for word in re.findall(r"[a-z_][a-z0-9_]*", one))
    types = frozenset(one.name for one in scope.types if one.name)
    return {"NEW": used | keywords() | frozenset(BUILTINS) | {ITEM}, "NEWTYPE": types}


def patterns(profile: Profile, paths: Iterable[str]) -> dict[str, str]:
    """Return the patterns of what is new: names, texts, numbers, and a prompt that may mention `paths`."""
    holes = "|".join(re.escape(path) for path in paths)
    hole = rf"\{{\{{ (?:{holes}) \}}\}}"
    return {
        "NEW": f"[a-z][a-z0-9_]{{0,{profile.name - 1}}}",
        "NEWTYPE": f"[A-Z][A-Za-z0-9]{{0,{profile.name - 1}}}",
        "WORDS": rf'"{_PLAIN}{{0,{profile.text}}}"',
        "SMALL": "0|[1-9][0-9]{0,2}",
        "FRACTION": r"[0-9]\.[0-9]{1,2}",
        "PROMPT": rf'"(?:{_PLAIN}|{hole}){{8,{profile.prompt}}}"' if holes else rf'"{_PLAIN}{{8,{profile.prompt}}}"',
    }


def paths_of_head(head: str, scope: Scope) -> Iterator[str]:
    """Yield what the prompt of the agent with this head may mention: parameters and fields of records."""
    types = {one.name: one for one in scope.types}
    for name, kind in re.findall(r"(?<=[(,] )?([a-z_][a-z0-9_]*): ([A-Za-z0-9_()]+(?:\[\d+\])?)", head):
        yield from paths_of(name, types.get(kind))


def paths_of(name: str, kind: Type | None) -> Iterator[str]:
    """Yield a parameter, and its fields if it is a record."""
    yield name
    if isinstance(kind, Record):
        yield from (f"{name}.{field}" for field, _ in kind.fields)


def agent_heads(bnf: Bnf, typing: Typing, profile: Profile) -> Iterator[Production]:
    """Yield agents without attributes: roles that a binding assigns. Their prompt is the next piece."""
    (agent,) = (
        one
        for one in bnf.rules["agent"]
        if not any("star" in symbol.name or symbol.name == "statics" for symbol in one)
    )
    (params,) = (one for one in bnf.rules["params"] if any("star" in symbol.name for symbol in one))
    star = next(at for at, symbol in enumerate(params) if "star" in symbol.name)
    (param,) = (one for one in bnf.rules["param"] if [symbol.name for symbol in one] == ["binder", ":", "param_type"])
    entry = (NEW, param[1], typing.symbol("type"))
    for count in range(1, profile.params + 1):
        made = typing.listed(params, star, [entry] * count)
        if made is not None:
            yield (agent[0], NEW, *made, agent[3], typing.symbol("type"))


def bindings(bnf: Bnf, typing: Typing, scope: Scope) -> Iterator[Production]:
    """Yield statements that bind a new name to a step, give a carried one another value, or add to a list."""
    for production in bnf.rules["simple"]:
        match [symbol.name for symbol in production]:
            case ["binder", "=", "rhs"]:
                yield (NEW, production[1], typing.symbol("rhs", ANY, STEP))
                for name, kind in scope.carried:
                    yield (text(name), production[1], typing.symbol("rhs", _open_ended(kind), STEP))
            case ["var_ref", "+=", "expr"]:
                for name, kind in scope.carried:
                    if isinstance(kind, List) and kind.high:
                        added = List(kind.element, 1, 1, span=kind.span)
                        yield (text(name), production[1], typing.symbol("list", added, VALUE))


def _open_ended(kind: Type) -> Type:
    """Return what a carried name may get: an optional one a value."""
    return kind.inner if isinstance(kind, Optional) else kind
