"""All codes and their pages. A page is the docstring of the code's class.

Diagnostics are imported by those who raise them; this module imports them all, a file for each range, and only when it
is asked. So explaining costs nothing where nothing is explained.
"""

from __future__ import annotations

from importlib import import_module
from textwrap import dedent, indent
from typing import NamedTuple

from masdsl.diagnostics.base import Diagnostic
from masdsl.diagnostics.suggest import nearest

RANGES = {
    "0": ("text, syntax and limits", ("internal", "syntax")),
    "1": ("names, modules and tools", ("names", "tools")),
    "2": ("types", ("types",)),
    "3": ("control flow", ("flow",)),
    "4": ("bounds and budgets", ("bounds",)),
    "5": ("configuration, models and trust", ("config", "trust")),
    "6": ("prompts", ("prompts",)),
    "7": ("lints", ("lints", "suppressions")),
    "8": ("bindings and patches", ("patches",)),
    "9": ("running, designing, exporting", ("run", "sandbox", "designs", "library", "interop")),
}
"""First digit of a code -> what the range is about, and its files in this folder."""


class UnknownCode(LookupError):
    """There is no such code; the text says which one may be meant."""


class Example(NamedTuple):
    """A program of a page, and the other files that it is shown with: (name, text)."""

    program: str
    files: tuple[tuple[str, str], ...]


class Page(NamedTuple):
    """A page in its parts; `bad` and `good` include the files of the page's `Setup`."""

    summary: str
    why: str
    bad: Example | None
    good: Example | None


def codes_of(digit: str) -> dict[str, type[Diagnostic]]:
    """Return the codes of one range (`"1"` for MAS1xx) and their classes, in order of code."""
    _, files = RANGES[digit]
    classes = {
        value.code: value
        for file in files
        for value in vars(import_module(f"masdsl.diagnostics.{file}")).values()
        if isinstance(value, type) and issubclass(value, Diagnostic) and value.code
    }
    return dict(sorted(classes.items()))


def all_codes() -> dict[str, type[Diagnostic]]:
    """Return every code and its class, in order of code."""
    return {code: kind for digit in RANGES for code, kind in codes_of(digit).items()}


def find_code(code: str) -> type[Diagnostic]:
    """Return the class of a code written in any usual way (`MAS101`, `mas101`, `101`, `UndefinedName`).

    Raises:
        UnknownCode: there is none.
    """
    wanted = code.strip().upper()
    wanted = wanted if wanted.startswith("MAS") else f"MAS{wanted}"
    if wanted[3:4] in RANGES:
        found = codes_of(wanted[3]).get(wanted)
        if found is not None:
            return found
    known = all_codes()
    for kind in known.values():
        if kind.__name__.lower() == code.strip().lower():
            return kind
    near = nearest(wanted, known) or nearest(code, (kind.__name__ for kind in known.values()))
    hint = f"did you mean {near}?" if near else "`mas explain` lists all codes"
    raise UnknownCode(f"there is no code `{code}`; {hint}")


def explain(code: str) -> str:
    """Return the page of a code: what it means, why it is so, a program that has the fault and one that has not.

    Raises:
        UnknownCode: there is no such code; the text suggests a near one.
    """
    kind = find_code(code)
    return f"{kind.code} {kind.__name__} ({kind.severity})\n\n{page_text(kind)}"


def overview() -> str:
    """Return all codes with their summaries, one line each, by range."""
    blocks = []
    for digit, (about, _) in RANGES.items():
        codes = codes_of(digit)
        if codes:
            lines = [f"{code}  {page(kind).summary}" for code, kind in codes.items()]
            blocks.append(f"MAS{digit}xx: {about}\n" + indent("\n".join(lines), "  ") + "\n")
    return "\n".join([*blocks, "mas explain CODE shows a page.\n"])


def page_text(kind: type[Diagnostic]) -> str:
    """Return a page as text, without the indentation of the class."""
    first, _, rest = (kind.__doc__ or "(no page: Python runs with -OO, which drops it)").partition("\n")
    return f"{first.strip()}\n{dedent(rest)}".rstrip() + "\n"


def page(kind: type[Diagnostic]) -> Page:
    """Return a page in its parts.

    A line such as `Bad:` starts a part; `File NAME:` starts a file of the part it stands in, or of all programs of the
    page where that is `Setup:`.
    """
    summary, _, rest = page_text(kind).partition("\n")
    parts: dict[tuple[str, str], list[str]] = {}
    part, file = "", ""
    for line in rest.split("\n"):
        heading = line.strip()
        if heading in ("Bad:", "Good:", "Setup:") and not line.startswith(" "):
            part, file = heading[:-1], ""
        elif heading.startswith("Why:") and not line.startswith(" "):
            part, file = "Why", ""
            parts[part, file] = [heading.removeprefix("Why:")]
            continue
        elif heading.startswith("File ") and heading.endswith(":") and part in ("Bad", "Good", "Setup"):
            file = heading[len("File ") : -1].strip()
        else:
            parts.setdefault((part, file), []).append(line)
            continue
        parts[part, file] = []
    texts = {key: dedent("\n".join(lines)).strip("\n") for key, lines in parts.items()}
    return Page(
        summary=summary,
        why=" ".join(texts.get(("Why", ""), "").split()),
        bad=_example(texts, "Bad"),
        good=_example(texts, "Good"),
    )


def _example(texts: dict[tuple[str, str], str], part: str) -> Example | None:
    if (part, "") not in texts:
        return None
    files = {file: text for (where, file), text in texts.items() if file and where in ("Setup", part)}
    return Example(texts[part, ""] + "\n", tuple((file, text + "\n") for file, text in files.items()))


def lint_names() -> tuple[str, ...]:
    """Return the names by which a configuration turns lints off or into errors."""
    return tuple(name for kind in codes_of("7").values() if (name := getattr(kind, "lint", "")))
