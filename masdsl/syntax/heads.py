"""The usual slips in declarations, each with the change that mends it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from masdsl.diagnostics.suggest import nearest
from masdsl.diagnostics.syntax import OtherLanguage, Unexpected
from masdsl.node import Span
from masdsl.syntax import foreign
from masdsl.syntax.expect import found_words
from masdsl.syntax.recover import Change

if TYPE_CHECKING:
    from masdsl.syntax.machine import Machine
    from masdsl.syntax.recover import Recovery

_LITERALS = ("INT", "FLOAT", "STRING", "TRUE", "FALSE", "NONE")


def head_changes(recovery: Recovery, machine: Machine, at: int) -> Iterator[Change]:
    """Yield the changes of a declaration that may mend the error at token `at`."""
    for changes in (_attributes, _outputs, _parameters, _list_types, _fields, _tests):
        yield from changes(recovery, machine, at)


def _attributes(recovery: Recovery, machine: Machine, at: int) -> Iterator[Change]:
    """A word that is no attribute, where an attribute may stand."""
    tokens = machine.tokens
    word, span = tokens.texts[at], tokens.span(at)
    if tokens.kinds[at] != "NAME" or not recovery.expected(machine) & {"TEMP", "EFFECT"}:
        return
    kind, instead = foreign.ATTRIBUTES.get(word, ("", ""))
    if instead:
        report = OtherLanguage(word, f"write `{instead}`", instead, span=span)
        yield Change(report, at, remove=1, insert=((kind, instead),))
    known = {recovery.spelled[name]: name for name in recovery.expected(machine) if name in _ATTRIBUTE_KINDS}
    near = nearest(word, sorted(known))
    if near:
        guess = Unexpected(
            f"`{word}`", (f"`{near}`",), f"did you mean `{near}`?", (f"write `{near}`", span, near), span=span
        )
        yield Change(guess, at, remove=1, insert=((known[near], near),))


_ATTRIBUTE_KINDS = frozenset({"ON", "ROLE", "TEMP", "MAX", "RETRY", "TIMEOUT", "TOOLS", "STEPS", "EFFECT", "FROM"})


def _outputs(recovery: Recovery, machine: Machine, at: int) -> Iterator[Change]:
    """No output before the body, the prompt or the source."""
    tokens = machine.tokens
    kind = tokens.kinds[at]
    if kind not in ("LBRACE", "STRING", "FROM", "ON", "ROLE", "TEMP") or not machine.accepts(["ARROW"]):
        return
    end = tokens.ends[at - 1]
    found = found_words(kind, tokens.texts[at])
    correction = ("write `-> text`", Span(end, end), " -> text")
    report = Unexpected(found, ("`->`",), "say what it gives, such as `-> text`", correction, span=tokens.span(at))
    yield Change(report, at, insert=(("ARROW", "->"), ("NAME", "text")))


def _parameters(recovery: Recovery, machine: Machine, at: int) -> Iterator[Change]:
    """No parameters before the output."""
    tokens = machine.tokens
    if tokens.kinds[at] == "ARROW" and machine.accepts(["LPAR"]):
        end = tokens.ends[at - 1]
        correction = ("write `()`", Span(end, end), "()")
        report = Unexpected(
            "`->`", ("`(`",), "write `()`, or the inputs between them", correction, span=tokens.span(at)
        )
        yield Change(report, at, insert=(("LPAR", "("), ("RPAR", ")")))


def _list_types(recovery: Recovery, machine: Machine, at: int) -> Iterator[Change]:
    """`text[]` and `[text]`."""
    tokens = machine.tokens
    kinds, texts, span = tokens.kinds, tokens.texts, tokens.span(at)
    if kinds[at] == "RSQB" and kinds[at - 1] == "LSQB" and machine.accepts(["INT"]) and not machine.accepts(["STRING"]):
        hint, gap = "a list has a largest length, such as `text[8]`", Span(span.start, span.start)
        report = Unexpected("`]`", ("a number",), hint, ("write `8`", gap, "8"), span=span)
        yield Change(report, at, insert=(("INT", "8"),))
    if kinds[at] == "LSQB" and kinds[at + 1] in ("NAME", "TYPENAME") and kinds[at + 2 : at + 3] == ["RSQB"]:
        instead = f"{texts[at + 1]}[8]"
        whole = Span(span.start, tokens.ends[at + 2])
        report = Unexpected(
            "`[`", ("a type",), f"write `{instead}`", (f"write `{instead}`", whole, instead), span=whole
        )
        insert = ((kinds[at + 1], texts[at + 1]), ("LSQB", "["), ("INT", "8"), ("RSQB", "]"))
        if machine.accepts([kinds[at + 1], "LSQB", "INT"]) == 3 and not machine.accepts(["STRING"]):
            yield Change(report, at, remove=3, insert=insert)


def _fields(recovery: Recovery, machine: Machine, at: int) -> Iterator[Change]:
    """A default of a field."""
    tokens = machine.tokens
    if tokens.kinds[at] == "EQUAL" and machine.accepts(["RBRACE"]) and machine.accepts(["COMMA"]):
        length = 3 if tokens.kinds[at + 1 : at + 3] == ["LSQB", "RSQB"] else 2
        if tokens.kinds[at + 1] in (*_LITERALS, "LSQB"):
            place = Span(tokens.ends[at - 1], tokens.ends[at + length - 1])
            hint = "fields have no defaults: make it optional with `?`, or give a default where the record is an output"
            report = Unexpected("`=`", ("`,`", "`}`"), hint, ("delete it", place, ""), span=tokens.span(at))
            yield Change(report, at, remove=length)


def _tests(recovery: Recovery, machine: Machine, at: int) -> Iterator[Change]:
    """A test that expects nothing."""
    if machine.tokens.kinds[at] == "RBRACE" and machine.accepts(["EXPECT"]) and not machine.accepts(["AGENT"]):
        hint = 'end the test with what it expects, such as `expect out == ""`'
        report = recovery.unexpected(machine, at, hint=hint)
        yield Change(report, at, insert=(("EXPECT", "expect"), ("TRUE", "true")), sure=True)
