"""Python names for the names of a program.

A name stays as it is wherever it can. It gets a trailing `_` where Python or the generated file already means something
else by it (a keyword, a built-in function, an import, a declaration), and loses leading underscores that Python gives a
meaning of its own. Names of the language are ASCII, so no two of them are one name for Python. The result depends on
nothing but the order of the questions.
"""

from __future__ import annotations

from collections.abc import Iterable


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


KEYWORDS = _words("""
    False None True and as assert async await break class continue def del elif else except finally for from global
    if import in is lambda nonlocal not or pass raise return try while with yield
    """)
"""The keywords of every Python from 3.11 on; a fixed list, so that every Python generates the same text."""

BUILTIN_NAMES = _words("""
    abs aiter all anext any ascii bin bool breakpoint bytearray bytes callable chr classmethod compile complex
    copyright credits delattr dict dir divmod enumerate eval exec exit filter float format frozendict frozenset
    getattr globals hasattr hash help hex id input int isinstance issubclass iter len license list locals map max
    memoryview min next object oct open ord pow print property quit range repr reversed round set setattr slice
    sorted staticmethod str sum super tuple type vars zip
    """)
"""The built-in functions of Python, in lower case; a program may use their names, a generated file shadows none."""

BUILTIN_CLASSES = _words("""
    AssertionError BaseException Ellipsis Exception NotImplemented OSError
    """)
"""Built-in names that a type of a program might have as well."""

RECORD_MEMBERS = _words("""
    construct copy dict from_orm json parse_file parse_obj parse_raw schema schema_json update_forward_refs validate
    model_computed_fields model_config model_construct model_copy model_dump model_dump_json model_extra
    model_fields model_fields_set model_json_schema model_parametrized_name model_post_init model_rebuild
    model_validate model_validate_json model_validate_strings
    """)
"""What every record has already, so that no field can have that name in Python."""

ENUM_MEMBERS = _words("""
    capitalize casefold center count encode endswith expandtabs find format format_map index isalnum isalpha isascii
    isdecimal isdigit isidentifier islower isnumeric isprintable isspace istitle isupper join ljust lower lstrip
    maketrans mro name partition removeprefix removesuffix replace rfind rindex rjust rpartition rsplit rstrip split
    splitlines startswith strip swapcase title translate upper value zfill
    """)
"""What every word of an enum has already, being text."""


def python_name(name: str, taken: Iterable[str] = ()) -> str:
    """Return `name` as Python can say it: no keyword, at most one leading underscore, none of `taken`."""
    bare = name.lstrip("_") or "unnamed"
    wanted = f"_{bare}" if name.startswith("_") else bare
    while wanted in KEYWORDS or wanted in taken:
        wanted = f"{wanted}_"
    return wanted


def field_names(fields: Iterable[str]) -> dict[str, str]:
    """Return the Python attributes of a record's fields, by field."""
    return _distinct(fields, RECORD_MEMBERS)


def word_names(words: Iterable[str]) -> dict[str, str]:
    """Return the Python attributes of an enum's words, by word."""
    return _distinct(words, ENUM_MEMBERS)


def _distinct(names: Iterable[str], reserved: frozenset[str]) -> dict[str, str]:
    given: dict[str, str] = {}
    ordered = dict.fromkeys(names)
    taken = set(ordered)
    for name in ordered:
        made = python_name(name, reserved).lstrip("_")
        made = f"n{made}" if made[0].isdigit() else made
        while made != name and made in taken:
            made = f"{made}_"
        taken.add(made)
        given[name] = made
    return given


class Names:
    """The names of one Python scope; `outer` are those that it must leave alone."""

    def __init__(self, outer: Iterable[str] = ()) -> None:
        self._taken = set(outer)
        self.given: set[str] = set()

    def give(self, name: str) -> str:
        """Return a name that nothing else in this scope has, `name` itself if possible."""
        made = python_name(name, self._taken)
        self._taken.add(made)
        self.given.add(made)
        return made

    def give_class(self, name: str) -> str:
        """Return a name for a class, which gets a number where it is taken: classes have no underscores."""
        made, number = name, 1
        while made in self._taken or made in KEYWORDS:
            number += 1
            made = f"{name}{number}"
        return self.give(made)

    def inner(self) -> Names:
        """Return the names of a scope inside this one."""
        return Names(self._taken)
