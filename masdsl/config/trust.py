"""`[trust]` of a configuration: which text is trusted, what may decide what a tool does, and who may read what.

[trust.sources]
"web.get" = "untrusted"

[trust.effects]
"mail.send" = "model"

[trust.inputs]
page = "untrusted"

[trust.endorse."mail.send"]
folder = 4

[trust.secrets.salaries]
from = ["hr.lookup"]
readers = ["local", "mail.send"]
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Final, NamedTuple

TRUSTED: Final = "trusted"
MODEL: Final = "model"
UNTRUSTED: Final = "untrusted"
LEVELS: Final = (TRUSTED, MODEL, UNTRUSTED)
"""From the best: said by the author or the user; written by a model that read such text alone; all other text."""
MOST_WORDS: Final = 64
"""Words that an endorsed argument may choose from at most: 6 bits for each call."""


class Secret(NamedTuple):
    """Something that only some may read: what these tools give and these inputs hold.

    `sources` are granted names of tools, `inputs` inputs of flows (`main.salary`, or `salary` of any flow), `readers`
    names of models and granted names of tools.
    """

    name: str
    sources: tuple[str, ...]
    inputs: tuple[str, ...]
    readers: tuple[str, ...]


class Trust(NamedTuple):
    """What `[trust]` says. Tools go by their granted names, levels are those of `LEVELS`.

    `sources` are how far what a tool gives can be trusted, `effects` the least trusted text that may decide what a tool
    does, `inputs` how far inputs of flows can be trusted, `endorse` the arguments of tools that untrusted text may
    choose among so many words. `unnamed` is the level of what tools give that `sources` does not name. With `endings`
    it counts as well who may end a run early.
    """

    sources: Mapping[str, str]
    effects: Mapping[str, str]
    inputs: Mapping[str, str]
    endorse: Mapping[tuple[str, str], int]
    secrets: tuple[Secret, ...]
    unnamed: str = UNTRUSTED
    endings: bool = False


class Teller(NamedTuple):
    """Whom to tell of mistakes: a key below `[trust]` and what its value must be, or what keys there are."""

    wrong: Callable[[tuple[str, ...], str, str], None]
    unknown: Callable[[tuple[str, ...], str, tuple[str, ...]], None]


_KEYS: Final = ("sources", "effects", "inputs", "endorse", "secrets", "unnamed", "endings")
_SECRET_KEYS: Final = ("from", "inputs", "readers")
_EXAMPLES: Final = {
    "sources": '"web.get" = "untrusted"',
    "effects": '"mail.send" = "model"',
    "inputs": 'page = "untrusted"',
    "endorse": '"mail.send".folder = 4',
    "secrets": '[trust.secrets.salaries] and below it from = ["hr.lookup"]',
}


def read_trust(table: dict[str, Any], tools: Collection[str], models: Collection[str], tell: Teller) -> Trust:
    """Return what the table `[trust]` says; what is wrong in it is told, and left out.

    `tools` are the granted names, `models` the names of models.
    """
    reader = _Reader(tools, models, tell)
    for key in table:
        if key not in _KEYS:
            tell.unknown((key,), "[trust]", _KEYS)
    unnamed = table.get("unnamed", UNTRUSTED)
    if unnamed not in LEVELS:
        reader.not_a_level(("unnamed",))
        unnamed = UNTRUSTED
    endings = table.get("endings", False)
    if not isinstance(endings, bool):
        tell.wrong(("endings",), "true or false", "write true where it counts who may end a run early")
    return Trust(
        sources=dict(reader.levels(reader.table(table, "sources"), "sources", tools)),
        effects=dict(reader.levels(reader.table(table, "effects"), "effects", tools)),
        inputs=dict(reader.levels(reader.table(table, "inputs"), "inputs", None)),
        endorse=dict(reader.endorsed(reader.table(table, "endorse"))),
        secrets=tuple(reader.secrets(reader.table(table, "secrets"))),
        unnamed=unnamed,
        endings=endings is True,
    )


class _Reader:
    def __init__(self, tools: Collection[str], models: Collection[str], tell: Teller) -> None:
        self._tools = tools
        self._models = models
        self._tell = tell

    def table(self, table: dict[str, Any], key: str) -> dict[str, Any]:
        value = table.get(key, {})
        if isinstance(value, dict):
            return value
        self._tell.wrong((key,), "a table", f"write [trust.{key}] on a line of its own, below it {_EXAMPLES[key]}")
        return {}

    def not_a_level(self, where: tuple[str, ...]) -> None:
        self._tell.wrong(where, "a level of trust", 'write "trusted", "model" or "untrusted"')

    def levels(self, table: dict[str, Any], key: str, known: Collection[str] | None) -> Iterator[tuple[str, str]]:
        """Yield names and their levels."""
        for path, value in _leaves(table):
            name = ".".join(path)
            if known is not None and name not in known:
                self._no_tool((key, *path))
            elif value not in LEVELS:
                self.not_a_level((key, *path))
            else:
                yield name, value

    def endorsed(self, table: dict[str, Any]) -> Iterator[tuple[tuple[str, str], int]]:
        """Yield arguments, as (granted name of the tool, parameter), and how many words they may choose from."""
        for path, value in _leaves(table):
            tool = ".".join(path[:-1])
            if tool not in self._tools:
                self._no_tool(("endorse", *path[:-1]) if len(path) > 1 else ("endorse", *path))
            elif not isinstance(value, int) or isinstance(value, bool) or not 2 <= value <= MOST_WORDS:
                expected = f"a whole number of words from 2 to {MOST_WORDS}"
                self._tell.wrong(("endorse", *path), expected, "write how many words the enum may have, as in 4")
            else:
                yield (tool, path[-1]), value

    def secrets(self, table: dict[str, Any]) -> Iterator[Secret]:
        """Yield the secrets."""
        for name, body in table.items():
            if not isinstance(body, dict):
                self._tell.wrong(("secrets", name), "a table", f"write {_EXAMPLES['secrets']}")
                continue
            for key in body:
                if key not in _SECRET_KEYS:
                    self._tell.unknown(("secrets", name, key), f"[trust.secrets.{name}]", _SECRET_KEYS)
            sources = tuple(self._names(body, name, "from", self._tools))
            inputs = tuple(self._names(body, name, "inputs", None))
            readers = tuple(self._names(body, name, "readers", (*self._models, *self._tools)))
            if sources or inputs:
                yield Secret(name, sources, inputs, readers)
            elif not body.get("from") and not body.get("inputs"):  # else that is told already
                advice = 'say where it comes from: from = ["hr.lookup"], or inputs = ["main.salary"]'
                self._tell.wrong(("secrets", name), "a table with `from` or `inputs`", advice)

    def _names(self, body: dict[str, Any], secret: str, key: str, known: Collection[str] | None) -> Iterator[str]:
        where = ("secrets", secret, key)
        names = body.get(key, [])
        if not isinstance(names, list) or not all(isinstance(one, str) for one in names):
            self._tell.wrong(where, "a list of names", f'write {key} = ["name"]')
            return
        for one in names:
            if known is not None and one not in known and not (key == "readers" and "/" in one):
                if key == "from":
                    kinds, add = "a granted tool", "grant it under [tools]"
                else:
                    kinds, add = "a model, or a granted tool", "add it to [models] or [tools], write provider/model"
                self._tell.wrong(where, f"a list of names, each of {kinds}", _no_such(one, known, add))
            else:
                yield one

    def _no_tool(self, where: tuple[str, ...]) -> None:
        self._tell.unknown(where, "[tools]", tuple(self._tools))


def _no_such(name: str, known: Collection[str], add: str) -> str:
    from masdsl.diagnostics.suggest import nearest

    near = nearest(name, known)
    return f"there is no `{name}`" + (f"; did you mean `{near}`?" if near else f": {add}, or take it out")


def _leaves(table: dict[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield what is not a table, with its path; `web.get` without quotes, which TOML reads as a table, is one name."""
    for key, value in table.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, (*above, key))
        else:
            yield (*above, key), value
