"""The page about one run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from masdsl.graph.links import link_to
from masdsl.graph.model import Place
from masdsl.graph.palette import STYLE as PICTURE_STYLE
from masdsl.money import show_usd
from masdsl.report.collect import FAILED, RUNNING, Call, Step, lanes
from masdsl.report.html import STYLE, Texts, page, plain, table

MOST_STEPS: Final = 4_000
"""Steps that a page shows; of more, those that failed, and the first and last ones."""
MOST_BARS: Final = 3_000
LANE: Final = 17.0
WIDTH: Final = 1_000.0
LINK: Final = "#{file}:{line}"
"""Where the parts of the picture lead: to the program on the page."""
_LETTER: Final = 6.2


class Measure(NamedTuple):
    """What a run took in one measure: shown as text, and as a number for the bar; None where there is no limit."""

    name: str
    spent: float
    said: str
    bound: float | None
    bound_said: str
    budget: float | None
    budget_said: str


class Change(NamedTuple):
    """What a rectifier was asked, and what came of it: in one line, the reasons and the patch."""

    title: str
    accepted: bool
    lines: tuple[str, ...]


class RunReport(NamedTuple):
    """All that a page shows. `facts` are names and texts; `value` is None where there is none (`has_value`).

    `ending` says how the run ended where it gave no value, `picture` is an SVG document that is harmless, or empty, and
    `missing` says what is not on the page, and why. `sources` are the program's texts by name; `now` is the last moment
    that the journal knows, in seconds of the run.
    """

    run: str
    title: str
    status: str
    facts: tuple[tuple[str, str], ...]
    inputs: Mapping[str, Any]
    measures: tuple[Measure, ...]
    has_value: bool
    value: Any
    ending: str
    steps: tuple[Step, ...]
    changes: tuple[Change, ...]
    picture: str
    sources: Mapping[str, str]
    missing: tuple[str, ...]
    now: float


def render(report: RunReport) -> str:
    """Return the page."""
    texts = Texts(f"`mas runs show {report.run} --json` has all of it")
    return page(f"{report.title}: {report.status}", _body(report, texts), (STYLE, PICTURE_STYLE))


def _body(report: RunReport, texts: Texts) -> Iterator[str]:
    kind = {"ended": "good", "failed": "bad"}.get(report.status, "warn")
    yield f'<header><h1>{plain(report.title)} <span class="state {kind}">{plain(report.status)}</span></h1>'
    facts = " · ".join(f"{plain(name)} <code>{plain(text)}</code>" for name, text in report.facts)
    yield f'<p class="soft">{facts}</p>'
    parts = [("value", "Value"), ("took", "What it took"), ("picture", "Picture"), ("timeline", "Timeline")]
    parts += [("changes", "Patches")] if report.changes else []
    parts += [("faults", "Faults and retries"), ("steps", "Steps"), ("program", "Program")]
    links = "".join(f'<a href="#{name}">{name_shown}</a>' for name, name_shown in parts)
    yield f"<nav>{links}</nav></header><main>"
    for missing in report.missing:
        yield f'<p class="warn">{plain(missing)}</p>'
    yield '<h2 id="value">Value</h2>'
    if report.has_value:
        yield texts.value(report.value)
    else:
        yield f'<p class="{kind}">{plain(report.ending)}</p>'
    if report.inputs:
        yield "".join(texts.value(value, f"input {name}") for name, value in report.inputs.items())
    yield from _measures(report.measures)
    yield '<h2 id="picture">Picture</h2>'
    yield f'<div class="wide tall">{report.picture}</div>' if report.picture else '<p class="soft">There is none.</p>'
    yield from _timeline(report)
    if report.changes:
        yield from _changes(report.changes, texts)
    shown = _shown(report.steps)
    yield from _faults(report.steps, frozenset(shown))
    yield f'<h2 id="steps">Steps ({len(report.steps):,})</h2>'
    if len(shown) < len(report.steps):
        yield f'<p class="warn">{len(shown):,} of {len(report.steps):,} steps are shown: those that failed, the first'
        yield f"and the last; <code>mas runs show {plain(report.run)} --json</code> has all.</p>"
    for number in shown:
        yield _step(number, report.steps[number], texts)
    yield '<h2 id="program">Program</h2>'
    for name, text in report.sources.items():
        yield _source(name, text)
    yield "</main>"


# ---------------------------------------------------------------- what it took


def _measures(measures: Sequence[Measure]) -> Iterator[str]:
    rows = []
    for one in measures:
        most = one.budget if one.budget is not None else one.bound
        bar = ""
        if most:
            share = one.spent / most
            label = f"{share:.0%} of the {'budget' if one.budget is not None else 'worst case'}"
            bar = f'<meter min="0" max="1" value="{min(share, 1.0):.4f}">{label}</meter> {label}'
        rows.append((plain(one.name), plain(one.said), plain(one.bound_said), plain(one.budget_said), bar))
    yield '<h2 id="took">What it took</h2>'
    yield table(("", "spent", "worst case", "budget", ""), rows, (1, 2, 3))


# ---------------------------------------------------------------- timeline


def _timeline(report: RunReport) -> Iterator[str]:
    yield '<h2 id="timeline">Timeline</h2>'
    bars, count = lanes(report.steps, report.now)
    if not bars:
        yield '<p class="soft">Nothing was called.</p>'
        return
    if len(bars) > MOST_BARS:
        yield f'<p class="warn">The first {MOST_BARS:,} of {len(bars):,} calls are shown.</p>'
        bars = bars[:MOST_BARS]
    last = max(report.now, max(bar.end for bar in bars)) or 1.0
    high = LANE * count + 20.0
    yield '<div class="wide timeline">'
    yield f'<svg viewBox="0 0 {WIDTH:.0f} {high:.0f}" role="img" aria-label="calls over time, in {count} lanes">'
    for tick in range(6):
        x = min(tick / 5 * WIDTH, WIDTH - 0.5)
        anchor = "end" if tick == 5 else "start" if tick == 0 else "middle"
        yield f'<line class="tick" x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{high - 16:.0f}"/>'
        yield f'<text x="{x:.1f}" y="{high - 4:.0f}" text-anchor="{anchor}">{tick / 5 * last:.3g} s</text>'
    for bar in bars:
        step = report.steps[bar.step]
        call = step.calls[bar.call]
        x, wide = bar.begin / last * WIDTH, max((bar.end - bar.begin) / last * WIDTH, 2.0)
        x = min(x, WIDTH - wide)
        kind = "running" if call.end is None else "bad" if call.fault or call.unfit else "fine"
        said = f"{step.address}, {_call_text(call)}"
        room = int(wide / _LETTER)
        name = step.address if len(step.address) <= room else f"{step.address[: room - 2]}.." if room > 6 else ""
        text = f'<text x="{x + 3:.1f}" y="{LANE * bar.lane + 12:.1f}">{plain(name)}</text>' if name else ""
        rect = f'<rect x="{x:.1f}" y="{LANE * bar.lane + 1:.1f}" width="{wide:.1f}" height="{LANE - 3:.0f}" rx="2"/>'
        yield f'<a href="#step-{bar.step}"><g class="bar {kind}"><title>{plain(said)}</title>{rect}{text}</g></a>'
    yield "</svg></div>"


# ---------------------------------------------------------------- patches, faults


def _changes(changes: Sequence[Change], texts: Texts) -> Iterator[str]:
    yield '<h2 id="changes">Patches</h2>'
    for one in changes:
        kind = "good" if one.accepted else "warn"
        yield f'<details class="step" open><summary class="{kind}">{plain(one.title)}</summary><div>'
        yield texts.block("\n".join(one.lines))
        yield "</div></details>"


def _faults(steps: Sequence[Step], shown: frozenset[int]) -> Iterator[str]:
    yield '<h2 id="faults">Faults and retries</h2>'
    rows = []
    for number, step in enumerate(steps):
        for call in step.calls:
            if call.fault or call.unfit:
                what = call.fault or f"the reply: {call.unfit}"
                rows.append((_link(number, step, shown), f"{call.attempt + 1}", plain(what[:300])))
        if step.state == FAILED or step.is_default:
            came = "gave its default" if step.is_default else "failed"
            rows.append((_link(number, step, shown), "", plain(f"{came}: {step.reason[:300]}")))
    if rows:
        yield table(("step", "attempt", "what was wrong"), rows[:500], (1,))
        if len(rows) > 500:
            yield f'<p class="soft">and {len(rows) - 500:,} more</p>'
    else:
        yield '<p class="soft">There were none.</p>'


def _link(number: int, step: Step, shown: frozenset[int]) -> str:
    named = f"<code>{plain(step.address)}</code>"
    return f'<a href="#step-{number}">{named}</a>' if number in shown else named


# ---------------------------------------------------------------- steps


def _shown(steps: Sequence[Step]) -> list[int]:
    """Return the numbers of the steps that are shown: all, or as many as a page can bear."""
    if len(steps) <= MOST_STEPS:
        return list(range(len(steps)))
    bad = [number for number, step in enumerate(steps) if step.state != "value"][: MOST_STEPS // 2]
    room = (MOST_STEPS - len(bad)) // 2
    return sorted({*bad, *range(room), *range(len(steps) - room, len(steps))})


def _step(number: int, step: Step, texts: Texts) -> str:
    asked = step.asked
    what = "" if asked is None else f" · {asked.kind} {asked.name}"
    if asked is None and step.is_tool:  # what an agent has used: the call stands in the agent's reply
        what = f" · tool {step.path.rpartition('.')[2]}"
    calls = [call for call in step.calls if call.tokens_in or call.tokens_out or call.reply is not None or call.fault]
    tokens = sum(call.tokens_in + call.tokens_out for call in step.calls)
    took = f" · {len(calls)} call{'' if len(calls) == 1 else 's'}, {tokens:,} tokens" if calls else ""
    kind = {FAILED: "bad", RUNNING: "warn"}.get(step.state, "good")
    state = "default" if step.is_default else step.state
    parts = [f'<details class="step {"failed" if step.state == FAILED else ""}" id="step-{number}"><summary>']
    parts.append(
        f'<code>{plain(step.address)}</code>{plain(what + took)} <span class="{kind}">{state}</span></summary><div>'
    )
    if step.came_from:
        parts.append(f'<p class="soft">Its value came from <code>{plain(step.came_from)}</code>.</p>')
    if asked is not None and asked.kind == "agent":
        parts += [texts.block(content, f"asked ({role})") for role, content in asked.messages]
    elif asked is not None:
        parts += [texts.value(value, f"given {name}") for name, value in asked.inputs.items()]
    parts += [_call(call, texts) for call in step.calls]
    if step.reason:
        parts.append(texts.block(step.reason, "why it failed" if step.state == FAILED else "what went wrong"))
    if step.state == "value":
        parts.append(texts.value(step.value, "its declared default" if step.is_default else "its value"))
    return "".join((*parts, "</div></details>"))


def _call(call: Call, texts: Texts) -> str:
    bad = bool(call.fault or call.unfit)
    parts = [f'<div class="call {"fault" if bad else ""}"><p class="soft">{plain(_call_text(call))}</p>']
    if call.reply is not None:
        parts.append(texts.block(call.reply, "reply"))
    if call.unfit:
        parts.append(texts.block(call.unfit, "what was wrong with it"))
    if call.fault:
        parts.append(texts.block(call.fault, "fault"))
    return "".join((*parts, "</div>"))


def _call_text(call: Call) -> str:
    said = [f"attempt {call.attempt + 1}" + (f" of turn {call.turn + 1}" if call.turn else "")]
    if call.model:
        said.append(call.model)
    if call.tokens_in or call.tokens_out:
        said.append(f"{call.tokens_in:,} + {call.tokens_out:,} tokens")
    if call.picodollars:
        said.append(show_usd(call.picodollars))
    if call.begin is not None:
        said.append(f"at {call.begin:.3f} s")
    if call.end is None:
        said.append("under way when the journal ends")
    elif call.seconds or call.begin is not None:
        said.append(f"{call.seconds or call.end - (call.begin or 0.0):.3f} s")
    return ", ".join(said)


# ---------------------------------------------------------------- program


def _source(name: str, text: str) -> str:
    lines = "".join(
        f'<li id="{plain(link_to(LINK[1:], Place(name, number, 1)))}">{plain(line) or " "}</li>'
        for number, line in enumerate(text.split("\n"), 1)
    )
    return (
        f'<details class="step"><summary><code>{plain(name)}</code></summary><ol class="source">{lines}</ol></details>'
    )
