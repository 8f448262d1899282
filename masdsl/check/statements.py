"""Bodies of flows: what each statement binds, what is known where, whether every way through returns."""

from __future__ import annotations

from masdsl.check import program
from masdsl.check.binders import check_free, check_scoped
from masdsl.check.context import Frame
from masdsl.check.expressions import check_fits, check_word, condition, typed
from masdsl.check.limits_of import limits_of
from masdsl.check.narrowing import narrowed
from masdsl.check.program import Block, Statement
from masdsl.check.relations import join, list_of, show
from masdsl.check.resolve import static_int
from masdsl.check.right_sides import items_of, right_side
from masdsl.check.rounds import Round, assigned, filled, grown_rounds
from masdsl.check.scope import Names
from masdsl.diagnostics.flow import (
    AssignedTwice,
    DuplicateArm,
    MatchNotExhaustive,
    NotInTest,
    TooManyInstances,
    UntilOutsideLoop,
)
from masdsl.diagnostics.names import UndefinedName
from masdsl.diagnostics.suggest import nearest
from masdsl.diagnostics.types import NoCommonType, NotAList, NotAnEnum
from masdsl.limits import EXPANDED_NODES, LOOP_TIMES
from masdsl.node import Span
from masdsl.syntax import ast
from masdsl.types import Enum, List, Type, Unknown


