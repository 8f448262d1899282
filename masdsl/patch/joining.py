"""How the changes of two sides are joined: values, declarations, blocks and statements, three versions of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from masdsl.node import Node
from masdsl.patch.blocks import Blocks
from masdsl.patch.marks import Marks
from masdsl.patch.places import blocks_of, name_of, numbered, statement_names
from masdsl.patch.scripts import Same
from masdsl.patch.tree import Tree
from masdsl.patch.weights import Texts
from masdsl.syntax import ast
from masdsl.syntax.comments import Notes, key


class Conflict(NamedTuple):
    """What both sides changed: its address, and what each of them did, such as `changed it` or `dropped it`."""

    address: str
    left: str
    right: str


class Clash(Exception):
    """Both sides changed the same thing in different ways; `address` is that of the thing."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self.address = address


class Joiner:
    """Joins versions of parts of a program. `conflicts` are those found so far."""

    def __init__(self, notes: Notes) -> None:
        self.tree = Tree(ast.Program(1, ()), notes)
        self.marks = Marks()
        self.conflicts: list[Conflict] = []
        self._blocks = Blocks(Texts())
        self._alive: list[object] = []

    # ------------------------------------------------------------ values

    def same(self, one: object, other: object) -> bool:
        """Whether two things say the same, comments included."""
        if one is other:
            return True
        return one == other and list(self._comments(one)) == list(self._comments(other))

    def _comments(self, thing: object) -> Iterator[object]:
        if not any(self.tree.notes):
            return
        waiting = [thing]
        number = 0
        while waiting:
            node = waiting.pop()
            number += 1
            if isinstance(node, Node | tuple):
                for table in self.tree.notes:
                    if key(node) in table:
                        yield number, table[key(node)]
            if isinstance(node, tuple):
                waiting.extend(node)
            elif isinstance(node, Node):
                waiting.extend(getattr(node, field) for field in node._fields)

    def one_of(self, old: Any, left: Any, right: Any, address: str) -> Any:
        """Return the version that counts where at most one side has changed it. Raises Clash."""
        if self.same(left, right) or self.same(old, right):
            return left
        if self.same(old, left):
            return right
        raise Clash(address)

    def take_notes(self, old: Node, left: Node, right: Node, made: Node, address: str) -> None:
        """Let a joined node have the comments of the side that has changed them. Raises Clash."""
        self._alive += [old, left, right, made]
        tables: tuple[dict[int, Any], ...] = tuple(self.tree.notes)
        for table in tables:
            entries = [table.get(key(node)) for node in (old, left, right)]
            if entries[1] != entries[2] and entries[0] not in entries[1:]:
                raise Clash(address)
            chosen = entries[2] if entries[0] == entries[1] else entries[1]
            if chosen is not None:
                table[key(made)] = chosen

    def _with(self, old: Any, left: Any, right: Any, address: str, **changes: object) -> Any:
        made = left.replace(**changes)
        self.take_notes(old, left, right, made, address)
        return made

    # ------------------------------------------------------------ declarations

    def item(self, old: Any, left: Any, right: Any, address: str) -> Any:
        """Return a declaration with the changes of both sides. Raises Clash."""
        match left:
            case ast.Agent():
                return self._agent(old, left, right, address, prompt=("prompt", "prompt"))
            case ast.Tool():
                return self._agent(old, left, right, address, prompt=("source", "from"))
            case ast.Variant():
                base = self.one_of(old.base, left.base, right.base, address)
                prompt = self.one_of(old.prompt, left.prompt, right.prompt, f"{address}.prompt")
                attrs = self._attributes(old, left, right, address)
                return self._with(old, left, right, address, base=base, prompt=prompt, attrs=attrs)
            case ast.Flow():
                budget = self.one_of(old.budget, left.budget, right.budget, f"{address}.budget")
                statics = self.one_of(old.statics, left.statics, right.statics, address)
                params = self.one_of(old.params, left.params, right.params, address)
                output = self._output(old.output, left.output, right.output, address)
                body = self.block(old.body, left.body, right.body, address, ())
                return self._with(
                    *(old, left, right, address),
                    budget=budget,
                    statics=statics,
                    params=params,
                    output=output,
                    body=body,
                )
            case ast.RecordDecl():
                fields = self._list(old.fields, left.fields, right.fields, address)
                return self._with(old, left, right, address, fields=fields)
            case ast.EnumDecl():
                words = self._list(old.words, left.words, right.words, address)
                return self._with(old, left, right, address, words=words)
            case ast.Use():
                names = self._list(old.names, left.names, right.names, address)
                return self._with(old, left, right, address, names=names)
            case ast.Budget():
                limits = self._limits(old.limits, left.limits, right.limits, address)
                return self._with(old, left, right, address, limits=limits)
            case _:
                raise Clash(address)

    def _agent(self, old: Any, left: Any, right: Any, address: str, prompt: tuple[str, str]) -> Any:
        field, word = prompt
        text = self.one_of(getattr(old, field), getattr(left, field), getattr(right, field), f"{address}.{word}")
        params = self.one_of(old.params, left.params, right.params, address)
        output = self._output(old.output, left.output, right.output, address)
        attrs = self._attributes(old, left, right, address)
        changes = {field: text}
        if isinstance(left, ast.Agent):
            changes["statics"] = self.one_of(old.statics, left.statics, right.statics, address)
        return self._with(*(old, left, right, address), params=params, output=output, attrs=attrs, **changes)

    def _attributes(self, old: Any, left: Any, right: Any, address: str) -> Any:
        keyed = self._keyed(old.attrs, left.attrs, right.attrs, address, lambda attr: attr.key)
        return tuple(sorted(keyed, key=lambda attr: ast.ATTRIBUTE_ORDER.index(attr.key)))

    def _output(self, old: ast.Output, left: ast.Output, right: ast.Output, address: str) -> Any:
        if self.same(left, right):
            return left
        kind = self.one_of(old.type, left.type, right.type, address)
        default = self.one_of(old.default, left.default, right.default, f"{address}.else")
        return self._with(old, left, right, address, type=kind, default=default)

    def _limits(self, old: Any, left: Any, right: Any, address: str) -> Any:
        limits = self._keyed(old, left, right, address, lambda limit: limit.kind)
        if not limits:
            raise Clash(address)
        return tuple(sorted(limits, key=lambda limit: ast.LIMIT_ORDER.index(limit.kind)))

    def _keyed(self, old: Any, left: Any, right: Any, address: str, of: Callable[[Any], str]) -> list[Any]:
        """Join parts that go by a name and whose order does not matter."""
        olds, lefts, rights = ({of(part): part for part in parts} for parts in (old, left, right))
        joined = [
            self.one_of(olds.get(name), lefts.get(name), rights.get(name), f"{address}.{name}")
            for name in {**olds, **lefts, **rights}
        ]
        return [part for part in joined if part is not None]

    def _list(self, old: Any, left: Any, right: Any, address: str) -> Any:
        """Join lists of parts with names: what stays keeps its order, what is new stands behind it, by name."""
        if self.same(left, right) or self.same(old, right):
            return left
        if self.same(old, left):
            return right
        parts = {_name(part): part for part in self._keyed(old, left, right, address, _name)}
        stays = [_name(part) for part in old if _name(part) in parts]
        for side in (left, right):
            if [_name(part) for part in side if _name(part) in stays] != [
                name for name in stays if name in set(map(_name, side))
            ]:
                raise Clash(address)
        new = [name for name in parts if name not in stays]
        if not parts:
            raise Clash(address)
        return tuple([parts[name] for name in (*stays, *sorted(new))])

    # ------------------------------------------------------------ blocks

    def block(self, old: ast.Block, left: ast.Block, right: ast.Block, address: str, taken: Sequence[str]) -> ast.Block:
        """Return a block with the changes of both sides; what they do not agree on is a conflict in it."""
        if self.same(left, right) or self.same(old, right):
            return left
        if self.same(old, left):
            return right
        names = statement_names(old.statements, taken)
        made: list[ast.Statement] = []
        lefts = self._partners(old, left)
        rights = self._partners(old, right)
        at = at_left = at_right = 0
        for number in (*range(len(old.statements)), None):
            if number is not None and (number not in lefts or number not in rights):
                continue
            end, end_left, end_right = (
                (len(old.statements), len(left.statements), len(right.statements))
                if number is None
                else (number, lefts[number], rights[number])
            )
            where = f"{address}.{names[at]}" if at < len(names) else f"{address}.{names[-1]}" if names else address
            made += self._run(
                old.statements[at:end], left.statements[at_left:end_left], right.statements[at_right:end_right], where
            )
            if number is not None:
                made += self._statement(
                    *(old.statements[end], left.statements[end_left], right.statements[end_right]),
                    f"{address}.{names[number]}",
                )
            at, at_left, at_right = end + 1, end_left + 1, end_right + 1
        return self._with(old, left, right, address, statements=tuple(made))  # type: ignore[no-any-return]

    def _partners(self, old: ast.Block, new: ast.Block) -> dict[int, int]:
        """Return which statement of a side each old one has become, where it is still there."""
        found = self._blocks.script(old.statements, new.statements, 2)
        if found is None:
            return {}
        return {piece.before: piece.after for piece in found.script.pieces if isinstance(piece, Same)}

    def _run(self, old: Any, left: Any, right: Any, address: str) -> Sequence[ast.Statement]:
        try:
            return self.one_of(old, left, right, address)  # type: ignore[no-any-return]
        except Clash:
            self.conflicts.append(Conflict(address, _did_run(old, left), _did_run(old, right)))
            return (self.marks.statement(left, right),)

    def _statement(self, old: Any, left: Any, right: Any, address: str) -> Sequence[ast.Statement]:
        try:
            if self.same(left, right) or self.same(old, right):
                return (left,)
            if self.same(old, left):
                return (right,)
            return (self._joined(old, left, right, address),)
        except Clash as clash:
            self.conflicts.append(Conflict(clash.address, "changed it", "changed it"))
            return (self.marks.statement((left,), (right,)),)

    def _joined(self, old: Any, left: Any, right: Any, address: str) -> Any:
        changes: dict[str, object] = {}
        if not type(old) is type(left) is type(right):
            raise Clash(address)
        for field, name in _PARTS.get(type(left), {}).items():
            join = self._limits if field == "limits" else self.one_of
            here = f"{address}.{name}" if name else address
            changes[field] = join(getattr(old, field), getattr(left, field), getattr(right, field), here)
        match left:
            case ast.Bind() | ast.Return():
                changes["value"] = self._right_side(old.value, left.value, right.value, address)
            case ast.Loop() | ast.For() | ast.Within():
                changes["body"] = self.block(old.body, left.body, right.body, address, ())
            case ast.If():
                changes |= self._branches(old, left, right, address)
            case ast.Match():
                changes |= self._arms(old, left, right, address)
        return self._with(old, left, right, address, **changes)

    def _right_side(self, old: Any, left: Any, right: Any, address: str) -> Any:
        if isinstance(old, ast.Sample) and isinstance(left, ast.Sample) and isinstance(right, ast.Sample):
            count = self.one_of(old.count, left.count, right.count, f"{address}.count")
            body = self.one_of(old.body, left.body, right.body, address)
            return self._with(old, left, right, address, count=count, body=body)
        return self.one_of(old, left, right, address)

    def _branches(self, old: ast.If, left: ast.If, right: ast.If, address: str) -> dict[str, object]:
        if not len(old.branches) == len(left.branches) == len(right.branches):
            raise Clash(address)
        branches = []
        taken = [suffix for suffix, _, _ in blocks_of(old) if suffix]
        for number, (one, two, three) in enumerate(zip(old.branches, left.branches, right.branches, strict=True)):
            here = f"{address}.{numbered('elif', number)}" if number else address
            condition = self.one_of(one.condition, two.condition, three.condition, here)
            body = self.block(one.body, two.body, three.body, here, () if number else taken)
            branches.append(self._with(one, two, three, here, condition=condition, body=body))
        return {"branches": tuple(branches), "orelse": self._otherwise(old, left, right, address)}

    def _arms(self, old: ast.Match, left: ast.Match, right: ast.Match, address: str) -> dict[str, object]:
        words = [[arm.words for arm in node.arms] for node in (old, left, right)]
        if not words[0] == words[1] == words[2]:
            arms = self.one_of(old.arms, left.arms, right.arms, address)
            return {"arms": arms, "orelse": self._otherwise(old, left, right, address)}
        made = []
        for one, two, three in zip(old.arms, left.arms, right.arms, strict=True):
            here = f"{address}.{one.words[0].text}"
            body = self.block(one.body, two.body, three.body, here, ())
            made.append(self._with(one, two, three, here, body=body))
        return {"arms": tuple(made), "orelse": self._otherwise(old, left, right, address)}

    def _otherwise(self, old: Any, left: Any, right: Any, address: str) -> ast.Block | None:
        here = f"{address}.else"
        if old.orelse is None or left.orelse is None or right.orelse is None:
            chosen: ast.Block | None = self.one_of(old.orelse, left.orelse, right.orelse, here)
            return chosen
        return self.block(old.orelse, left.orelse, right.orelse, here, ())


_PARTS: dict[type[Node], dict[str, str]] = {
    ast.Bind: {"name": ""},
    ast.Append: {"name": "", "value": ""},
    ast.Until: {"condition": ""},
    ast.Loop: {"label": "", "times": "times"},
    ast.For: {"label": "", "var": "", "items": ""},
    ast.Within: {"label": "", "limits": ""},
    ast.If: {"label": ""},
    ast.Match: {"label": "", "subject": ""},
}
"""What the statements of each class have beside blocks and right-hand sides, and what it adds to their address."""


def _name(part: Any) -> str:
    if isinstance(part, ast.ImportName):
        return (part.alias or part.name).text
    return name_of(part)


def _did_run(old: Sequence[object], new: Sequence[object]) -> str:
    if list(old) == list(new):
        return "left it"
    if not old:
        return "added something here" if new else "left it"
    return "dropped it" if not new else "changed it"
