"""What could be written at a place: names in scope, fields, words, types, attributes, tiers, modules, keywords.

What the grammar allows there comes from the parser's own tables (`expected`). Which names there are, and their types,
comes from a check of the text with a word in place of what is being written.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from masdsl.check.builtins import BUILTINS
from masdsl.check.relations import required, show
from masdsl.check.resolve import PRIMITIVE_NAMES
from masdsl.check.scope import ModuleScope
from masdsl.editor import symbols
from masdsl.editor.document import PROGRAM, Document
from masdsl.editor.expected import Before, before
from masdsl.editor.hover import head_text
from masdsl.editor.imports import importable, module_names, names_of
from masdsl.editor.prompts import in_string
from masdsl.editor.symbols import KINDS, head_of
from masdsl.editor.workspace import Workspace
from masdsl.node import Span
from masdsl.patch.places import NoPlace, find
from masdsl.source import Source
from masdsl.syntax import ast
from masdsl.syntax.walk import iterate
from masdsl.types import Enum, Record, Type

KEYWORD, SNIPPET, TYPE = "keyword", "snippet", "type"
_HOLE = "mas_hole"
_MEASURES = ("calls", "tokens", "usd", "seconds")


class Item(NamedTuple):
    """A proposal: `text` replaces `span`. With `import_at`, `import_text` has to be inserted there as well.

    `rank` orders proposals: the lower, the likelier.
    """

    label: str
    kind: str
    span: Span
    detail: str = ""
    doc: str = ""
    text: str = ""
    rank: int = 1
    import_at: int = -1
    import_text: str = ""


def complete(workspace: Workspace, name: str, offset: int) -> list[Item]:
    """Return what could be written at an offset of a file."""
    document = workspace.document(name)
    if document is None:
        return []
    text = document.source.text
    start = offset
    while start > 0 and (text[start - 1].isalnum() or text[start - 1] == "_") and text[start - 1].isascii():
        start -= 1
    tokens = document.tokens
    if any(one.span.start < offset <= one.span.end for one in tokens.comments):
        return []
    for kind, first, end in zip(tokens.kinds, tokens.starts, tokens.ends, strict=True):
        if kind == "STRING" and first < offset < end:
            return [
                Item(one.label, one.kind, Span(one.start, offset), one.detail)
                for one in in_string(document, Span(first, end), offset)
            ]
    if document.kind != PROGRAM:
        return []
    return _Completion(workspace, document, start, offset).run()


class _Completion:
    def __init__(self, workspace: Workspace, document: Document, start: int, offset: int) -> None:
        self._workspace = workspace
        self._document = document
        self._text = document.source.text
        self._start = start
        self._offset = offset
        self._span = Span(start, offset)
        self._before: Before = before(self._text[:start])
        self._kinds = self._before.tokens.kinds[:-2]
        self._texts = self._before.tokens.texts[: len(self._kinds)]
        self._expected = self._before.expected

    def run(self) -> list[Item]:
        last = self._kinds[-1] if self._kinds else ""
        clause = self._clause()
        if clause == "USE":
            return list(self._imports())
        if last == "DOT":
            return list(self._members())
        if last == "ON" and "NAME" in self._expected:
            return [self._item(tier, symbols.TIER, model) for tier, model in self._document.config.tiers.items()]
        if clause == "TOOLS":
            return list(self._declared((ast.Tool,)))
        if last == "GIVEN":
            return list(self._declared((ast.Agent, ast.Variant, ast.Tool)))
        if "TYPENAME" in self._expected and "STRING" not in self._expected and "NAME" in self._expected:
            return [
                *(self._item(name, TYPE) for name in PRIMITIVE_NAMES),
                *self._declared((ast.RecordDecl, ast.EnumDecl)),
            ]
        found = list(self._keywords())
        if "NAME" in self._expected:
            found += self._names()
        return list({(item.label, item.kind): item for item in found}.values())

    def _item(self, label: str, kind: str, detail: str = "", doc: str = "", rank: int = 1, text: str = "") -> Item:
        return Item(label, kind, self._span, detail, doc, text or label, rank)

    def _clause(self) -> str:
        """Return `USE` inside an import, `TOOLS` inside a list of tools."""
        for kind in reversed(self._kinds):
            if kind in ("USE", "TOOLS"):
                return kind
            if kind not in ("NAME", "TYPENAME", "DOT", "COLON", "COMMA", "AS", "LSQB"):
                return ""
        return ""

    # ------------------------------------------------------------ the text with a hole

    def _look(self, hole: str) -> Document:
        """Return the document with a word in place of what is being written, checked with an eye on that place."""
        from masdsl.editor.facts import Facts

        text = self._text[: self._start] + hole + self._text[self._offset :]
        facts = Facts(self._start)
        return self._workspace.looked_at(Source(self._document.source.name, text), facts)

    def _scope(self) -> ModuleScope | None:
        return self._document.facts.own

    # ------------------------------------------------------------ kinds of places

    def _keywords(self) -> Iterator[Item]:
        from masdsl.syntax.grammar import load

        for word, kind in load("program").lexicon.keywords.items():
            if kind in self._expected and word != "mas":
                yield self._item(word, KEYWORD, rank=3)

    def _imports(self) -> Iterator[Item]:
        at = len(self._kinds) - 1 - self._kinds[::-1].index("USE")
        words = self._texts[at + 1 :]
        folder = self._document.source.name
        if ":" in words:
            module = tuple(word for word in words[: words.index(":")] if word != ".")
            if words[-1] != "as":
                for label, kind, detail, doc in names_of(self._workspace, self._document, module):
                    yield self._item(label, kind, detail, doc)
            return
        path = tuple(word for word in words if word != ".")
        for label, detail in module_names(self._workspace, folder, path):
            yield self._item(label, symbols.MODULE, detail)

    def _members(self) -> Iterator[Item]:
        scope = self._scope()
        owner = self._texts[-2] if len(self._texts) > 1 else ""
        if owner[:1].isupper() and scope is not None:
            declared = scope.names.get(owner)
            if declared is not None and isinstance(declared.node, ast.EnumDecl):
                for word in declared.node.words:
                    yield self._item(word.text, symbols.WORD, owner)
            return
        looked = self._look(_HOLE)
        for item in looked.items:
            for node in iterate(item):
                if isinstance(node, ast.Attribute) and node.field.span.start == self._start:
                    yield from self._fields(looked.facts.types.get(node.value.span))
                    yield from self._steps(node, looked)
                    return

    def _fields(self, kind: Type | None) -> Iterator[Item]:
        inner = required(kind) if kind is not None else None
        if isinstance(inner, Record):
            for name, field in inner.fields:
                yield self._item(name, symbols.FIELD, show(field))

    def _steps(self, node: ast.Attribute, looked: Document) -> Iterator[Item]:
        """Yield what an address in a test could go on with."""
        path: list[ast.Name] = [node.field]
        value = node.value
        while isinstance(value, ast.Attribute):
            path.insert(0, value.field)
            value = value.value
        if not isinstance(value, ast.Var):
            return
        flows = [item for item in looked.items if isinstance(item, ast.Flow) and item.name.text == value.name.text]
        if flows:
            try:
                find(ast.Program(1, (flows[0],)), (flows[0].name, *path))
            except NoPlace as nothing:
                for known in nothing.known:
                    yield self._item(known, symbols.LOCAL, "step")

    def _declared(self, kinds: tuple[type[ast.Item], ...]) -> Iterator[Item]:
        scope = self._scope()
        for name, declared in scope.names.items() if scope is not None else ():
            if isinstance(declared.node, kinds) and declared.visible_from <= self._start:
                head = head_text(declared.home, declared.node)
                doc = declared.home.doc(declared.node)
                yield self._item(name, KINDS[type(declared.node)], head.replace("\n", " "), doc)

    def _names(self) -> list[Item]:
        if "RETURN" in self._expected or "UNTIL" in self._expected:
            looked = self._look("until true\n")
            statement = True
        else:
            looked = self._look(_HOLE)
            statement = False
        if not statement and (words := list(self._arm_words())):
            return words
        if "STRING" not in self._expected and (names := list(self._argument_names())):
            return names
        found = [self._item(name, symbols.LOCAL, show(kind), rank=0) for name, kind in _known(looked, self._start)]
        if statement or "STRING" not in self._expected:  # the left side of a binding, or the name of something new
            return found if statement else []
        found += self._argument_names()
        callable_kinds = (ast.Agent, ast.Variant, ast.Tool, ast.Flow, ast.Extern)
        found += self._declared(callable_kinds)
        found += [item._replace(rank=2) for item in self._declared((ast.RecordDecl, ast.EnumDecl))]
        for name, signature in BUILTINS.items():
            found.append(self._item(name, symbols.BUILTIN, signature.text, signature.summary, 2))
        item = self._document.item_at(self._start)
        if isinstance(item, ast.Test):
            found += [self._item(word, symbols.LOCAL, "what the run took", rank=2) for word in (*_MEASURES, "ran")]
        if self._offset - self._start >= 2:
            found += self._unimported()
        return found

    def _arm_words(self) -> Iterator[Item]:
        """Yield the words of the enum where an arm of `match` may begin."""
        if self._kinds[-1:] not in (["LBRACE"], ["RBRACE"], ["BAR"]) or "STRING" in self._expected:
            return
        looked = self._look(f"{_HOLE} {{ }}\n" if self._kinds[-1] != "BAR" else _HOLE)
        for item in looked.items:
            for node in iterate(item):
                if isinstance(node, ast.Match) and any(
                    word.span.start == self._start for arm in node.arms for word in arm.words
                ):
                    kind = looked.facts.types.get(node.subject.span)
                    taken = {word.text for arm in node.arms for word in arm.words}
                    for word in kind.words if isinstance(kind, Enum) else ():
                        if word not in taken:
                            yield self._item(word, symbols.WORD, kind.name if isinstance(kind, Enum) else "")

    def _argument_names(self) -> Iterator[Item]:
        """Yield `name: ` for the parameters of the call around the place, and for the fields of the record."""
        from masdsl.editor.signatures import open_call

        call = open_call(self._before.tokens)
        scope = self._scope()
        if call is None or scope is None or self._kinds[-1] not in ("LPAR", "COMMA"):
            return
        declared = scope.names.get(call.name)
        head = head_of(declared) if declared is not None else None
        if head is not None:
            for param in head[1].params:
                yield self._item(
                    f"{param.name.text}:", symbols.PARAMETER, call.name, rank=1, text=f"{param.name.text}: "
                )
        elif declared is not None and isinstance(declared.node, ast.RecordDecl):
            for field in declared.node.fields:
                yield self._item(f"{field.name.text}:", symbols.FIELD, call.name, rank=0, text=f"{field.name.text}: ")

    def _unimported(self) -> Iterator[Item]:
        scope = self._scope()
        taken = scope.names if scope is not None else {}
        at, lead = _import_place(self._document)
        word = self._text[self._start : self._offset]
        for module, label, kind, detail, doc in importable():
            if label not in taken and label.startswith(word):
                own = module.rpartition(".")[2] == label
                line = f"use {module}" if own else f"use {module}: {label}"
                item = self._item(label, kind, f"{module}  {detail}", doc, 4)
                yield item._replace(import_at=at, import_text=f"{lead}{line}\n")


def _import_place(document: Document) -> tuple[int, str]:
    """Return where a further `use` goes: below the last one, else below the first line that says `mas 1`."""
    text = document.source.text
    uses = [item for item in document.items if isinstance(item, ast.Use)]
    tokens = document.tokens
    end = uses[-1].span.end if uses else tokens.ends[1] if len(tokens.ends) > 2 else 0
    line = text.find("\n", end)
    return (line + 1, "") if line >= 0 else (len(text), "\n")


def _known(document: Document, offset: int) -> Iterator[tuple[str, Type]]:
    """Yield the names that can be read at an offset, with their types: those of flows, samples and tests."""
    facts = document.facts
    names = dict(facts.names)
    item = document.item_at(offset)
    if item is None:
        return
    for node in iterate(item):
        if isinstance(node, ast.Each) and node.var.span.end < offset <= node.span.end and node.items.span.end < offset:
            kind = facts.types.get(node.var.span)
            if kind is not None:
                names[node.var.text] = kind
        elif not facts.names and isinstance(node, ast.Bind) and node.span.end < offset:
            kind = facts.types.get(node.name.span)
            if kind is not None:
                names[node.name.text] = kind
    if isinstance(item, ast.Flow):
        for param in item.params:
            if isinstance(param.type, ast.AgentType):
                continue
            kind = facts.types.get(param.name.span)
            if kind is not None:
                names.setdefault(param.name.text, kind)
    yield from names.items()
