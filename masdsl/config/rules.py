"""What values in a configuration must be: a test, what it says in words, and advice."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

_ENVIRONMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_FUNCTION = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)


class Rule(NamedTuple):
    """What a key's value must be: a test, what it says in words, and advice."""

    holds: Callable[[Any], bool]
    expected: str
    advice: str


def is_number(value: Any) -> bool:
    """Whether a value is a number that is not absurd."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e12


def is_count(value: Any) -> bool:
    """Whether a value is a whole number."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_text(value: Any) -> bool:
    """Whether a value is a text that says something."""
    return isinstance(value, str) and bool(value.strip())


def is_environment_name(value: Any) -> bool:
    """Whether a value can be the name of an environment variable."""
    return isinstance(value, str) and _ENVIRONMENT_NAME.fullmatch(value) is not None


TEXT = Rule(is_text, "a text", "write it in double quotes")
TABLE = Rule(lambda v: isinstance(v, dict), "a table", "write [name] on a line of its own and the keys below it")
URL = Rule(
    lambda v: isinstance(v, str) and v.startswith(("http://", "https://")),
    "a URL",
    'write it with http:// or https://, as in "http://127.0.0.1:8000/v1"',
)
KEY_ENV = Rule(
    is_environment_name,
    "the name of an environment variable",
    "name the variable that holds the key; a key itself never stands in this file",
)
SECONDS = Rule(lambda v: is_number(v) and v > 0, "a number of seconds", "write a number above 0, as in 60")
TRUTH = Rule(lambda v: isinstance(v, bool), "true or false", "write true or false, without quotes")
FUNCTION = Rule(
    lambda v: isinstance(v, str) and _FUNCTION.fullmatch(v) is not None,
    "a Python function, `package.module:function`",
    'name the module and the function, as in "tools.search:search"',
)
