"""Immunity: what mended one run is applied to later programs before they run, wherever they have the same weak place.

A rule is distilled from a patch that was accepted and after which the run finished:

    guard    the traits of the step that failed (`places`), as few as tell it from the other steps of its program, and
             more of them the more the patch takes away; for want of budget also the measure that did not suffice
    edits    the patch with holes in the place of its addresses: $agent, $step, $loop, $input.name, $retooled

It is kept only if it gives the patched program again when it is applied to the program it came from. Applied to
another program it is judged as any patch is before a run begins (`rectify.checks`): the program checks, keeps what it
takes and gives, may do no more, raises no budget, fits it no worse than before, and nothing that the rule brings
reaches a tool with an effect.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any, Final, NamedTuple

from masdsl.check.program import Agent, Program, Tool
from masdsl.diagnostics.base import Findings
from masdsl.meta.host import NAME, Host, main_of
from masdsl.meta.places import NONE, Site, matches, site_of, sites_of
from masdsl.node import Node
from masdsl.patch.identity import base_of
from masdsl.patch.patching import read_patch
from masdsl.patch.places import NoPlace, find, options_of
from masdsl.rectify.base import Intervention, Proposal, Trigger
from masdsl.rectify.checks import PATCH_NAME, Ground, Standing, Verdict, judge
from masdsl.rectify.durable import checked_limits
from masdsl.rectify.host import configured_pricing, given_pricing
from masdsl.rectify.locate import Place, trail
from masdsl.rectify.remaining import COUNTED, Version, left_of
from masdsl.rectify.rules import with_callee
from masdsl.rectify.state import Tier
from masdsl.runtime.granted import ceiling_of
from masdsl.source import Source
from masdsl.syntax import ast
from masdsl.syntax.parse import parse_program
from masdsl.syntax.print import print_edit, print_expr, print_rhs
from masdsl.syntax.walk import iterate

AGENT, STEP, LOOP, INPUT, RETOOLED = "$agent", "$step", "$loop", "$input.", "$retooled"
MOST_CHANGES: Final = 16
"""Places of one program that one rule may change."""
FINER: Final = ("gives", "around", "ends", "timeout", "tier", "prompt", "name")
"""Traits by which a guard is made narrower, in this order, until it fits the step that failed alone."""
_GUARDS: Final[dict[str, tuple[str, ...]]] = {"agent": ("calls", "model", "else"), "tool": ("calls", "tool", "else")}
_BUDGET_WORDS: Final = ("budget", "rectify")


class Rule(NamedTuple):
    """A rule, and how it has done.

    `over` is the measure in which a program has to be above its budget at worst ('' for rules about something else).
    `tool` is what stands for $retooled: the name under which the other tool is granted. `origin` says which run it was
    distilled from, `seen` how often. `uses` are runs with it, of which `successes` and `failures`, the last `row`
    of them failures; `retired` says why it is not applied any more.
    """

    cause: str
    guard: Mapping[str, str]
    edits: tuple[str, ...]
    over: str = ""
    tool: str = ""
    origin: str = ""
    made: str = ""
    seen: int = 1
    uses: int = 0
    successes: int = 0
    failures: int = 0
    row: int = 0
    retired: str = ""

    @property
    def name(self) -> str:
        """What it is called: the same for the same guard and edits."""
        guard = sorted(self.guard.items())
        told = repr((self.cause, guard, self.edits, self.over, self.tool))
        return f"r{sha256(told.encode()).hexdigest()[:8]}"

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return self._asdict() | {"guard": dict(self.guard), "edits": list(self.edits)}


class Applied(NamedTuple):
    """A program after a rule, and the patches that made it so, each without its first line."""

    text: str
    patches: tuple[str, ...]


class _Ready(NamedTuple):
    """A program as a run of it would begin."""

    standing: Standing
    document: ast.Program
    sites: tuple[Site, ...]
    tiers: tuple[Tier, ...]

    @property
    def program(self) -> Program:
        return self.standing.now.program


def ground_of(host: Host) -> Ground:
    """Return what programs are checked and bounded by on a host; its ceiling holds around their budgets."""
    pricing = configured_pricing(host.config) if host.models is None else given_pricing(host.models, host.config)
    limits = (checked_limits(ceiling_of(host.config)),)
    return Ground(host.config, None, host.models is None, pricing, limits)


def _ready(text: str, host: Host, ground: Ground) -> _Ready | None:
    source, findings = Source(NAME, text), Findings()
    program = ground.check(source, findings)
    main = None if program is None else main_of(program)
    document = parse_program(source, Findings()).document
    if program is None or main is None or not isinstance(document, ast.Program):
        return None
    tiers = tuple(one.tier for one in host.pool(program))
    standing = Standing(source, Version(program, main.key, ground.pricing(program)), (), (), {}, False)
    return _Ready(standing, document, sites_of(program, main.key, tiers), tiers)


# ---------------------------------------------------------------- applying


def apply(rule: Rule, text: str, host: Host) -> Applied | None:
    """Return a program after a rule; None where its guard fits nowhere, or nothing that it makes may be taken."""
    ground = ground_of(host)
    patches: list[str] = []
    tried: set[str] = set()
    ready = _ready(text, host, ground)
    while ready is not None and len(patches) < MOST_CHANGES:
        found = _next(rule, ready, ground, tried)
        if found is None:
            break
        patch, verdict = found
        assert verdict.source is not None
        patches.append(patch)
        ready = _ready(verdict.source.text, host, ground)
        text = verdict.source.text
    return Applied(text, tuple(patches)) if patches else None


def _next(rule: Rule, ready: _Ready, ground: Ground, tried: set[str]) -> tuple[str, Verdict] | None:
    if rule.over and rule.over not in _over(ready, ground):
        return None
    for site in ready.sites:
        patch = _instance(rule, site, ready) if matches(rule.guard, site.traits) else None
        if patch is None or patch in tried:
            continue
        tried.add(patch)
        verdict = _judged(patch, ready, ground)
        if verdict.accepted and verdict.base != verdict.new:
            return patch, verdict
    return None


def _judged(patch: str, ready: _Ready, ground: Ground) -> Verdict:
    """Judge a patch as that of the host's own rules, all of whose values nobody has computed."""
    return judge(ground, ready.standing, Proposal(f"patch 1\n{patch}\n", "", invents=True), trusted=True)


