"""`[allow]` of a configuration: which warnings may stand in which programs, and why.

    [allow]
    "examples/**" = ["MAS702 shown on purpose", "MAS703 shown on purpose"]

A pattern is about paths below the folder of the configuration: `*` and `?` stand for anything but a slash, `**` for
anything.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from typing import Any

from masdsl.config import Allowance, Config
from masdsl.diagnostics.allowances import is_warning, kind_of, near_code, read_words

_WILD = re.compile(r"\*\*/|\*\*|\*|\?")
_MEANING = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
_EXPECTED = "a list of codes, each with a reason"


def read_allowances(table: dict[str, Any], wrong: Callable[[str, str, str], None]) -> Iterator[Allowance]:
    """Yield what the table `[allow]` says; `wrong(key, what it must be, advice)` is told of every mistake."""
    for pattern, value in table.items():
        entries = value if isinstance(value, list) else [value]
        if not entries or not all(isinstance(entry, str) for entry in entries):
            wrong(pattern, _EXPECTED, 'write a list of texts, as in ["MAS702 the examples show it on purpose"]')
            continue
        for entry in entries:
            words = read_words(entry)
            faults = ["begin each text with a code, as in MAS702"] if words is None else []
            for code, _ in words.codes if words else ():
                kind = kind_of(code)
                if kind is None:
                    near = near_code(code)
                    faults.append(f"there is no code {code}" + (f"; did you mean {near}?" if near else ""))
                elif not is_warning(kind):
                    faults.append(f"take {code} out: only warnings can be allowed")
                elif words and not words.reason:
                    faults.append(f'write the reason behind the code, as in "{code} the examples show it on purpose"')
                elif words:
                    yield Allowance(pattern, code, words.reason)
            if faults:
                wrong(pattern, _EXPECTED, faults[0])


def matching(config: Config, name: str) -> dict[str, str]:
    """Return the codes that are allowed in the program of this name (its path), and the reason of each."""
    folder = config.folder()
    if folder is None or name.startswith("<"):
        return {}
    try:
        path = os.path.relpath(name, folder).replace(os.sep, "/")
    except (ValueError, OSError):  # another drive; a working folder that is gone
        return {}
    return {one.code: one.reason for one in reversed(config.allow) if matches(one.pattern, path)}


def matches(pattern: str, path: str) -> bool:
    """Return whether a pattern is about a path with slashes, relative to the folder of the configuration."""
    parts: list[str] = []
    end = 0
    for wild in _WILD.finditer(pattern):
        parts += (re.escape(pattern[end : wild.start()]), _MEANING[wild[0]])
        end = wild.end()
    return re.fullmatch("".join(parts) + re.escape(pattern[end:]), path, re.DOTALL) is not None
