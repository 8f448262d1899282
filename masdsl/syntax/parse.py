"""Text to syntax tree: programs, bindings, patches, and chunks of programs that are being written."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Any, NamedTuple

from masdsl import limits
from masdsl.diagnostics.base import Diagnostic, Findings
from masdsl.node import Node, Span
from masdsl.reading import refuse_hidden
from masdsl.source import Source
from masdsl.syntax import ast
from masdsl.syntax.build import Site
from masdsl.syntax.grammar import Language, load
from masdsl.syntax.lex import END, MISSPELT, Tokens, tokenize
from masdsl.syntax.machine import Machine

if TYPE_CHECKING:
    from masdsl.syntax.recover import Recovery


class Parsed(NamedTuple):
    """What a text says. Where it has faults (`ok` is False) the document is what remains without the faulty parts."""

    source: Source
    document: ast.Document
    comments: tuple[ast.Comment, ...]
    ok: bool
    gaps: tuple[Span, ...] = ()
    """Where text was left out of the document, in no order."""
    lost: frozenset[str] = frozenset()
    """Names that the faulty parts would have bound: later stages should not miss them."""


class Chunk(NamedTuple):
    """A piece of a program between two boundaries, by the grammar's `chunk`.

    `kind` is declaration, statement, opener (of a block, an `if` or a `match`), flow, test, elif, else, arm (the heads
    of these), given, expect or close. Heads come as nodes whose body is empty; `else {` as that empty Block, `}` as
    None.
    """

    kind: str
    node: Node | None


def parse_program(source: Source, findings: Findings) -> Parsed:
    """Parse a program: `mas 1` and its declarations. Never raises; faults are findings."""
    return _parse(source, findings, "program")


def parse_binding(source: Source, findings: Findings) -> Parsed:
    """Parse a binding: `bind 1` and its assignments. Never raises; faults are findings."""
    return _parse(source, findings, "binding")


def parse_patch(source: Source, findings: Findings) -> Parsed:
    """Parse a patch: `patch 1` and its edits. Never raises; faults are findings."""
    return _parse(source, findings, "patch")


def parse_chunk(source: Source, findings: Findings) -> Chunk | None:
    """Parse one chunk of a program. Never raises; faults are findings, and with any of them the result is None."""
    run = _Run(source, findings, "chunk")
    value = run.value
    if not run.ok:
        return None
    first = run.tokens.kinds[0]
    if first == "RBRACE":
        return Chunk("close", None)
    if first == "ELSE":
        return Chunk("elif" if isinstance(value, ast.Branch) else "else", value)
    return Chunk(_chunk_kind(value, run.tokens.kinds[-2]), value)


def _chunk_kind(value: Any, last: str) -> str:
    if isinstance(value, ast.Flow | ast.Test | ast.Arm | ast.Given | ast.Expect):
        return type(value).__name__.lower()
    if isinstance(value, ast.Bind | ast.Append | ast.Until | ast.Return):
        return "statement"
    return "opener" if isinstance(value, ast.Loop | ast.For | ast.Within | ast.If | ast.Match) else "declaration"


def _parse(source: Source, findings: Findings, start: str) -> Parsed:
    run = _Run(source, findings, start)
    document = (
        run.value if isinstance(run.value, ast.Program | ast.Binding | ast.Patch) else _remains(start, run.values)
    )
    return Parsed(source, document, tuple(run.tokens.comments), run.ok, tuple(run.gaps), run.lost)


_HEADERS = {"program": ("MAS", "mas"), "binding": ("BIND", "bind"), "patch": ("PATCH", "patch")}
_MEMBERS = {
    "program": (
        ast.Use,
        ast.RecordDecl,
        ast.EnumDecl,
        ast.Tool,
        ast.Agent,
        ast.Variant,
        ast.Extern,
        ast.Flow,
        ast.Budget,
        ast.Rectify,
        ast.Test,
    ),
    "binding": (ast.Assignment,),
    "patch": (
        *(ast.SetEdit, ast.BindEdit, ast.AddEdit, ast.DropEdit, ast.ReplaceEdit, ast.InsertEdit),
        *(ast.WrapEdit, ast.ElseEdit, ast.RenameEdit, ast.RedoEdit, ast.BudgetEdit),
        *(ast.SubstituteEdit, ast.RedeclareEdit),
    ),
}


def _remains(start: str, values: list[Any]) -> ast.Document:
    """The document of a parse that gave up: what was complete by then."""
    members: tuple[Any, ...] = tuple(
        member
        for value in values
        for member in (value if isinstance(value, list) else (value,))
        if isinstance(member, _MEMBERS[start])
    )
    if start == "program":
        return ast.Program(1, members)
    return ast.Binding(1, members) if start == "binding" else ast.Patch(1, None, members)


class _Run:
    """One parse. `value` is its outcome; None if the parser gave up, with what it had in `values`."""

    def __init__(self, source: Source, findings: Findings, start: str) -> None:
        self.source = source
        self.findings = findings
        self.value: Any = None
        self.values: list[Any] = []
        self.gaps: list[Span] = []
        self.lost: frozenset[str] = frozenset()
        self.silent: list[Span] = []
        self.garbled = not findings.ok
        self._count = 0
        self.ok = refuse_hidden(source, findings)
        language = load(start)
        if self._too_large():
            end = len(source.text)
            self.tokens = Tokens([END], [""], [end], [end], [])
            return
        self.tokens = tokenize(source, language, self.complain)
        if start == "chunk" or self._check_header(*_HEADERS[start]):
            machine = Machine(language, self.tokens, Site(self.complain), self._recovery)
            self.value, self.values = machine.run(), machine.values
            self.gaps = machine.left_out
            if self.gaps:
                self.lost = _lost_names(self.tokens, self.gaps)

    def _too_large(self) -> bool:
        text = self.source.text
        if len(text) * 4 <= limits.SOURCE_BYTES:
            return False
        if self.garbled and any(
            found.source is self.source and found.diagnostic.code == "MAS009" for found in self.findings.sorted()
        ):
            self.ok = False  # the reader has cut it off
            return True
        if len(text.encode("utf-8", "surrogatepass")) <= limits.SOURCE_BYTES:
            return False
        self.complain("source", Span(len(text) - 1, len(text)), "")
        return True

    def _recovery(self, language: Language) -> Recovery:
        from masdsl.syntax.recover import Recovery

        return Recovery(self.source.text, language, self.report, self.silent)

    def complain(self, kind: str, span: Span, text: str) -> None:
        """Report a fault of the lexer or the builder, by its kind."""
        from masdsl.syntax.faults import FAULTS

        if kind in ("tokens", "blocks", "brackets"):
            self.silent.append(span)  # the text ends here
        elif kind == "unclosed":
            end = self.source.text.find("\n", span.start)
            self.silent.append(Span(span.start, end if end >= 0 else len(self.source.text)))
        self.report(FAULTS[kind](span, text))

    def report(self, diagnostic: Diagnostic) -> bool:
        """Record a diagnostic. False if there have been enough."""
        self.ok = False
        self._count += 1
        if self._count > limits.DIAGNOSTICS:
            return False
        if self._count == limits.DIAGNOSTICS:
            from masdsl.diagnostics.syntax import LimitExceeded

            what, action = "the text has too many faults", "mend the others first"
            self.findings.add(self.source, LimitExceeded(what, limits.DIAGNOSTICS, action, span=diagnostic.span))
            return False
        if not (self.garbled and getattr(diagnostic, "character", "") == "\ufffd"):  # already reported by the reader
            self.findings.add(self.source, diagnostic)
        return True

    def _check_header(self, kind: str, word: str) -> bool:
        """See to it that the tokens begin with the header. False if this is another kind of text."""
        tokens = self.tokens
        kinds = tokens.kinds
        if kinds[:2] != [kind, "INT"]:
            from masdsl.diagnostics.syntax import MissingHeader

            header = f"{word} 1"
            at = next((at for at in range(len(kinds) - 1) if kinds[at] == kind and kinds[at + 1] == "INT"), 0)
            if at:
                self.report(MissingHeader(header, True, span=Span(tokens.starts[0], tokens.starts[at])))
                tokens.replace(0, at, (), Span(0, 0))
            elif kinds[0] == kind:
                self.report(MissingHeader(header, False, span=tokens.span(0)))
                wrong = kinds[1] in ("FLOAT", "SCALED", "PERCENT", "STRING", MISSPELT)
                tokens.replace(1, 2 if wrong else 1, (("INT", "1"),), tokens.span(0))
            else:
                self.report(MissingHeader(header, False, span=Span(0, 0)))
                if kinds[1:2] == ["INT"] and kinds[0] in {other for other, _ in _HEADERS.values()}:
                    return False
                tokens.replace(0, 0, ((kind, word), ("INT", "1")), Span(tokens.starts[0], tokens.starts[0]))
        if tokens.texts[1].lstrip("0") != "1":
            from masdsl.diagnostics.syntax import UnknownEdition

            self.report(UnknownEdition(tokens.texts[1], span=tokens.span(1)))
            tokens.texts[1] = "1"
        return True


_BINDERS = frozenset({"TYPE", "TOOL", "AGENT", "EXTERN", "FLOW", "FOR", "EACH"})


def _lost_names(tokens: Tokens, places: list[Span]) -> frozenset[str]:
    """Names that would be bound or declared in the given places."""
    kinds, texts, starts = tokens.kinds, tokens.texts, tokens.starts
    names: set[str] = set()
    for place in places:
        imported = False
        for at in range(bisect_left(starts, place.start), bisect_left(starts, max(place.end, place.start + 1))):
            kind, before = kinds[at], kinds[at - 1] if at else ""
            imported = kind == "USE" or (
                imported and before != "USE" and kind in ("NAME", "TYPENAME", "DOT", "COLON", "COMMA", "AS")
            )
            if not texts[at].isidentifier():
                continue
            if before in _BINDERS or kinds[at + 1] in ("EQUAL", "APPEND") or (imported and kind != "USE"):
                names.add(texts[at])
    return frozenset(names - {"_"})  # `_` stands in for what is missing