def _over(ready: _Ready, ground: Ground) -> tuple[str, ...]:
    """Return the measures in which the worst case of a program is above what its budget allows."""
    worst = ready.standing.rest().to_json()
    left = left_of((ready.program.budget, *ground.limits), {})
    return tuple(name for name in COUNTED if (room := left[name]) is not None and worst[name] > room)


def _instance(rule: Rule, site: Site, ready: _Ready) -> str | None:
    """Return the edits of a rule for a place; None where the place has not all that they need."""
    holes = {AGENT: site.callee.name, STEP: site.address}
    if site.loop:
        holes[LOOP] = site.loop
    lines = []
    for edit in rule.edits:
        line = edit
        if RETOOLED in line:
            side = _retooled(rule.tool, site, ready)
            if side is None:
                return None
            holes[RETOOLED] = side
        for name, written in _inputs(site, ready.document).items():
            holes[f"{INPUT}{name}"] = written
        for hole in sorted(holes, key=len, reverse=True):
            line = line.replace(hole, holes[hole])
        if "$" in line:
            return None
        lines.append(line)
    return "\n".join(lines)


def _right_side(document: ast.Program, address: str) -> ast.Rhs | None:
    try:
        node = find(document, tuple(ast.Name(part) for part in address.split("."))).node
    except NoPlace:
        return None
    return node.value if isinstance(node, ast.Bind | ast.Return) else None


