"""A program in trouble, and patches for it: what tests of rectification share."""

from __future__ import annotations

import random
from collections.abc import Mapping

from masdsl.check.program import Limits
from masdsl.config import DEFAULT, Config
from masdsl.diagnostics.base import Findings
from masdsl.journal.base import Row
from masdsl.money import TokenPrice
from masdsl.rectify.base import Proposal, Trigger
from masdsl.rectify.checks import Ground, Standing, Verdict, flow_named, judge
from masdsl.rectify.remaining import Rates, Version, finished_steps, left_of
from masdsl.rectify.state import State, Tier
from masdsl.source import Source
from tests.harness.programs import granted

TOOLS = granted("mail.send", "web.find", "web.seek", "disk.wipe")
CONFIG: Config = DEFAULT._replace(tools=TOOLS, tiers={**DEFAULT.tiers, "cheap": "smollm2"})
PRICES = {"fast": TokenPrice(5, 5), "smart": TokenPrice(9, 9), "cheap": TokenPrice(1, 1), "default": TokenPrice(5, 5)}
TIERS = tuple(Tier(name, f"model-{name}", price) for name, price in PRICES.items() if name != "default")

PROGRAM = """mas 1

budget calls 14 tokens 100k
rectify tries 2 at 80%

type Kind = math | code
type Review { ok: bool, issues: text(40)[4] }

tool send(body) -> bool from "mail.send" effect
tool find(q) -> text(100) from "web.find"
tool seek(q) -> text(100) from "web.seek"

agent coder(spec, notes: text = "") -> text(200) on fast "Write {{ spec }} {{ notes }}"
agent critic(code) -> Review on fast retry 1 "Criticise {{ code }}"
agent sorter(spec) -> Kind on fast "Which kind? {{ spec }}"
agent namer(code) -> text(40) on fast "Name {{ code }}"

flow polish(code) -> text(200) {
  better = coder(code)
  return better
}

flow main(spec) -> text(200) {
  hit = find(spec)
  drafts = 3 of coder(spec)
  code = majority(drafts)
  refine: loop 2 {
    note = critic(code)
    until note.ok
    code = coder(spec, hit)
  }
  ok = send(code)
  slot: within calls 2 {
    title = namer(hit)
  }
  end = polish(title)
  return end
}
"""


def pricing(program: object) -> Rates:
    """Return prices by the tiers of agents."""
    agents = program.agents  # type: ignore[attr-defined]
    models = {agent.key: agent.model or "default" for agent in agents}
    return Rates({key: PRICES[model] for key, model in models.items() if model in PRICES}, {})


def ground(*limits: Limits) -> Ground:
    """Return what programs are checked and bounded by in these tests."""
    return Ground(CONFIG, None, False, pricing, limits)


def version(text: str = PROGRAM) -> tuple[Source, Version]:
    """Return a program, checked."""
    findings = Findings()
    source = Source("<input>", text)
    program = ground().check(source, findings)
    assert program is not None and findings.ok, [one.diagnostic.title() for one in findings.sorted()]
    entry = flow_named(program, "main")
    assert entry is not None
    return source, Version(program, entry.key, pricing(program))


def standing(
    text: str = PROGRAM, done: Mapping[str, object] | None = None, spent: Mapping[str, int] | None = None
) -> Standing:
    """Return where a run of the program stands when these steps are finished, at one call, 70 tokens, 350 pUSD each."""
    source, now = version(text)
    rows: list[Row] = []
    for address, value in (done or {}).items():
        path, _, numbers = address.partition("[")
        indices = tuple(int(number) for number in numbers.rstrip("]").split(",") if number)
        body = {"text": "", "tokens_in": 50, "tokens_out": 20, "picodollars": 350}
        rows.append(Row(len(rows) + 1, "reply", path, indices, 0, b"", b"", body, 0.0))
        rows.append(Row(len(rows) + 1, "done", path, indices, 0, b"", b"", {"value": value}, 0.0))
    count = len(done or {})
    own = {"calls": count, "tokens": 70 * count, "usd": 350 * count, "seconds": 0} | dict(spent or {})
    return Standing(source, now, (), finished_steps(rows), own, False)


