"""Stacks the lines of canonical text: documents, declarations, statements and edits, each with its comments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from masdsl.node import Node
from masdsl.syntax import ast, strings
from masdsl.syntax.comments import Notes, key
from masdsl.syntax.layout import BRACES, BRACKETS, IMPORTS, PARENTHESES, STEP, WORDS, Doc, behind, fits, flat, render
from masdsl.syntax.phrases import Phrases, number, path, percent, place, size, text_piece

_UNSCALED = ("retry", "steps")  # the attributes whose number is a bare INT


class Printer:
    """Collects lines; one element of `_lines` may hold several where a listing was exploded."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._phrases = Phrases(notes)
        self._lines: list[str] = []

    def text(self) -> str:
        """Return all lines written so far, without a line feed at the end."""
        return "\n".join(self._lines)

    # ------------------------------------------------------------ lines and comments

    def _line(self, indent: int, text: str, comment: str = "") -> None:
        self._lines.append(" " * indent + text + behind(comment))

    def _render(self, doc: Doc, indent: int) -> str:
        return render(doc, indent)

    def _comments(self, comments: Sequence[str], indent: int) -> None:
        self._lines.extend(" " * indent + comment for comment in comments)

    def _above(self, anchor: Node, indent: int) -> None:
        self._comments(self._notes.above.get(key(anchor), ()), indent)

    def _finish(self, anchor: Node) -> None:
        """Put the comment behind an anchor at the end of the line that was written last."""
        self._lines[-1] += behind(self._notes.behind.get(key(anchor), ""))

    def _last(self, anchor: Node, doc: Doc, indent: int) -> None:
        """Write the last line of an anchor."""
        self._line(indent, self._render(doc, indent))
        self._finish(anchor)

    def _leaf(self, anchor: Node, doc: Doc, indent: int) -> None:
        self._above(anchor, indent)
        self._last(anchor, doc, indent)

    def _open(self, head: Doc, region: Node, indent: int, is_empty: bool) -> bool:
        """Write the line that opens a block, unless the block has nothing in it; return whether it was written."""
        notes = self._notes
        opening = notes.opening.get(key(region), "")
        if is_empty and not opening and key(region) not in notes.closing:
            return False
        self._line(indent, self._render([*head, " {"], indent), opening)
        return True

    def _close(self, region: Node, indent: int) -> Doc:
        """Write the comments at the end of a block; return the start of the line that closes it."""
        self._comments(self._notes.closing.get(key(region), ()), indent + STEP)
        return ["}"]

    def _block(self, head: Doc, block: ast.Block, indent: int) -> Doc:
        """Write a block up to its closing line, whose start is returned: an empty one is all on it."""
        if not self._open(head, block, indent, not block.statements):
            return [*head, " {}"]
        for statement in block.statements:
            self.statement(statement, indent + STEP)
        return self._close(block, indent)

    # ------------------------------------------------------------ documents

    def document(self, document: ast.Document) -> None:
        """Write a program, a binding or a patch."""
        self._above(document, 0)
        comment = self._notes.behind.get(key(document), "")
        match document:
            case ast.Program():
                self._line(0, f"mas {document.edition}", comment)
                self._items(document.items)
                if key(document) in self._notes.closing:
                    self._lines.append("")
            case ast.Binding():
                self._line(0, f"bind {document.edition}", comment)
                for assignment in document.assignments:
                    self._leaf(assignment, [_assignment(assignment)], 0)
            case ast.Patch():
                base = f" on {strings.encode_line(document.base.value)}" if document.base is not None else ""
                self._line(0, f"patch {document.edition}{base}", comment)
                for edit in document.edits:
                    self.edit(edit)
            case _:
                assert_never(document)
        self._comments(self._notes.closing.get(key(document), ()), 0)

    def _items(self, items: Sequence[ast.Item]) -> None:
        before = "use"  # the header joins imports
        for item in items:
            start = len(self._lines)
            self.item(item, item, "")
            is_one_line = len(self._lines) == start + 1 and "\n" not in self._lines[start]
            family = _family(item) if is_one_line else ""
            if not family or family != before:
                self._lines.insert(start, "")
            before = family

    # ------------------------------------------------------------ declarations

    def item(self, item: ast.Item, anchor: Node, prefix: str) -> None:
        """Write a declaration. `anchor` has its comments: the item itself, or the edit that adds it after `prefix`."""
        phrases = self._phrases
        self._above(anchor, 0)
        match item:
            case ast.Use():
                doc: Doc = [f"{prefix}use {path(item.path)}"]
                if item.names:
                    doc.append(phrases.listing(IMPORTS, item.names, _import))
                self._last(anchor, doc, 0)
            case ast.RecordDecl():
                fields = phrases.listing(BRACES, item.fields, phrases.field)
                self._last(anchor, [f"{prefix}type {item.name.text} ", fields], 0)
            case ast.EnumDecl():
                self._last(anchor, [f"{prefix}type {item.name.text} ", phrases.listing(WORDS, item.words, _name)], 0)
            case ast.Budget():
                self._last(anchor, [f"{prefix}budget {_limits(item.limits)}"], 0)
            case ast.Rectify():
                at = "" if item.at is None else f" at {percent(item.at)}"
                self._last(anchor, [f"{prefix}rectify tries {item.tries}{at}"], 0)
            case ast.Tool():
                source: Doc = [f"from {strings.encode_line(item.source.value)}"]
                tail = [(item.source, source), *self._attributes(item.attrs)]
                self._signature(
                    [*self._callable(item, f"{prefix}tool"), *phrases.output(item.output)], item.output, tail
                )
                self._finish(anchor)
            case ast.Agent():
                head = [*self._callable(item, f"{prefix}agent"), *phrases.output(item.output)]
                self._signature(head, item.output, self._attributes(item.attrs))
                self._prompt(item.prompt)
                self._finish(anchor)
            case ast.Variant():
                head = [f"{prefix}agent {item.name.text} = {item.base.text}"]
                self._signature(head, item.base, self._attributes(item.attrs))
                if item.prompt is not None:
                    self._prompt(item.prompt)
                self._finish(anchor)
            case ast.Extern():
                self._last(anchor, [*self._callable(item, f"{prefix}extern"), *phrases.type(item.returns)], 0)
            case ast.Flow():
                self._last(anchor, self._flow(item, prefix), 0)
            case ast.Test():
                self._last(anchor, self._test(item, prefix), 0)
            case _:
                assert_never(item)

    def _prompt(self, prompt: ast.StrLit) -> None:
        self._above(prompt, STEP)
        self._line(STEP, self._render([text_piece(prompt.value)], STEP))

    def _signature(self, head: Doc, region: Node, tail: Sequence[tuple[Node, Doc]]) -> None:
        """Write an agent or tool without its prompt: on one line, else with the tail below, on one line or several.

        What stands behind `region`, the end of the head, are the attributes.
        """
        notes = self._notes
        opening = notes.opening.get(key(region), "")
        has_comments = any(key(node) in notes.above for node, _ in tail)
        has_comments = has_comments or any(key(node) in notes.behind for node, _ in tail[:-1])
        texts = [flat(doc) for _, doc in tail]
        joined = None if has_comments or None in texts else " ".join([text for text in texts if text is not None])
        comment = notes.behind.get(key(tail[-1][0]), "") if tail else ""
        whole = flat([*head, f" {joined}"] if joined else head)
        if joined is not None and whole is not None and not opening and fits(whole, 0):
            self._line(0, whole, comment)
            return
        self._line(0, self._render(head, 0), opening)
        if joined and fits(joined, STEP):
            self._line(STEP, joined, comment)
            return
        for node, doc in tail:
            self._leaf(node, doc, STEP)

    def _attributes(self, attrs: Sequence[ast.Attr]) -> list[tuple[Node, Doc]]:
        order = {word: place for place, word in enumerate(ast.ATTRIBUTE_ORDER)}
        ordered = sorted(attrs, key=lambda attr: order.get(attr.key, len(order)))
        return [(attr, self._attribute(attr)) for attr in ordered]

    def _attribute(self, attr: ast.Attr) -> Doc:
        match attr.value:
            case None:
                return [attr.key]
            case tuple():
                return [attr.key + " ", self._phrases.listing(BRACKETS, attr.value, _name)]
            case ast.StrLit():
                return [attr.key + " ", text_piece(attr.value.value)]
            case ast.Name():
                return [f"{attr.key} {attr.value.text}"]
            case _:
                return [f"{attr.key} {number(attr.value.value, scaled=attr.key not in _UNSCALED)}"]

    def _callable(self, item: ast.Tool | ast.Agent | ast.Extern | ast.Flow, word: str) -> Doc:
        """Return a declaration up to its arrow."""
        head: Doc = [f"{word} {item.name.text}"]
        if not isinstance(item, ast.Tool) and item.statics:
            head.append(self._phrases.listing(BRACKETS, item.statics, _static))
        return [*head, self._phrases.listing(PARENTHESES, item.params, self._phrases.param), " -> "]

    def _flow(self, flow: ast.Flow, prefix: str) -> Doc:
        head = [*self._callable(flow, f"{prefix}flow"), *self._phrases.output(flow.output)]
        if flow.budget is not None:
            head.append(f" budget {_limits(flow.budget.limits)}")
        return self._block(head, flow.body, 0)

    def _test(self, test: ast.Test, prefix: str) -> Doc:
        head: Doc = [f"{prefix}test {strings.encode_line(test.title.value)}"]
        if not self._open(head, test.body, 0, not (test.givens or test.body.statements or test.expects)):
            return [*head, " {}"]
        for given in test.givens:
            self._leaf(given, self._given(given), STEP)
        for statement in test.body.statements:
            self.statement(statement, STEP)
        for expect in test.expects:
            self._leaf(expect, ["expect ", *self._phrases.expr(expect.condition)], STEP)
        return self._close(test.body, 0)

    def _given(self, given: ast.Given) -> Doc:
        start = f"given {path(given.target)} "
        if given.value is None:
            return [start + given.mode]
        return [start + ("= " if given.mode == "value" else given.mode + " "), *self._phrases.value(given.value)]

    # ------------------------------------------------------------ statements

    def statement(self, node: ast.Statement, indent: int) -> None:
        """Write a statement with its comments."""
        phrases = self._phrases
        self._above(node, indent)
        match node:
            case ast.Bind():
                doc: Doc = [node.name.text + " = ", *phrases.rhs(node.value)]
            case ast.Append():
                doc = [node.name.text + " += ", *phrases.value(node.value)]
            case ast.Until():
                doc = ["until ", *phrases.expr(node.condition)]
            case ast.Return():
                doc = ["return ", *phrases.rhs(node.value)]
            case ast.Loop() | ast.For() | ast.Within():
                doc = self._block(self._opener(node), node.body, indent)
            case ast.If():
                doc = self._if(node, indent)
            case ast.Match():
                doc = self._match(node, indent)
            case _:
                assert_never(node)
        self._last(node, doc, indent)

    def _opener(self, node: ast.Loop | ast.For | ast.Within | ast.If | ast.Match) -> Doc:
        """Return what stands before the brace of a compound statement."""
        label = "" if node.label is None else node.label.text + ": "
        match node:
            case ast.Loop():
                return [f"{label}loop {size(node.times)}"]
            case ast.For():
                return [f"{label}for {node.var.text} in ", *self._phrases.expr(node.items)]
            case ast.Within():
                return [f"{label}within {_limits(node.limits)}"]
            case ast.If():
                return [label + "if ", *self._phrases.expr(node.branches[0].condition)]
            case ast.Match():
                return [label + "match ", *self._phrases.expr(node.subject)]
            case _:
                assert_never(node)

    def _if(self, node: ast.If, indent: int) -> Doc:
        doc = self._block(self._opener(node), node.branches[0].body, indent)
        for branch in node.branches[1:]:
            doc = self._block([*doc, " else if ", *self._phrases.expr(branch.condition)], branch.body, indent)
        return doc if node.orelse is None else self._block([*doc, " else"], node.orelse, indent)

    def _match(self, node: ast.Match, indent: int) -> Doc:
        head = self._opener(node)
        if not self._open(head, node, indent, not node.arms and node.orelse is None):
            return [*head, " {}"]
        inner = indent + STEP
        for arm in node.arms:
            self._above(arm, inner)
            self._last(arm, self._block([" | ".join([word.text for word in arm.words])], arm.body, inner), inner)
        if node.orelse is not None:
            self._above(node.orelse, inner)
            self._last(node.orelse, self._block(["else"], node.orelse, inner), inner)
        return self._close(node, indent)

    # ------------------------------------------------------------ patches

    def edit(self, edit: ast.Edit) -> None:
        """Write one edit of a patch with its comments."""
        phrases = self._phrases
        match edit:
            case ast.AddEdit():
                where = "" if edit.place is None else f"{edit.where} {place(edit.place)} "
                self.item(edit.item, edit, f"{where}add ")
                return
            case ast.RedeclareEdit():
                self.item(edit.item, edit, "replace ")
                return
            case ast.InsertEdit() | ast.SubstituteEdit():
                word = edit.where if isinstance(edit, ast.InsertEdit) else "replace"
                self._above(edit, 0)
                self._last(edit, self._block([f"{word} {path(edit.path)}"], edit.body, 0), 0)
                return
            case ast.SetEdit():
                doc: Doc = [f"set {path(edit.path)} = ", *phrases.value(edit.value)]
            case ast.BindEdit():
                doc = ["bind " + _assignment(edit.assignment)]
            case ast.DropEdit():
                doc = ["drop " + place(edit.place)]
            case ast.ReplaceEdit():
                doc = [f"replace {path(edit.path)} = ", *phrases.rhs(edit.value)]
            case ast.WrapEdit():
                doc = [f"wrap {path(edit.path)} in ", *self._opener(edit.opener)]
            case ast.ElseEdit():
                doc = [f"otherwise {path(edit.path)} = ", *phrases.attempt(edit.value)]
            case ast.RenameEdit():
                doc = [f"rename {path(edit.path)} = {edit.name.text}"]
            case ast.RedoEdit():
                doc = ["redo " + path(edit.path)]
            case ast.BudgetEdit():
                doc = ["budget " + _limits(edit.limits)]
            case _:
                assert_never(edit)
        self._leaf(edit, doc, 0)