def _inputs(site: Site, document: ast.Program) -> dict[str, str]:
    """Return what a place calls its callee with, as texts by the names of the parameters."""
    value = _right_side(document, site.address)
    call = options_of(value)[0] if value is not None and not isinstance(value, ast.Sample | ast.Each) else None
    if not isinstance(call, ast.Call):
        return {}
    names = [one.name for one in site.callee.params]
    found: dict[str, str] = {}
    for at, argument in enumerate(call.arguments):
        name = argument.name.text if argument.name is not None else names[at] if at < len(names) else ""
        found[name] = print_expr(argument.value)
    return found


def _retooled(granted: str, site: Site, ready: _Ready) -> str | None:
    """Return the right side of a place with another tool in the place of its own, if the program declares that one."""
    value = _right_side(ready.document, site.address)
    other = next((one for one in ready.program.tools if one.granted_as == granted and not one.module), None)
    if value is None or other is None or not isinstance(site.callee, Tool):
        return None
    return print_rhs(with_callee(value, site.callee.name, other.name))


# ---------------------------------------------------------------- distilling


def distil(before: str, done: Intervention, host: Host, *, origin: str = "", made: str = "") -> Rule | str:
    """Return the rule that a successful intervention teaches, or why there is none.

    `before` is the program that its patch was made for. Whoever calls knows that the run has finished afterwards.
    """
    if not done.accepted or not done.patch:
        return "no patch was applied"
    ground = ground_of(host)
    ready = _ready(before, host, ground)
    if ready is None:
        return "the program that was patched does not check here"
    site = _failed(ready, done.trigger)
    if site is None:
        return f"the step `{done.trigger.step}` is not one of the program's own that calls an agent or a tool"
    over = done.trigger.measure if done.trigger.cause == "budget" else ""
    if done.trigger.cause == "budget" and over not in _over(ready, ground):
        return "no program can be told to lack what this one lacked before it runs"
    parsed = read_patch(Source(PATCH_NAME, done.patch), Findings())
    assert parsed is not None, "the patch was applied"
    assert isinstance(parsed.document, ast.Patch)
    learned = [_general(edit, site, ready) for edit in parsed.document.edits]
    edits = [one for one in learned if one is not None]
    if not edits or len(edits) < len(learned):
        return "the patch is about more than the step that failed"
    names = dict.fromkeys((*_GUARDS[site.traits["calls"]], *(name for edit in edits for name in edit.traits)))
    guard = {name: site.traits[name] for name in names}
    for edit in edits:
        guard |= edit.bounds
    tool = next((edit.tool for edit in edits if edit.tool), "")
    rule = Rule(done.trigger.cause, guard, tuple(edit.text for edit in edits), over, tool, origin, made)
    return _narrowed(rule, site, ready, before, done, host)


def _narrowed(rule: Rule, site: Site, ready: _Ready, before: str, done: Intervention, host: Host) -> Rule | str:
    """Return a rule whose guard fits no more than it has to: applied to its own program it gives the patched one."""
    wanted = _judged(_body(done.patch), ready, ground_of(host)).new
    own = _instance(rule, site, ready)
    for name in ("", *FINER):
        if name:
            if name in rule.guard or name not in site.traits:
                continue
            rule = rule._replace(guard={**rule.guard, name: site.traits[name]})
        changed = {_instance(rule, one, ready) for one in ready.sites if matches(rule.guard, one.traits)}
        if changed != {own}:
            continue
        applied = apply(rule, before, host)
        if applied is not None and wanted and _hash(applied.text) == wanted:
            return rule
        return "the patch would not be taken before a run begins"
    return "other steps of the program look the same and did not fail"


def _hash(text: str) -> str:
    document = parse_program(Source(NAME, text), Findings()).document
    assert isinstance(document, ast.Program)
    return base_of(document)


def _body(patch: str) -> str:
    """Return a patch without its first line, which names the program that it was for."""
    return patch.partition("\n")[2].strip("\n") if patch.startswith("patch") else patch


def _failed(ready: _Ready, trigger: Trigger) -> Site | None:
    program = ready.program
    places: tuple[Place, ...] = trail(program, program.flow(ready.standing.now.entry), trigger.step)
    return site_of(program, places[-1], ready.tiers) if places else None


