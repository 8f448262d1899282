"""`[tools]` and `[mcp]` of a configuration: what programs may touch, by the names that they use.

    [tools]
    "mail.send" = "mailer:send"             # a Python function
    "sandbox.python" = "sandbox"            # a built-in tool that needs no more than its kind
    "docs.search" = { kind = "search", path = "corpus" }
    "files.list" = { kind = "mcp", server = "files", tool = "list_directory" }

    [mcp.files]
    command = ["uvx", "mcp-server-filesystem", "."]

An entry may also be a table of its own, `[tools."docs.search"]`. A name without quotes, which TOML reads as tables
inside tables, means the same as with them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from masdsl.config import CONFIG_NAME, DEFAULT_TIER, Grant, Server
from masdsl.config.rules import (
    FUNCTION,
    KEY_ENV,
    SECONDS,
    TABLE,
    TEXT,
    TRUTH,
    URL,
    Rule,
    is_count,
    is_environment_name,
    is_text,
)
from masdsl.diagnostics.suggest import did_you_mean, nearest

if TYPE_CHECKING:
    from masdsl.config.reader import Reader

MOST_BYTES = 64 * 1024 * 1024
DEEPEST_DESIGN = 3
_ALLOWED = re.compile(
    r"(https?://)?((\*\.)?[a-z0-9]([a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(:[0-9]{1,5})?(/[!-~]*)?", re.I
)

_SHORT_FORM = Rule(
    FUNCTION.holds,
    "a Python function, `package.module:function`, or a kind of tool",
    'name the module and the function, as in "tools.search:search"',
)
_ALLOW = Rule(
    lambda v: isinstance(v, list) and bool(v) and all(isinstance(one, str) and _is_allowed(one) for one in v),
    "a list of hosts and addresses",
    'write hosts (https only) or beginnings of addresses, as in ["docs.python.org", "https://example.org/help/"]',
)
_BYTES = Rule(
    lambda v: is_count(v) and 1024 <= v <= MOST_BYTES,
    f"a number of bytes from 1024 to {MOST_BYTES}",
    "write a number, as in 1000000",
)
_DEPTH = Rule(
    lambda v: is_count(v) and 1 <= v <= DEEPEST_DESIGN,
    f"a whole number from 1 to {DEEPEST_DESIGN}",
    "write how many levels of designs inside designs there may be, as in 1",
)
_COMMAND = Rule(
    lambda v: isinstance(v, list) and bool(v) and all(isinstance(one, str) for one in v) and is_text(v[0]),
    "a list of texts: a program and its arguments",
    'write each argument as a text of its own, as in ["python", "-m", "my_server"]; no shell reads it',
)
_ENV = Rule(
    lambda v: isinstance(v, list) and all(map(is_environment_name, v)),
    "a list of names of environment variables",
    'name the variables that the server gets, as in ["GITHUB_TOKEN"]; their values never stand in this file',
)


class _Kind(NamedTuple):
    """Which keys a kind of tool needs, and which it may have besides those that all have."""

    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()


_KINDS: Mapping[str, _Kind] = {
    "python": _Kind(("function",)),
    "host": _Kind(),
    "mcp": _Kind(("server",), ("tool",)),
    "sandbox": _Kind(),
    "calculator": _Kind(),
    "search": _Kind(("path",)),
    "read": _Kind(("path",)),
    "http": _Kind(("allow",), ("private", "bytes")),
    "design": _Kind((), ("depth", "tier")),
}
_COMMON: Mapping[str, Rule] = {"effect": TRUTH}
"""Keys that every kind of tool may have."""
_KEYS: Mapping[str, Rule] = {
    "function": FUNCTION,
    "server": TEXT,
    "tool": TEXT,
    "path": TEXT,
    "allow": _ALLOW,
    "private": TRUTH,
    "bytes": _BYTES,
    "depth": _DEPTH,
    "tier": TEXT,
}
_SERVER_KEYS: Mapping[str, Rule] = {
    "command": _COMMAND,
    "env": _ENV,
    "url": URL,
    "key_env": KEY_ENV,
    "timeout": SECONDS,
    "bytes": _BYTES,
}
_EXAMPLES = {
    "kind": '"search"',
    "function": '"package.module:function"',
    "server": '"name"',
    "path": '"corpus"',
    "allow": '["docs.python.org"]',
    "command": '["python", "-m", "my_server"]',
}


def _is_allowed(entry: str) -> bool:
    found = _ALLOWED.fullmatch(entry)
    return found is not None and int((found[5] or ":443")[1:]) < 65536


def read_grants(
    reader: Reader,
    table: dict[str, Any],
    servers: Mapping[str, Server],
    tiers: Mapping[str, str],
    above: tuple[str, ...] = (),
) -> tuple[dict[str, Grant], frozenset[str]]:
    """Return what the table `[tools]` grants, by the names that programs use, and the names of the mistaken entries.

    `servers` are those of `[mcp]`. A table that is read as tables inside tables, and has a mistake, may have been meant
    for an entry: its name counts as mistaken too.
    """
    grants: dict[str, Grant] = {}
    mistaken: set[str] = set()
    for name, value in table.items():
        path = (*above, name)
        if isinstance(value, dict) and value and not _is_entry(value):
            below, wrong = read_grants(reader, value, servers, tiers, path)
            grants.update(below)
            mistaken.update(wrong, [".".join(path)] if wrong else [])
            continue
        is_table = isinstance(value, dict)
        grant = _entry(reader, path, value, servers, tiers) if is_table else _short(reader, path, value)
        if grant is not None:
            grants[".".join(path)] = grant
        else:
            mistaken.add(".".join(path))
    return grants, frozenset(mistaken - grants.keys())


def _is_entry(table: Mapping[str, Any]) -> bool:
    """Whether a table describes a tool, rather than being the first part of the names of some."""
    return isinstance(table.get("kind"), str) or any(key in table for key in (*_KEYS, *_COMMON))


def _short(reader: Reader, path: tuple[str, ...], value: Any) -> Grant | None:
    """Return what a text grants: a Python function, or a built-in tool that needs no options."""
    where = ("tools", *path)
    if isinstance(value, str) and ":" not in value:
        kind = _KINDS.get(value)
        if kind is not None and not kind.required:
            return Grant(value)
        if kind is not None:
            first = kind.required[0]
            example = f'"{".".join(path)}" = {{ kind = "{value}", {first} = {_EXAMPLES[first]} }}'
            reader.wrong(where, f"a table: a tool of kind `{value}` needs `{first}`", f"write {example}")
            return None
        advice = did_you_mean(value, _KINDS, f"{_SHORT_FORM.advice}, or one of the kinds {', '.join(_simple())}")
        reader.wrong(where, _SHORT_FORM.expected, advice)
        return None
    return Grant("python", function=value) if reader.check(where, value, _SHORT_FORM) else None


def _simple() -> list[str]:
    return [name for name, kind in _KINDS.items() if not kind.required]


def _entry(
    reader: Reader,
    path: tuple[str, ...],
    entry: dict[str, Any],
    servers: Mapping[str, Server],
    tiers: Mapping[str, str],
) -> Grant | None:
    """Return what a table grants, or None where a mistake leaves nothing that could be used."""
    where, name = ("tools", *path), ".".join(path)
    owner = f'the tool "{name}"'
    kind = entry.get("kind")
    if kind is None:
        reader.missing(where, owner, "", "kind", _EXAMPLES["kind"])
        return None
    if kind not in _KINDS:
        near = nearest(kind, _KINDS) if isinstance(kind, str) else None
        advice = f'did you mean "{near}"?' if near else f"write one of {_quoted(_KINDS)}"
        reader.wrong((*where, "kind"), "a kind of tool", advice)
        return None
    required, optional = _KINDS[kind]
    known = (*required, *optional, *_COMMON)
    values: dict[str, Any] = {}
    for key, value in entry.items():
        if key == "kind":
            continue
        if key not in known:
            reader.unknown((*where, key), f"a tool of kind `{kind}`", known)
        elif reader.check((*where, key), value, {**_KEYS, **_COMMON}[key]):
            values[key] = value
    for key in required:
        if key not in entry:
            reader.missing(where, owner, kind, key, _EXAMPLES[key])
    if any(key not in values for key in required):
        return None
    if "path" in values:
        values["path"] = reader.full_path(values["path"])
    if "allow" in values:
        values["allow"] = tuple(values["allow"])
    if values.get("tier", DEFAULT_TIER) not in tiers:
        advice = did_you_mean(values["tier"], tiers, f"there are {', '.join(tiers)}")
        reader.wrong((*where, "tier"), f"an entry of [tiers] of {CONFIG_NAME}", advice)
        return None
    if kind == "design" and values.pop("effect", None):
        reader.wrong((*where, "effect"), "left out", "what a model designs gets no tool with an effect")
    if kind == "mcp":
        values.setdefault("tool", path[-1].rpartition(".")[2])
        if values["server"] not in servers:
            advice = did_you_mean(values["server"], servers, f"describe it under [mcp.{values['server']}]")
            reader.wrong((*where, "server"), f"an entry of [mcp] of {CONFIG_NAME}", advice)
            return None
    return Grant(kind, **values)


def read_servers(reader: Reader, table: dict[str, Any]) -> dict[str, Server]:
    """Return the servers that the table `[mcp]` describes, those that can be used."""
    servers: dict[str, Server] = {}
    for name, entry in table.items():
        where, owner = ("mcp", name), f"the MCP server `{name}`"
        if not reader.check(where, entry, TABLE):
            continue
        values: dict[str, Any] = {}
        for key, value in entry.items():
            if key not in _SERVER_KEYS:
                reader.unknown((*where, key), f"[mcp.{name}]", tuple(_SERVER_KEYS))
            elif reader.check((*where, key), value, _SERVER_KEYS[key]):
                values[key] = tuple(value) if isinstance(value, list) else value
        if "url" not in entry and "command" not in entry:
            reader.missing(where, owner, "", "command", _EXAMPLES["command"])
        for first, second, why in _NOT_TOGETHER:
            if first in entry and second in entry:
                reader.wrong((*where, second), f"left out beside `{first}`", why)
        if "url" in values or "command" in values:
            servers[name] = Server(name, folder=os.path.dirname(reader.path), **values)
    return servers


_NOT_TOGETHER = (
    ("command", "url", "a server is either started by its command or reached at its address: keep one of them"),
    ("command", "key_env", "a server that is started gets its keys in environment variables: name them in `env`"),
    ("url", "env", "only a server that is started has an environment; a key is sent by `key_env`"),
)


def _quoted(names: Mapping[str, object]) -> str:
    return ", ".join(f'"{name}"' for name in names)
