"""In which order the units of a block happen, and what runs as a task beside the rest.

Data flow is the only order: a unit starts as soon as what it needs is there. In one coroutine, `x = await ...` holds up
everything below it, so that

- a step is awaited on the spot only if every step that has not been started yet depends on it anyway;
- any other step is started as a task and collected later, where something needs it, at the latest where the block ends;
- a step whose inputs are still being worked out, while others wait for other things, becomes a helper: a local
  function that waits for its inputs by itself. A chain of steps that nothing else looks into becomes one helper.

Beside the data there are reasons to wait. Effects follow each other in source order. A unit with a way out
(`return`, `until`) happens where it stands: what comes first has been started, what comes later has not. A variable
gets its new value when everything that reads the old one has been given it. And nothing is ever left behind: a block
ends when all its steps have, so that a step that fails without `else` ends the run, whether its value is used or not.

The schedule is optimal: every step starts when the last of the steps that it depends on has ended. It prefers the order
of the source, and changes no value, because a task gets what it needs as arguments at the time it is started.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heapify, heappop, heappush
from typing import NamedTuple, TypeAlias

from masdsl.limits import WAITS_AT_WAYS_OUT
from masdsl.lower.units import Binding, Returning, Unit


class Inline(NamedTuple):
    """Do the unit right here."""

    unit: Unit


class Collect(NamedTuple):
    """Wait for the task of the unit and bind what it gives."""

    unit: Unit


class Launch(NamedTuple):
    """Start a task for the last of `work`. Its parts are done in order; a `Collect` waits for another task inside."""

    work: tuple[Inline | Collect, ...]

    @property
    def unit(self) -> Unit:
        """The unit whose values the task gives."""
        return self.work[-1].unit


Action: TypeAlias = Inline | Collect | Launch

_WAITING, _STARTED, _DONE = range(3)
_DO, _COLLECT, _LAUNCH = range(3)


class _Deed(NamedTuple):
    """An action by the unit's number; `work` are the parts of a launch."""

    kind: int
    number: int
    work: tuple[_Deed, ...] = ()


def schedule(units: Sequence[Unit], live: frozenset[str]) -> list[Action]:
    """Return what to do for the units of a block, in order. `live` are the variables that somebody reads behind it.

    Behind a unit that control never leaves at its end, nothing is collected any more: whoever writes the way out has to
    wait for the tasks that are open there.
    """
    if not any(unit.steps for unit in units):
        return [Inline(unit) for unit in units]
    needs = needs_of(units)
    plan = _Planner(units, needs).plan()
    _fold(plan, units, needs, live)
    _settle(plan)
    return [_action(units, deed) for deed in plan]


def _action(units: Sequence[Unit], deed: _Deed) -> Action:
    if deed.kind == _LAUNCH:
        return Launch(
            tuple(
                Collect(units[part.number]) if part.kind == _COLLECT else Inline(units[part.number])
                for part in deed.work
            )
        )
    return Inline(units[deed.number]) if deed.kind == _DO else Collect(units[deed.number])


class Needs(NamedTuple):
    """What a unit waits for, as numbers of units before it.

    To begin, it needs `data` to be done. To bind what it writes, it needs `captures` to have begun, which read the old
    value, and `overwrites` to be done, which write the same name.
    """

    data: frozenset[int]
    captures: frozenset[int]
    overwrites: frozenset[int]


def needs_of(units: Sequence[Unit]) -> list[Needs]:
    """Return the direct needs of every unit of a block."""
    needs: list[Needs] = []
    writer: dict[str, int] = {}
    readers: dict[str, list[int]] = {}
    last_effect = last_exit = -1
    begun: list[int] = []
    for number, unit in enumerate(units):
        data = {writer[name] for name in unit.reads if name in writer}
        overwrites = {writer[name] for name in unit.writes if name in writer}
        captures: set[int] = set()
        for name in unit.writes:
            captures.update(readers.pop(name, ()))
            writer[name] = number
        for name in unit.reads - unit.writes:
            readers.setdefault(name, []).append(number)
        if unit.effects:
            if last_effect >= 0:
                data.add(last_effect)
            last_effect = number
        if last_exit >= 0:
            data.add(last_exit)
        if isinstance(unit, Returning) and not unit.steps:
            data.update(other for other in range(number) if units[other].steps)
        if unit.exits:
            captures.update(begun)
            begun = []
            last_exit = number
        elif unit.steps:
            begun.append(number)
        needs.append(Needs(frozenset(data), frozenset(captures - data), frozenset(overwrites - data)))
    return needs