def _family(item: ast.Item) -> str:
    """Return what kind of one-line neighbours stand without a blank line between them; nothing for all others."""
    match item:
        case ast.Use():
            return "use"
        case ast.RecordDecl() | ast.EnumDecl():
            return "type"
        case ast.Extern():
            return "extern"
        case ast.Variant():
            return "variant"
        case ast.Budget() | ast.Rectify():
            return "budget"
        case _:
            return ""


def _limits(limits: Sequence[ast.Limit]) -> str:
    order = {word: place for place, word in enumerate(ast.LIMIT_ORDER)}
    ordered = sorted(limits, key=lambda limit: order.get(limit.kind, len(order)))
    return " ".join([f"{limit.kind} {number(limit.amount.value, scaled=True)}" for limit in ordered])


def _import(node: ast.ImportName) -> Doc:
    return [node.name.text if node.alias is None else f"{node.name.text} as {node.alias.text}"]


def _name(node: ast.Name) -> Doc:
    return [node.text]


def _static(node: ast.Static) -> Doc:
    return [node.name.text if node.default is None else f"{node.name.text} = {node.default}"]


def _assignment(node: ast.Assignment) -> str:
    model = node.model.text if isinstance(node.model, ast.Name) else strings.encode_line(node.model.value)
    return f"{node.role.text} = {model}"