def verdict(
    patch: str, stands: Standing | None = None, *, trusted: bool = False, limits: Limits | None = None
) -> Verdict:
    """Return what is thought of a patch, given without its first line."""
    around = () if limits is None else (limits,)
    proposal = Proposal(f"patch 1\n{patch}\n", "")
    return judge(ground(*around), stands or standing(), proposal, trusted=trusted)


def state(trigger: Trigger, stands: Standing | None = None, *, limits: Limits | None = None) -> State:
    """Return the state that a rectifier is shown."""
    stands = stands or standing()
    around = () if limits is None else (limits,)
    return State(
        trigger=trigger,
        standing=stands,
        inputs={"spec": "x"},
        rest=stands.rest(),
        left=left_of((stands.now.program.budget, *around), stands.spent),
        tiers=TIERS,
        granted=frozenset(TOOLS),
        tries_left=2,
        earlier=(),
        judge=lambda proposal: judge(ground(*around), stands, proposal, trusted=True),
    )


# ---------------------------------------------------------------- patches by chance

_PATHS = """\
main.hit main.drafts main.refine main.refine.note main.refine.code main.ok main.slot main.slot.title
main.end polish.better main.return coder critic sorter namer send find seek main polish Kind Review
main.nothing budget"""
_PROPERTIES = """\
on role temp max retry timeout tools steps prompt else from effect times count calls tokens usd
seconds"""
_VALUES = """\
0 | 1 | 2 | 3 | 9 | 999 | "evil" | "" | true | [send] | [find, send] | smart | cheap | none | "openai/gpt-4o" | 0.5
| "mail.send" | "disk.wipe" | Kind.math"""
_SIDES = """\
coder(spec) | 3 of coder(spec) | 9 of coder(spec) | send("hi") | send(spec) | send(hit) | find(spec) | seek(spec)
| coder("evil") | polish(code) | hit | "evil" | namer(hit) | wipe(spec) | coder(spec, notes: "evil")
| each d in drafts: coder(d) | coder(spec) else "x" """
_DEFAULTS = '"" | "evil" | false | none'
_MODELS = 'smart | cheap | fast | "openai/gpt-4o" | nowhere'
_OPENERS = "loop 2 | loop 9 | within calls 1 | within calls 99 | if true | l: loop 3"
_ITEMS = """\
agent other(x) -> text(9) on smart "Say {{ x }}" | tool wipe(x) -> bool from "disk.wipe" effect | use std.vote
| agent ruler(x) -> text(9) on smart tools [send] steps 2 "Rule {{ x }}" | rectify tries 9 at 5% | budget calls 999
| tool mail(body) -> bool from "mail.send" | use helpers"""


def _one(draw: random.Random, choices: str) -> str:
    return draw.choice(choices.split("|")).strip()


def random_patch(draw: random.Random) -> str:
    """Return a patch of one to three edits, some of them senseless and some of them hostile."""
    return "".join(f"{_edit(draw)}\n" for _ in range(draw.choice((1, 1, 1, 2, 2, 3))))


def _edit(draw: random.Random) -> str:
    path, side = draw.choice(_PATHS.split()), _one(draw, _SIDES)
    match draw.randrange(14):
        case 0 | 1 | 2:
            return f"set {path}.{draw.choice(_PROPERTIES.split())} = {_one(draw, _VALUES)}"
        case 3:
            return f"bind {_one(draw, 'coder | critic | namer | sorter | x')} = {_one(draw, _MODELS)}"
        case 4:
            return f"add {_one(draw, _ITEMS)}"
        case 5:
            return f"drop {path}"
        case 6:
            return f"replace {path} = {side}"
        case 7:
            return f"{_one(draw, 'after | before')} {path} {{ x{draw.randrange(3)} = {side} }}"
        case 8:
            return f"wrap {path} in {_one(draw, _OPENERS)}"
        case 9:
            return f"otherwise {path} = {draw.choice((side, _one(draw, _DEFAULTS)))}"
        case 10:
            return f"rename {path} = {_one(draw, 'y | send | z | find')}"
        case 11:
            return f"redo {path}"
        case 12:
            return f"budget calls {_one(draw, '1 | 10 | 14 | 15 | 999')} tokens {_one(draw, '50k | 100k | 200k')}"
        case _:
            return f"replace {_one(draw, _ITEMS)}"