class _Planner:
    """Plays the block through: which units wait, which have been started, which are done."""

    def __init__(self, units: Sequence[Unit], needs: list[Needs]) -> None:
        self._units = units
        self._needs = needs
        self._status = [_WAITING] * len(units)
        self._plan: list[_Deed] = []
        self._missing = [len(need.data) for need in needs]
        self._held = [len(need.captures) + len(need.overwrites) for need in needs]
        self._data_for: list[list[int]] = [[] for _ in units]
        self._captured_by: list[list[int]] = [[] for _ in units]
        self._overwritten_by: list[list[int]] = [[] for _ in units]
        for number, need in enumerate(needs):
            for other in need.data:
                self._data_for[other].append(number)
            for other in need.captures:
                self._captured_by[other].append(number)
            for other in need.overwrites:
                self._overwritten_by[other].append(number)
        self._unstarted = sum(1 << number for number in range(len(units)) if self._is_step(number))
        self._dependents = self._transitive_dependents()
        self._pure = [number for number in range(len(units)) if not self._is_step(number) and self._is_free(number)]
        self._ready = [number for number in range(len(units)) if self._is_step(number) and not self._missing[number]]
        self._open: list[int] = []
        self._open_limit = WAITS_AT_WAYS_OUT // max(1, sum(unit.ways_out for unit in units))
        self._passed = 0
        self._pure_passed = 0
        heapify(self._pure)
        heapify(self._ready)

    def plan(self) -> list[_Deed]:
        """Return what to do, in order."""
        while True:
            while self._pure:
                self._do(heappop(self._pure))
            if not self._unstarted:
                break
            self._step()
        if not self._units[-1].endless:
            for number in range(len(self._units)):
                if self._status[number] == _STARTED:
                    self._collect(number)
                elif self._status[number] == _WAITING:
                    self._do(number)
        return self._plan

    def _step(self) -> None:
        """Do one thing about the steps that have not been started."""
        ready = [number for number in sorted(self._ready) if self._may_begin(number)]
        for number in ready:
            if isinstance(self._units[number], Binding):
                if self._all_wait_for(number) and not self._held[number]:
                    self._do(number)
                else:
                    self._launch(number)
                return
        for number in ready:
            if self._all_wait_for(number) and not self._held[number]:
                if self._open and self._units[number].exits and self._open_before(number) > self._open_limit:
                    self._collect(min(self._open))
                else:
                    self._do(number)
                return
        for number in ready:
            if not self._units[number].exits:
                self._launch(number)
                return
        for number in sorted(self._open):
            if self._all_wait_for(number) and not self._held[number]:
                self._collect(number)
                return
        for number in range(len(self._units)):
            if self._unstarted >> number & 1 and not self._units[number].exits and self._work(number) is not None:
                self._launch(number)
                return
        self._collect(min(self._open))

    # ------------------------------------------------------------ what may happen

    def _is_step(self, number: int) -> bool:
        unit = self._units[number]
        return unit.steps or unit.exits

    def _is_free(self, number: int) -> bool:
        return not self._missing[number] and not self._held[number]

    def _may_begin(self, number: int) -> bool:
        """Say whether a step that has its data may begin: one with a way out only after all before it have begun."""
        return not self._units[number].exits or not self._held[number]

    def _open_before(self, number: int) -> int:
        """Return how many units before this one, which are passed in order, are open or not computed yet."""
        while self._passed < number:
            self._pure_passed += not self._is_step(self._passed) and self._status[self._passed] == _WAITING
            self._passed += 1
        return len(self._open) + self._pure_passed

    def _all_wait_for(self, number: int) -> bool:
        return not self._unstarted & ~(1 << number) & ~self._dependents[number]

    def _transitive_dependents(self) -> list[int]:
        """Return, for every unit, the set of steps that depend on it, as bits."""
        found = [0] * len(self._units)
        for number in range(len(self._units) - 1, -1, -1):
            own = found[number] | (1 << number if self._is_step(number) else 0)
            for other in self._needs[number].data:
                found[other] |= own
        return found

    def _work(self, number: int) -> tuple[_Deed, ...] | None:
        """Return what a task for the unit has to do; None while it needs a step that has not been started."""
        parts = {number: _Deed(_DO, number)}
        pending = [number]
        while pending:
            for other in self._needs[pending.pop()].data:
                if self._status[other] == _DONE or other in parts:
                    continue
                if self._status[other] == _STARTED:
                    parts[other] = _Deed(_COLLECT, other)
                elif self._is_step(other):
                    return None
                else:
                    parts[other] = _Deed(_DO, other)
                    pending.append(other)
        return tuple(parts[part] for part in sorted(parts))

    # ------------------------------------------------------------ what happens

    def _do(self, number: int) -> None:
        self._plan.append(_Deed(_DO, number))
        self._begin(number)
        self._finish(number)

    def _launch(self, number: int) -> None:
        work = self._work(number)
        assert work is not None
        self._plan.append(_Deed(_LAUNCH, number, work))
        self._begin(number)
        self._status[number] = _STARTED
        self._open.append(number)

    def _collect(self, number: int) -> None:
        self._plan.append(_Deed(_COLLECT, number))
        self._open.remove(number)
        self._finish(number)

    def _begin(self, number: int) -> None:
        if self._is_step(number):
            self._unstarted &= ~(1 << number)
            if number in self._ready:
                self._ready.remove(number)
                heapify(self._ready)
        self._release(self._captured_by[number])

    def _release(self, numbers: list[int]) -> None:
        """Let go of units that were held up by one that has now begun, or ended."""
        for other in numbers:
            self._held[other] -= 1
            if not self._is_step(other) and self._status[other] == _WAITING and self._is_free(other):
                heappush(self._pure, other)

    def _finish(self, number: int) -> None:
        self._status[number] = _DONE
        self._pure_passed -= number < self._passed and not self._is_step(number)
        self._release(self._overwritten_by[number])
        for other in self._data_for[number]:
            self._missing[other] -= 1
            if self._missing[other] or self._status[other] != _WAITING:
                continue
            if self._is_step(other):
                heappush(self._ready, other)
            elif not self._held[other]:
                heappush(self._pure, other)