class BlockChecker:
    """Checks the statements of one block in order; `names` is what is known where it stands."""

    def __init__(self, frame: Frame, names: Names, prefix: str) -> None:
        self.frame = frame
        self.names = names
        self.exits = False
        self._prefix = prefix
        self._bound_here: dict[str, Span] = {}
        self._labels: dict[str, int] = {}

    def check(self, statements: tuple[ast.Statement, ...]) -> Block:
        """Return the checked statements; then `names` is what holds behind them, `exits` whether nothing gets there."""
        checked: list[Statement] = []
        for node in statements:
            context = self.frame.context
            context.statements += 1
            if context.statements > EXPANDED_NODES:
                context.report_once(
                    self.frame.scope.source, TooManyInstances("statements", EXPANDED_NODES, span=node.span)
                )
                self.exits = True
                break
            if context.watch is not None:
                context.watch.statement(self.frame, node, self.names, frozenset(self._bound_here), self.exits)
            made = self._statement(node)
            if made is not None:
                checked.append(made)
        return tuple(checked)

    # ------------------------------------------------------------ statements

    def _statement(self, node: ast.Statement) -> Statement | None:
        match node:
            case ast.Bind():
                return self._bind(node)
            case ast.Append():
                return self._append(node)
            case ast.Until():
                return self._until(node)
            case ast.Return():
                return self._return(node)
            case ast.Loop():
                return self._loop(node)
            case ast.For():
                return self._for(node)
            case ast.Within():
                return self._within(node)
            case ast.If():
                return self._if(node)
            case ast.Match():
                return self._match(node)

    def _bind(self, node: ast.Bind) -> Statement:
        name = node.name.text
        self._check_binder(node.name)
        path = f"{self._prefix}.{name}"
        value = right_side(self.frame, self.names, node.value, path, self.names.get(name))
        self.names.bind(name, value.type, node.name.span)
        self.frame.found(node.name, value.type)
        return program.Bind(path, name, value, value.type, span=node.span)

    def _append(self, node: ast.Append) -> Statement | None:
        name = node.name.text
        value = typed(self.frame, self.names, node.value)
        known = self.names.get(name)
        if known is None:
            near = nearest(name, self.names)
            self.frame.report(UndefinedName(name, near, None, span=node.name.span))
            return None
        for kind, place, span in (
            (known, "what `+=` adds to", node.name.span),
            (value.type, "what `+=` adds", node.value.span),
        ):
            if not isinstance(kind, List | Unknown):
                self.frame.report(NotAList(place, show(kind), span=span))
                return None
        if not isinstance(known, List) or not isinstance(value.type, List):
            return None
        element = value.type.element if known.high == 0 else known.element if value.type.high == 0 else None
        if element is None:
            element = join(known.element, value.type.element)
        if element is None:
            fault = NoCommonType(
                f"an item of `{name}`", show(known.element), show(value.type.element), span=node.value.span
            )
            self.frame.report(fault)
            return None
        kind = list_of(element, known.low + value.type.low, known.high + value.type.high)
        self.names.bind(name, kind, node.name.span)
        self.frame.found(node.name, kind)
        return program.Append(name, value, kind, span=node.span)

    def _until(self, node: ast.Until) -> Statement:
        checked = condition(self.frame, self.names, node.condition)
        if not self.frame.loops:
            self.frame.report(UntilOutsideLoop(span=node.span))
        else:
            self.frame.loops[-1].append(narrowed(self.names, node.condition, True))
        # what follows works on a layer of its own: the loop may end with the names as they are here
        self.names = narrowed(self.names, node.condition, False).layer()
        return program.Until(checked, span=node.span)

    def _return(self, node: ast.Return) -> Statement:
        wanted = self.frame.returns
        if wanted is None:
            fault = NotInTest(
                "a test returns nothing", "remove `return`, and `expect` what should hold", span=node.span
            )
            self.frame.report(fault)
        value = right_side(self.frame, self.names, node.value, f"{self._prefix}.return", wanted)
        if wanted is not None:
            check_fits(self.frame, value.type, wanted, "what is returned", node.value.span)
        self.exits = True
        return program.Return(f"{self._prefix}.return", value, wanted or value.type, span=node.span)

    def _within(self, node: ast.Within) -> Statement:
        path = self._construct("within", node.label)
        inner = self._nested(path)
        body = inner.check(node.body.statements)
        self._leave([inner], node.body.span)
        return program.Within(path, limits_of(self.frame, node.limits), body, span=node.span)

    def _loop(self, node: ast.Loop) -> Statement:
        path = self._construct("loop", node.label)
        times = static_int(self.frame, node.times, "the number of rounds", 1, LOOP_TIMES) or 1
        body, exits = self._repeat(path, node.body, times, {}, True)
        self.exits = self.exits or exits
        return program.Loop(path, times, body, span=node.span)

    def _for(self, node: ast.For) -> Statement:
        path = self._construct("for", node.label)
        items = typed(self.frame, self.names, node.items)
        check_scoped(self.frame, self.names, node.var)
        element, high = items_of(self.frame, items.type, "what `for` goes through", node.items.span)
        body, _ = self._repeat(path, node.body, max(1, high), {node.var: element}, False)
        return program.For(path, node.var.text, element, items, body, span=node.span)

    def _if(self, node: ast.If) -> Statement:
        path = self._construct("if", node.label)
        branches: list[program.Branch] = []
        ways: list[BlockChecker] = []
        rest = self.names
        for number, branch in enumerate(node.branches):
            checked = condition(self.frame, rest, branch.condition)
            suffix = "" if number == 0 else ".elif" if number == 1 else f".elif_{number}"
            inner = BlockChecker(self.frame, narrowed(rest, branch.condition, True).layer(), path + suffix)
            body = inner.check(branch.body.statements)
            ways.append(inner)
            branches.append(program.Branch(checked, body, span=branch.span))
            rest = narrowed(rest, branch.condition, False)
        otherwise = BlockChecker(self.frame, rest.layer(), f"{path}.else")
        orelse = otherwise.check(node.orelse.statements) if node.orelse else ()
        self._leave([*ways, otherwise], node.span)
        return program.If(path, tuple(branches), orelse, span=node.span)

    def _match(self, node: ast.Match) -> Statement | None:
        path = self._construct("match", node.label)
        subject = typed(self.frame, self.names, node.subject)
        kind = subject.type
        if not isinstance(kind, Enum | Unknown):
            self.frame.report(NotAnEnum(show(kind), span=node.subject.span))
            kind = Unknown()
        seen: set[str] = set()
        arms: list[program.Arm] = []
        ways: list[BlockChecker] = []
        for arm in node.arms:
            words = tuple(
                word.text for word in arm.words if not isinstance(kind, Enum) or check_word(self.frame, kind, word)
            )
            for word in arm.words:
                if word.text in seen:
                    self.frame.report(DuplicateArm(word.text, span=word.span))
                seen.add(word.text)
            inner = BlockChecker(self.frame, self.names.layer(), f"{path}.{arm.words[0].text}")
            body = inner.check(arm.body.statements)
            ways.append(inner)
            arms.append(program.Arm(words, body, span=arm.span))
        orelse: Block | None = None
        if node.orelse is not None:
            otherwise = BlockChecker(self.frame, self.names.layer(), f"{path}.else")
            orelse = otherwise.check(node.orelse.statements)
            ways.append(otherwise)
        elif isinstance(kind, Enum):
            missing = tuple(word for word in kind.words if word not in seen)
            if missing:
                self.frame.report(
                    MatchNotExhaustive(
                        kind.name, missing, Span(node.span.end - 1, node.span.end), span=node.subject.span
                    )
                )
        self._leave(ways, node.span)
        return program.Match(path, subject, tuple(arms), orelse, span=node.span)

    # ------------------------------------------------------------ names and ways

    def _check_binder(self, name: ast.Name) -> None:
        if name.text in self._bound_here:
            self.frame.report(AssignedTwice(name.text, self._bound_here[name.text], span=name.span))
        else:
            check_free(self.frame, name)
        self._bound_here[name.text] = name.span

    def _construct(self, kind: str, label: ast.Name | None) -> str:
        if label is not None:
            if label.text in self._bound_here:
                self.frame.report(AssignedTwice(label.text, self._bound_here[label.text], span=label.span))
            self._bound_here[label.text] = label.span
            return f"{self._prefix}.{label.text}"
        number = self._labels.get(kind, 0) + 1
        self._labels[kind] = number
        return f"{self._prefix}.{kind}" if number == 1 else f"{self._prefix}.{kind}_{number}"

    def _nested(self, path: str) -> BlockChecker:
        return BlockChecker(self.frame, self.names.layer(), path)

    def _leave(self, ways: list[BlockChecker], where: Span) -> None:
        """Go on behind a construct: with what holds on every way that gets there."""
        open_ways = [way.names for way in ways if not way.exits]
        if not open_ways:
            self.exits = True
            return
        base = self.names
        changed = dict.fromkeys(name for way in open_ways for name in way.changed_since(base))
        for name in changed:
            self._join_ways(name, [way.get(name) for way in open_ways], open_ways, where)
        for way in open_ways:
            for name, span in way.doubts_since(base).items():
                if name not in base:
                    base.doubt(name, span)

    def _join_ways(self, name: str, kinds: list[Type | None], ways: list[Names], where: Span) -> None:
        joined = kinds[0]
        for kind, way in zip(kinds, ways, strict=True):
            if joined is None or kind is None:
                self.names.doubt(name, where)
                return
            common = join(joined, kind)
            if common is None:
                at = way.bound_at(name) or where
                self.frame.report(NoCommonType(f"`{name}`", show(joined), show(kind), span=at))
                common = Unknown()
            joined = common
        assert joined is not None
        self.names.bind(name, joined, ways[0].bound_at(name) or where)

    # ------------------------------------------------------------ loops

    def _repeat(
        self, path: str, node: ast.Block, times: int, binders: dict[ast.Name, Type], runs: bool
    ) -> tuple[Block, bool]:
        """Check a loop's body under types of its carried names that hold in every round.

        Rounds are tried until the types stand still, or to the last one where there are up to three. In longer loops,
        sizes that keep growing by the same step are extended to all `times` rounds (an accumulating list), any others
        go to their hard cap. `runs` says that there is at least one round. Returns the body, and whether every way
        through it returns.
        """
        outer = self.names
        carried = [name for name in dict.fromkeys(assigned(node)) if name in outer]
        findings = self.frame.context.findings

        def again(start: dict[str, Type], before: Round | None = None) -> Round:
            if before is not None:
                findings.rollback(before.mark)
            return self._round(path, node, start, binders, findings.mark())

        tried = again({name: outer[name] for name in carried})
        first = tried.behind
        if not tried.settled and times > 1:
            tried = again(first, tried)
        if not tried.settled and times == 3:
            tried = again(tried.behind, tried)
        is_exact = tried.settled or times <= 3
        if not is_exact:
            tried, is_exact = grown_rounds(first, tried, times, again)
        after = tried.behind if is_exact else tried.start
        if runs and tried.ends:
            ends = self._joined({name: tried.ends[0][name] for name in carried}, tried.ends, node)
            after = ends if is_exact else {name: filled(kind, ends[name]) for name, kind in after.items()}
        outer.refine(after)
        own = {binder.text for binder in binders}
        for end in tried.ends:
            for name in end.changed_since(outer):
                if name not in outer and name not in own:
                    outer.doubt(name, node.span)
        return tried.body, runs and not tried.ends

    def _round(
        self, path: str, node: ast.Block, start: dict[str, Type], binders: dict[ast.Name, Type], mark: int
    ) -> Round:
        """Check the body once, with `start` as the types of the carried names."""
        names = self.names.layer()
        names.refine(start)
        for binder, kind in binders.items():
            names.bind(binder.text, kind, binder.span)
            self.frame.found(binder, kind)
        inner = BlockChecker(self.frame, names, path)
        self.frame.loops.append([])
        body = inner.check(node.statements)
        ends = self.frame.loops.pop()
        if not inner.exits:
            ends.append(inner.names)
        behind = self._joined(start, ends, node)
        clash = any(isinstance(kind, Unknown) and not isinstance(start[name], Unknown) for name, kind in behind.items())
        return Round(start, behind, body, ends, mark, clash)

    def _joined(self, start: dict[str, Type], ends: list[Names], node: ast.Block) -> dict[str, Type]:
        """Return what the carried names may be at the start of a round and at its ends together."""
        joined = dict(start)
        for end in ends:
            for name, kind in joined.items():
                later = end.get(name) or kind
                common = join(kind, later)
                if common is None:
                    at = end.bound_at(name) or node.span
                    self.frame.report(NoCommonType(f"`{name}`", show(kind), show(later), span=at))
                    common = Unknown()
                joined[name] = common
        return joined
