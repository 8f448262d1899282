"""What a run did before it was broken off, by its journal: which row answers which step, and what was spent.

A step's rows fall into *epochs*: each ends when the step has its value or has failed for good, and the last may be
unfinished. A finished epoch gives the value, if its inputs are those of the step now and its declaration is the same
(or the policy is `frozen`, by which what is finished stays); it is used once. An unfinished one gives its replies, its
faults and its uses of tools, one by one, if inputs and declaration are both the same: the attempts that it had are had.
A failure is kept where the run went past it, and tried again where it ended the run.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from masdsl.journal.base import Row
from masdsl.runtime.events import address, read_address
from masdsl.runtime.meter import Cost

POLICIES: Final = ("frozen", "strict")
"""Whether a finished step stays whose declaration has changed, or not."""
Indices: TypeAlias = tuple[int, ...]
_Identity: TypeAlias = tuple[str, Indices]

NO_COST: Final = Cost()


class Spent(NamedTuple):
    """What calls of models did cost; `unpriced` counts those whose price nobody knows."""

    cost: Cost = NO_COST
    calls: int = 0
    unpriced: int = 0

    def and_(self, other: Spent) -> Spent:
        """Return both together."""
        one, more = self.cost, other.cost
        picodollars = (one.picodollars or 0) + (more.picodollars or 0)
        cost = Cost(one.tokens_in + more.tokens_in, one.tokens_out + more.tokens_out, picodollars)
        return Spent(cost, self.calls + other.calls, self.unpriced + other.unpriced)


NOTHING_SPENT: Final = Spent()


class Epoch:
    """Rows of one step from its beginning to its end; `end` is None while it is unfinished."""

    __slots__ = ("end", "rows")

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.end: Row | None = None

    @property
    def has_value(self) -> bool:
        """Whether the step got a value, its default included."""
        return self.end is not None and self.end.kind != "failed"

    def open_intents(self) -> dict[int, Row]:
        """Return the intents without an outcome, by part; of several at one part, the last."""
        return {row.part: row for row in _open(self.rows)}

    def outcome(self, part: int) -> Row | None:
        """Return how the wire call, or the use of a tool, of that part ended; None where it did not."""
        return next((row for row in self.rows if row.part == part and row.kind in _OUTCOMES), None)

    def request(self, part: int) -> str | None:
        """Return the hash of what was asked."""
        return next((row.body.get("request") for row in self.rows if row.part == part and row.kind == "intent"), None)

    def spent(self) -> Spent:
        """Return what its ended calls did cost, and those of the steps below it where its end stands for them."""
        spent = spent_by(row for row in self.rows if row.kind in _PAID)
        below = None if self.end is None else self.end.body.get("below")
        if below is None:
            return spent
        cost = Cost(below["tokens_in"], below["tokens_out"], below["picodollars"])
        return spent.and_(Spent(cost, below["calls"]))


_OUTCOMES: Final = ("reply", "fault", "tool")
_PAID: Final = ("reply", "fault")
_VALUED: Final = ("reply", "tool", "done")


class Standing(NamedTuple):
    """What the journal has for a step.

    `value` is the epoch whose value it may take, `moved_from` the address where that was, if another. `failure` is one
    whose failure it has to repeat. `unfinished` is what it goes on from, `doubt` an effect of which nobody
    knows whether it happened. `generation` counts the epochs that ended at this address, `uses` those in which a tool
    gave a result. `lost` says why a finished epoch is not used.
    """

    value: Epoch | None = None
    moved_from: str = ""
    failure: Epoch | None = None
    unfinished: Epoch | None = None
    doubt: Row | None = None
    generation: int = 0
    uses: int = 0
    lost: str = ""


NOTHING: Final = Standing()
_NO_PAST: Final[dict[Any, Any]] = {}


def _nothing() -> dict[Any, Any]:
    """Return what a run without rows has in every table: one for all such runs, to which nothing is ever added."""
    return _NO_PAST


class Past:
    """The rows of a run, in the order in which they were written, under the rules by which it goes on."""

    __slots__ = (
        *("_ending_at", "_epochs", "_moved", "_orphans", "_redone", "_times", "_tried_again", "_used", "elapsed"),
        *("last_seq", "news", "paid", "policy", "replay_only", "rows", "spent"),
    )

    def __init__(
        self,
        rows: Sequence[Row],
        *,
        policy: str = "frozen",
        redo: Collection[str] = (),
        aliases: Mapping[str, str] | None = None,
        sites: Container[str] | None = None,
        replay_only: bool = False,
    ) -> None:
        if policy not in POLICIES:
            raise ValueError(f"{policy!r} is no policy; those are {', '.join(POLICIES)}")
        self.policy = policy
        self.replay_only = replay_only
        self.rows = rows
        self.last_seq = rows[-1].seq if rows else 0
        self.elapsed = 0.0
        made: Callable[[], dict[Any, Any]] = dict if rows else _nothing
        self._epochs: dict[_Identity, list[Epoch]] = made()
        self._ending_at: dict[int, Epoch] = made()
        self._used: dict[int, None] = made()  # an empty set takes four times the room
        self._tried_again: dict[_Identity, int] = made()  # failures that ended the run: up to which row
        self._redone: dict[str, int] = made()
        self._moved: dict[str, tuple[str, int]] = made()
        self._times: dict[tuple[str, int], dict[Indices, tuple[float, float]]] = made()
        for row in rows:
            self._add(row)
        self.news = self._take_up(redo, aliases or {})
        self.spent = spent_by(rows) if rows else NOTHING_SPENT
        self.paid = paid_by(rows) if rows else NOTHING_SPENT
        self._orphans = made() if sites is None or not rows else self._find_orphans(sites)

    # ------------------------------------------------------------ reading

    def _add(self, row: Row) -> None:
        body = row.body
        moment = body.get("t")
        if isinstance(moment, int | float) and moment > self.elapsed:
            self.elapsed = float(moment)
        if row.kind == "end":
            for where in body.get("open", ()):
                self._tried_again[read_address(where)] = row.seq
        elif row.kind == "patch":
            self._take_up_patch(body.get("redo") or (), body.get("aliases") or {}, row.seq)
        elif row.path:
            epochs = self._epochs.setdefault((row.path, row.indices), [])
            if not epochs or epochs[-1].end is not None:
                epochs.append(Epoch())
            epoch = epochs[-1]
            epoch.rows.append(row)
            if row.kind == "failed" or gives_value(row):
                epoch.end = row
                self._ending_at[row.seq] = epoch
            elif row.kind == "claim":
                epoch.end = row
                self._used[body["seq"]] = None

    def _take_up_patch(self, redo: Collection[str], aliases: Mapping[str, str], seq: int) -> None:
        self._redone.update(dict.fromkeys(redo, seq))
        self._moved.update({new: (old, seq) for new, old in aliases.items() if new != old})

    def _take_up(self, redo: Collection[str], aliases: Mapping[str, str]) -> dict[str, Any]:
        """Take up what no patch row says yet; return it as the body of such a row, empty where there is nothing."""
        new_redo = [path for path in redo if path not in self._redone]
        new_aliases = {new: old for new, old in aliases.items() if new != old and self._moved.get(new, ("",))[0] != old}
        if not (self.rows and (new_redo or new_aliases)):
            return _nothing()
        self._take_up_patch(new_redo, new_aliases, self.last_seq)
        return {"redo": new_redo, "aliases": new_aliases, "policy": self.policy, "by": "run"}

    # ------------------------------------------------------------ looking up

    def standing(self, path: str, indices: Indices, args: bytes, decl: bytes, *, effect: bool = False) -> Standing:
        """Return what there is for a step with these inputs and this declaration. What is returned is used by it."""
        if not self.rows:
            return NOTHING
        since = self._since(path)
        own = self._epochs.get((path, indices), ())
        ended = sum(epoch.end is not None for epoch in own)
        uses = sum(epoch.end is not None and epoch.end.kind == "tool" for epoch in own)
        epochs, moved_from = [epoch for epoch in own if epoch.rows[0].seq > since], ""
        if not epochs:
            epochs, moved_from = self._moved_here(path, indices, args)
        found = self._finished(epochs, args, decl)
        if found is None and not epochs and not self._is_redone(path):
            found = self._claim(args, decl)
            if found is not None:
                moved_from = address(found.rows[0].path, found.rows[0].indices)
        if found is not None and found.end is not None:
            self._used[found.end.seq] = None
            origin = found if found.end.kind != "claim" else self._ending_at[found.end.body["seq"]]
            return Standing(origin, moved_from, generation=ended, uses=uses)
        last = epochs[-1] if epochs else None
        if last is None:
            doubt = self._doubtful_orphan(args, decl) if effect else None
            return Standing(doubt=doubt, generation=ended, uses=uses, lost=self._lost(own, args, decl))
        failure = self._kept_failure((path, indices), last, args, decl, effect=effect)
        unfinished = doubt = None
        if last.end is None:
            first = last.rows[0]
            intents = last.open_intents()
            if effect and intents and (first.decl == decl or self.replay_only):
                doubt = next(iter(intents.values()))
            rows = [row for row in last.rows if row.args == args and (row.decl == decl or self.replay_only)]
            if rows:
                unfinished = Epoch()
                unfinished.rows = rows
        lost = "" if failure is not None else self._lost(epochs, args, decl)
        return Standing(None, moved_from, failure, unfinished, doubt, ended, uses, lost)

    def refuse(self, epoch: Epoch) -> None:
        """Give a value back that does not fit."""
        if epoch.end is not None:
            self._used.pop(epoch.end.seq, None)

    def _since(self, path: str) -> int:
        """Return the row up to which what is at a path does not count for it any more."""
        moved = self._alias_of(path)
        return max(self._redone_at(path), 0 if moved is None else moved[1])

    def _redone_at(self, path: str) -> int:
        if not self._redone:
            return 0
        return max((self._redone.get(part, 0) for part in _parts(path)), default=0)

    def _is_redone(self, path: str) -> bool:
        return self._redone_at(path) > 0

    def _alias_of(self, path: str) -> tuple[str, int] | None:
        """Return where a path was before, and up to which row; the longest part of it that moved counts."""
        if self._moved:
            for part in _parts(path):
                moved = self._moved.get(part)
                if moved is not None:
                    return moved[0] + path[len(part) :], moved[1]
        return None

    def _moved_here(self, path: str, indices: Indices, args: bytes) -> tuple[list[Epoch], str]:
        """Return the epochs of a step that a patch has moved, and where it was."""
        redone = self._redone_at(path)
        places: list[tuple[str, Indices]] = [(path, indices)]
        upto = self.last_seq
        for _ in range(len(self._moved)):
            moved = self._alias_of(places[0][0])
            if moved is None:
                break
            old, upto = moved[0], min(upto, moved[1])
            places = [(old, variant) for _, known in places for variant in _variants(known)]
            kept: list[tuple[list[Epoch], str]] = []
            for place in dict.fromkeys(places):
                epochs = [one for one in self._epochs.get(place, ()) if redone < one.rows[0].seq <= upto]
                if epochs:
                    kept.append((epochs, address(*place)))
            fitting = [one for one in kept if any(epoch.rows[-1].args == args for epoch in one[0])]
            if kept:
                return (fitting or kept)[0]
        return [], ""

    def _finished(self, epochs: Sequence[Epoch], args: bytes, decl: bytes) -> Epoch | None:
        """Return the finished epoch whose value may be taken: the first with this declaration, or the last of any."""
        usable = [
            epoch
            for epoch in epochs
            if epoch.end is not None
            and epoch.has_value
            and epoch.end.args == args
            and epoch.end.seq not in self._used
            and (epoch.end.kind != "claim" or epoch.end.body["seq"] in self._ending_at)
        ]
        same = [epoch for epoch in usable if epoch.end is not None and epoch.end.decl == decl]
        if same:
            return same[0]
        return usable[-1] if usable and (self.policy == "frozen" or self.replay_only) else None

    def _kept_failure(
        self, identity: _Identity, epoch: Epoch, args: bytes, decl: bytes, *, effect: bool
    ) -> Epoch | None:
        """Return the epoch whose failure a step has to repeat: it went past it, or its effect may have happened."""
        row = epoch.end
        if row is None or row.kind != "failed" or row.args != args:
            return None
        if row.decl != decl and (self.policy == "strict" or effect) and not self.replay_only:
            return None
        origin = row.body.get("step")
        where = read_address(origin) if isinstance(origin, str) else identity
        ended_the_run = self._tried_again.get(where, 0) > row.seq
        may_have_happened = effect and any(one.kind == "intent" for one in epoch.rows)
        return epoch if not ended_the_run or may_have_happened or self.replay_only else None

    def _lost(self, epochs: Sequence[Epoch], args: bytes, decl: bytes) -> str:
        """Return why no finished epoch is used; nothing where there is none."""
        ends = [epoch.end for epoch in epochs if epoch.end is not None and epoch.has_value]
        if not ends:
            return ""
        row = ends[-1]
        if self._since(row.path) >= row.seq:
            return f"its value in row {row.seq} does not count any more, since it is to be done again"
        if row.args != args:
            return f"its inputs are others than those of its value in row {row.seq}"
        if row.decl != decl and self.policy == "strict":
            return f"its declaration has changed since its value in row {row.seq}"
        return f"its value in row {row.seq} is in use by another step"

    # ------------------------------------------------------------ orphans

    def _find_orphans(self, sites: Container[str]) -> dict[tuple[bytes, bytes], list[Epoch]]:
        """Return the last epochs of steps that the program does not have any more, in the order of the journal."""
        reserved = {old for old, _ in self._moved.values()}
        found: dict[tuple[bytes, bytes], list[Epoch]] = {}
        for (path, _), epochs in self._epochs.items():
            if path in sites or any(part in reserved for part in _parts(path)):
                continue
            for epoch in epochs:
                row = epoch.end or epoch.rows[-1]
                if row.kind != "claim":
                    found.setdefault((row.args, row.decl), []).append(epoch)
        for orphans in found.values():
            orphans.sort(key=lambda epoch: epoch.rows[-1].seq)
        return found

    def _claim(self, args: bytes, decl: bytes) -> Epoch | None:
        for epoch in self._orphans.get((args, decl), ()):
            end = epoch.end
            if end is not None and epoch.has_value and not end.body.get("default") and end.seq not in self._used:
                return epoch
        return None

    def _doubtful_orphan(self, args: bytes, decl: bytes) -> Row | None:
        for epoch in self._orphans.get((args, decl), ()):
            if not epoch.has_value and epoch.open_intents():
                return next(iter(epoch.open_intents().values()))
        return None

    # ------------------------------------------------------------ time

    def elapsed_in(self, path: str, indices: Indices) -> float:
        """Return the seconds that the run has spent below a frame: from its first row to its last."""
        if not self.rows:
            return 0.0
        depth = len(indices)
        times = self._times.get((path, depth))
        if times is None:
            times = self._times[path, depth] = {}
            for (below, numbers), epochs in self._epochs.items():
                if below.startswith(f"{path}."):
                    moments = [row.body.get("t", 0.0) for epoch in epochs for row in epoch.rows]
                    first, last = times.get(numbers[:depth], (moments[0], moments[0]))
                    times[numbers[:depth]] = min(first, *moments), max(last, *moments)
        first, last = times.get(indices, (0.0, 0.0))
        return last - first


def gives_value(row: Row) -> bool:
    """Whether a row has the value of its step: what an agent or a tool gave, or the default in its place."""
    return row.kind in _VALUED and "value" in row.body


def spent_by(rows: Iterator[Row] | Sequence[Row]) -> Spent:
    """Return what rows say was spent: every call that ended, and, in full, what calls without an outcome reserved."""
    rows = list(rows)
    tokens_in = tokens_out = picodollars = calls = unpriced = 0
    for row in (*(row for row in rows if row.kind in _PAID), *_open(rows)):
        body = row.body
        if "tokens_in" in body:
            calls += 1
            tokens_in += body["tokens_in"]
            tokens_out += body["tokens_out"]
            picodollars += body["picodollars"] or 0
            unpriced += body["picodollars"] is None
    return Spent(Cost(tokens_in, tokens_out, picodollars), calls, unpriced)


def paid_by(rows: Sequence[Row]) -> Spent:
    """Return what rows say was spent for certain: a call without an outcome, which may be made again, is in doubt."""
    return spent_by([row for row in rows if row.kind in _PAID])


def _open(rows: Sequence[Row]) -> list[Row]:
    """Return the intents that nothing closes: an outcome closes the last one before it at its address and part."""
    waiting: dict[tuple[str, Indices, int], list[Row]] = {}
    for row in rows:
        if row.kind == "intent":
            waiting.setdefault((row.path, row.indices, row.part), []).append(row)
        elif row.kind in _OUTCOMES:
            intents = waiting.get((row.path, row.indices, row.part))
            if intents:
                intents.pop()
    return [row for intents in waiting.values() for row in intents]


def _parts(path: str) -> Iterator[str]:
    """Yield a path and all that it is below, the longest first."""
    while path:
        yield path
        path = path.rpartition(".")[0]


def _variants(indices: Indices) -> Iterator[Indices]:
    """Yield the numbers that a step may have had before a loop was put around it, or taken away."""
    yield indices
    for at, index in enumerate(indices):
        if index == 0:
            yield (*indices[:at], *indices[at + 1 :])
    for at in range(len(indices) + 1):
        yield (*indices[:at], 0, *indices[at:])