class _Learned(NamedTuple):
    """An edit with holes; the traits that its place has to have, and bounds of numbers; the other tool, if any."""

    text: str
    traits: tuple[str, ...] = ()
    bounds: Mapping[str, str] = {}
    tool: str = ""


def _general(edit: ast.Edit, site: Site, ready: _Ready) -> _Learned | None:
    """Return an edit with holes in the place of what it says of the step; None for one about other things."""
    agent, step = ast.Name(AGENT), (ast.Name(STEP),)
    if "$" in print_edit(edit):
        return None
    match edit:
        case ast.BindEdit() if isinstance(site.callee, Agent) and edit.assignment.role.text == site.callee.name:
            return _Learned(print_edit(edit.replace(assignment=edit.assignment.replace(role=agent))))
        case ast.SetEdit():
            return _set(edit, site)
        case ast.ElseEdit() if _is(edit.path, site) and site.traits["else"] == "no" and not _names(edit.value):
            return _Learned(print_edit(edit.replace(path=step)), ("gives",))
        case ast.DropEdit(place=place) if isinstance(place, tuple) and _is(place, site):
            return _Learned(print_edit(edit.replace(place=step)), ("gives", "prompt"))
        case ast.ReplaceEdit() if _is(edit.path, site):
            return _replaced(edit, site, ready)
    return None


def _is(path: ast.Path, site: Site) -> bool:
    return ".".join(part.text for part in path) == site.address


def _names(value: Node) -> bool:
    """Whether a right side says anything but literals: names that mean something in its own program alone."""
    return any(isinstance(one, ast.Var | ast.Call) for one in iterate(value))


def _set(edit: ast.SetEdit, site: Site) -> _Learned | None:
    owner, name = ".".join(part.text for part in edit.path[:-1]), edit.path[-1].text
    trait = {"retry": "retries"}.get(name, name)
    now = site.traits.get(trait)
    holes = {site.callee.name: AGENT, site.address: STEP, site.loop: LOOP}
    is_own = (owner == site.callee.name) == (name not in ("count", "times"))
    if now is None or not owner or owner not in holes or not is_own or not isinstance(edit.value, _NUMBERS):
        return None
    value = edit.value.value
    bound = now if now == NONE else f"> {value:g}" if float(now) > value else f"< {value:g}"
    return _Learned(print_edit(edit.replace(path=(ast.Name(holes[owner]), edit.path[-1]))), (), {trait: bound})


_NUMBERS: Final = (ast.IntLit, ast.FloatLit)


def _replaced(edit: ast.ReplaceEdit, site: Site, ready: _Ready) -> _Learned | None:
    """Return a right side put in place of a step: a literal, an input of the step, or the same with another tool."""
    step = (ast.Name(STEP),)
    if not _names(edit.value):
        return _Learned(print_edit(edit.replace(path=step)), ("gives", "prompt"))
    written = print_rhs(edit.value)
    for name, value in _inputs(site, ready.document).items():
        if name and value == written:
            hole = ast.Var(ast.Name(f"{INPUT}{name}"))
            return _Learned(print_edit(edit.replace(path=step, value=hole)), ("gives", "prompt"))
    for tool in ready.program.tools if isinstance(site.callee, Tool) else ():
        if tool.key != site.callee.key and not tool.module and _retooled(tool.granted_as, site, ready) == written:
            hole = ast.Var(ast.Name(RETOOLED))
            return _Learned(print_edit(edit.replace(path=step, value=hole)), (), {}, tool.granted_as)
    return None


def applied_rules(rules: tuple[Rule, ...], text: str, host: Host) -> Iterator[tuple[Rule, Applied]]:
    """Yield each rule that changes a program, one after the other, with what it makes of it."""
    for rule in rules:
        applied = None if rule.retired else apply(rule, text, host)
        if applied is not None:
            text = applied.text
            yield rule, applied
