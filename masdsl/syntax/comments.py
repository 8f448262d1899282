"""Where the comments of a source belong in its tree.

Comments are not part of the tree: two programs that differ only in comments are equal. Before printing, each comment is
attached to an *anchor*, a node that starts a line of its own when it must: a declaration, a statement, an entry of a
bracketed list, an attribute of an agent. Anchors of the same list form a *region* between two brackets. A comment goes

- behind the anchor that ends on its line,
- else behind the opening bracket of the region, if it stands on that line before the first anchor,
- else above the next anchor of the region,
- else above the closing bracket.

A comment in the midst of an anchor, in none of its regions, has no line to stand on: it moves above the anchor, or,
after a block (`} # here` and then `else {`), to the start of the next block. All other comments of the same head then
move with it, so the order of comments never changes.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from masdsl.node import Node, Span
from masdsl.syntax import ast

# Plain patterns: they are only compiled when there are comments to attach.
_TOKENS = r'"""(?:"{0,2}(?:[^"\\]|\\[\s\S]))*"""|"(?:[^"\\\n]|\\[^\n])*"|#[^\n]*|[][(){}]'
_HEADER = r"(?:mas|bind|patch)(?:[ \t\n]|#[^\n]*)*[0-9]+"
_OPENERS = "([{"


class Notes(NamedTuple):
    """Where each comment is printed, by the identity of its anchor or region (see `key`)."""

    above: dict[int, list[str]]
    behind: dict[int, str]
    opening: dict[int, str]
    closing: dict[int, list[str]]


NO_NOTES = Notes({}, {}, {}, {})


def key(thing: object) -> int:
    """Return what `Notes` are keyed by: the identity of a node, or of the tuple of nodes that a listing shows.

    The region after the head of an agent or tool goes by its `output`, the arms of a `match` by the node itself.
    """
    return id(thing)


def attach(document: ast.Document, text: str, comments: Sequence[ast.Comment]) -> Notes:
    """Attach every comment of a source.

    `document` is what `text` parses to without errors, `comments` are all comments of the text, in order.
    """
    if not comments:
        return NO_NOTES
    return _Attacher(document, text).run(comments)


class _Anchor(NamedTuple):
    key: int
    span: Span
    node: Node | None  # None: nothing in it can have comments of its own


class _Region(NamedTuple):
    key: int
    start: int  # just behind the opening bracket
    end: int  # the closing bracket
    anchors: Sequence[_Anchor]
    is_block: bool  # its anchors always have their own lines


def _anchors(nodes: Sequence[Node]) -> list[_Anchor]:
    return [_Anchor(key(node), node.span, node) for node in nodes]


class _Attacher:
    def __init__(self, document: ast.Document, text: str) -> None:
        self._document = document
        self._text = text
        self._closing_at: dict[int, int] = {}  # offset of an opening bracket -> of the one that closes it
        opened: list[int] = []
        for token in re.finditer(_TOKENS, text):
            if token[0] in _OPENERS:
                opened.append(token.start())
            elif token[0] in ")]}" and opened:
                self._closing_at[opened.pop()] = token.start()
        self._notes = Notes({}, {}, {}, {})

    def run(self, comments: Sequence[ast.Comment]) -> Notes:
        document = self._document
        match document:
            case ast.Program():
                parts: Sequence[Node] = document.items
            case ast.Binding():
                parts = document.assignments
            case ast.Patch():
                parts = document.edits
        header = _Anchor(key(document), self._header(document), None)
        region = _Region(key(document), 0, len(self._text), [header, *_anchors(parts)], True)
        self._place(region, list(comments), [])
        return self._notes

    def _header(self, document: ast.Document) -> Span:
        start = document.span.start
        found = re.compile(_HEADER).match(self._text, start)
        end = found.end() if found else start
        if isinstance(document, ast.Patch) and document.base is not None:
            end = document.base.span.end
        return Span(start, end)

    # ------------------------------------------------------------ placing

    def _place(self, region: _Region, comments: list[ast.Comment], moved: list[str]) -> None:
        """Attach the comments of a region; `moved` are those from before it that go to its start."""
        notes = self._notes
        anchors = region.anchors
        if moved:
            above = anchors[0].key if anchors else None
            target = notes.closing.setdefault(region.key, []) if above is None else notes.above.setdefault(above, [])
            target.extend(moved)
        starts = [anchor.span.start for anchor in anchors]
        inside: dict[int, list[ast.Comment]] = {}
        for comment in comments:
            at = comment.span.start
            following = bisect_right(starts, at)
            previous = following - 1
            if previous >= 0 and at < anchors[previous].span.end:
                inside.setdefault(previous, []).append(comment)
            elif previous >= 0 and self._same_line(anchors[previous].span.end, at):
                notes.behind[anchors[previous].key] = _text(comment)
            elif previous < 0 and not moved and region.start and self._same_line(region.start, at):
                notes.opening[region.key] = _text(comment)
            elif following < len(anchors):
                notes.above.setdefault(anchors[following].key, []).append(_text(comment))
            else:
                notes.closing.setdefault(region.key, []).append(_text(comment))
        for number, within in inside.items():
            self._place_inside(anchors[number], within)

    def _place_inside(self, anchor: _Anchor, comments: list[ast.Comment]) -> None:
        """Attach the comments between the start and the end of an anchor: to its regions, or above it."""
        above: list[str] = []
        head: list[ast.Comment] = []  # comments since the last block
        lists: list[tuple[_Region, list[ast.Comment]]] = []  # those of them in lists
        is_first_head = True
        waiting = list(reversed(comments))

        def take(before: int) -> list[ast.Comment]:
            taken = []
            while waiting and waiting[-1].span.start < before:
                taken.append(waiting.pop())
            return taken

        def finish_head() -> list[str]:
            """Place the comments of the head that is over; return those that must move to the block that follows."""
            moved: list[str] = []
            if sum(len(own) for _, own in lists) == len(head):
                for region, own in lists:
                    self._place(region, own, [])
            else:
                moved = [_text(comment) for comment in head]
            head.clear()
            lists.clear()
            return moved

        for region in self._regions(anchor.node) if anchor.node is not None else ():
            head.extend(take(region.start))
            own = take(region.end)
            if not region.is_block:
                head.extend(own)
                lists.append((region, own))
                continue
            moved = finish_head()
            if is_first_head:
                above, moved = moved, []
            is_first_head = False
            self._place(region, own, moved)
        head.extend(waiting[::-1])
        above.extend(finish_head())
        if above:
            self._notes.above.setdefault(anchor.key, []).extend(above)

    def _same_line(self, start: int, end: int) -> bool:
        return self._text.find("\n", start, end) < 0

    # ------------------------------------------------------------ regions

    def _regions(self, node: Node) -> Iterator[_Region]:
        """Yield the regions of an anchor in the order of the text, without those of the anchors in them."""
        match node:
            case ast.Use():
                yield from self._list_to_end(node.names, node.path[-1].span.end, ":", node.span.end)
            case ast.RecordDecl():
                yield from self._list(node.fields, node.name.span.end, "{")
            case ast.EnumDecl():
                yield from self._list_to_end(node.words, node.name.span.end, "=", node.span.end)
            case ast.Tool() | ast.Agent():
                if isinstance(node, ast.Agent):
                    yield from self._list(node.statics, node.name.span.end, "[")
                yield from self._list(node.params, node.name.span.end, "(")
                yield from self._regions_in(node.output)
                last = node.prompt if isinstance(node, ast.Agent) else node.source
                tail = (*node.attrs, last) if isinstance(node, ast.Agent) else (last, *node.attrs)
                # Attributes are printed in one fixed order: where that is not theirs, comments among them would mix.
                if all(one.span.start < other.span.start for one, other in pairwise(tail)):
                    yield _Region(key(node.output), node.output.span.end, node.span.end, _anchors(tail), True)
            case ast.Variant():
                tail = node.attrs if node.prompt is None else (*node.attrs, node.prompt)
                if all(one.span.start < other.span.start for one, other in pairwise(tail)):
                    yield _Region(key(node.base), node.base.span.end, node.span.end, _anchors(tail), True)
            case ast.Extern():
                yield from self._list(node.statics, node.name.span.end, "[")
                yield from self._list(node.params, node.name.span.end, "(")
            case ast.Flow():
                yield from self._list(node.statics, node.name.span.end, "[")
                yield from self._list(node.params, node.name.span.end, "(")
                yield from self._regions_in(node.output)
                yield from self._regions(node.body)
            case ast.Test():
                parts = (*node.givens, *node.body.statements, *node.expects)
                yield self._block(node.body, parts)
            case ast.Block():
                yield self._block(node, node.statements)
            case ast.Loop() | ast.Within() | ast.Arm() | ast.InsertEdit() | ast.SubstituteEdit():
                yield from self._regions(node.body)
            case ast.For():
                yield from self._regions_in(node.items)
                yield from self._regions(node.body)
            case ast.If():
                for branch in node.branches:
                    yield from self._regions_in(branch.condition)
                    yield from self._regions(branch.body)
                if node.orelse is not None:
                    yield from self._regions(node.orelse)
            case ast.Match():
                yield from self._regions_in(node.subject)
                start = self._find("{", node.subject.span.end)
                arms = node.arms if node.orelse is None else (*node.arms, node.orelse)
                yield _Region(key(node), start + 1, self._closing_at[start], _anchors(arms), True)
            case ast.AddEdit() | ast.RedeclareEdit():
                yield from self._regions(node.item)
            case ast.WrapEdit():
                match node.opener:
                    case ast.For():
                        yield from self._regions_in(node.opener.items)
                    case ast.If():
                        yield from self._regions_in(node.opener.branches[0].condition)
            case _:
                yield from self._regions_in(node)

    def _regions_in(self, node: Node) -> Iterator[_Region]:
        """Yield the outermost lists of an expression, a type or anything made of them."""
        match node:
            case ast.Call():
                yield from self._list(node.arguments, node.callee.span.end, "(")
            case ast.ListLit():
                yield from self._list(node.items, node.span.start, "[")
            case ast.RecordLit():
                yield from self._list(node.fields, node.span.start if node.type is None else node.type.span.end, "(")
            case ast.RecordType():
                yield from self._list(node.fields, node.span.start, "(")
            case ast.AgentType():
                yield from self._list(node.params, node.span.start, "(")
                yield from self._regions_in(node.returns)
            case ast.Attr(value=tuple() as names):
                yield from self._list(names, node.span.start, "[")
            case _:
                for field in node._fields:
                    value = getattr(node, field)
                    if isinstance(value, Node):
                        yield from self._regions_in(value)
                    elif isinstance(value, tuple):
                        for part in value:
                            yield from self._regions_in(part)

    def _block(self, block: ast.Block, parts: Sequence[Node]) -> _Region:
        return _Region(key(block), block.span.start + 1, block.span.end - 1, _anchors(parts), True)

    def _list(self, entries: Sequence[Node], after: int, bracket: str) -> Iterator[_Region]:
        """Yield the region of a list whose opening bracket is the first one after an offset; none for an empty list."""
        if entries:
            start = self._find(bracket, after)
            yield _Region(key(entries), start + 1, self._closing_at[start], _anchors(entries), False)

    def _list_to_end(self, entries: Sequence[Node], after: int, mark: str, end: int) -> Iterator[_Region]:
        if entries:
            yield _Region(key(entries), self._find(mark, after) + 1, end, _anchors(entries), False)

    def _find(self, mark: str, start: int) -> int:
        """Return where the next `mark` stands that is in no comment. Between here and there is no string."""
        while True:
            comment = self._text.find("#", start)
            found = self._text.find(mark, start, comment if comment >= 0 else len(self._text))
            if found >= 0:
                return found
            start = self._text.index("\n", comment)


def _text(comment: ast.Comment) -> str:
    return comment.text.rstrip()