# ---------------------------------------------------------------- chains


def _fold(plan: list[_Deed], units: Sequence[Unit], needs: list[Needs], live: frozenset[str]) -> None:
    """Make one task of two where the first is of use to the second alone, and the second can be launched as early."""
    users: list[set[int]] = [set() for _ in units]
    for number, need in enumerate(needs):
        for other in need.data:
            users[other].add(number)
    at = 0
    while at < len(plan):
        place = _foldable(plan, at, units, needs, users, live) if plan[at].kind == _LAUNCH else None
        if place is None:
            at += 1
            continue
        first, second = plan[place], plan[at]
        collected = _Deed(_COLLECT, first.number)
        rest = tuple(part for part in second.work if part != collected and part not in first.work)
        plan[place] = _Deed(_LAUNCH, second.number, (*first.work, *rest))
        del plan[at]
        if collected in plan:
            plan.remove(collected)


def _foldable(
    plan: list[_Deed], at: int, units: Sequence[Unit], needs: list[Needs], users: list[set[int]], live: frozenset[str]
) -> int | None:
    """Return the place of an earlier launch that may become the beginning of the one at `at`."""
    launch = plan[at]
    waited = [part.number for part in launch.work if part.kind == _COLLECT]
    own = {part.number for part in launch.work if part.kind == _DO}
    candidates = [number for number in waited if users[number] == {launch.number} and not units[number].writes & live]
    has_chain = any(units[number].steps for number in own - {launch.number})
    if not candidates or has_chain:  # what is in a chain already would have to wait for the new beginning
        return None
    there: dict[int, int] = {}
    collected: set[int] = set()
    for place, deed in enumerate(plan[:at]):
        if deed.kind == _COLLECT:
            collected.add(deed.number)
        if deed.kind == (_LAUNCH if deed.number in waited else _COLLECT) or deed.kind == _DO:
            there[deed.number] = place
    outside = {other for number in own for other in needs[number].data} - own
    for number in candidates:
        if number in there and number not in collected:
            place = there[number]
            early = all(there.get(other, at) < place for other in outside - {number})
            if early and not _clash(units, plan[place], launch):
                return place
    return None


def _clash(units: Sequence[Unit], first: _Deed, second: _Deed) -> bool:
    """Say whether a part of the second launch that comes before one of the first in the source must not come behind it.

    It would read what that one has changed by then, or overwrite it.
    """
    for part in second.work:
        for before in first.work:
            if part.number < before.number and part not in first.work:
                touched = units[part.number].writes
                touched = touched if part.kind == _COLLECT else touched | units[part.number].reads
                if touched & units[before.number].writes:
                    return True
    return False


def _settle(plan: list[_Deed]) -> None:
    """Do on the spot what would be started only to be waited for at once."""
    for at in range(len(plan) - 2, -1, -1):
        launch, collect = plan[at : at + 2]
        started = launch.kind == _LAUNCH and len(launch.work) == 1
        if started and collect == _Deed(_COLLECT, launch.number):
            plan[at : at + 2] = [_Deed(_DO, launch.number)]
