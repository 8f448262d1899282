# ruff: noqa: E501 programs on one line each
"""A table of programs whose dearest and whose cheapest run are known: with every construct, and every branch forced.

The head declares agents by what they do in such runs: `bad` and `bad_user` fail, with all their attempts made and all
their tools used, `nil` finds nothing, `yes` and `no` say so. In the dearest run everything that can be spoilt before
the last attempt is, every tool is used, and everything is as large as it may be; in the cheapest nothing is, and a
provider reports no tokens at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

from masdsl.runtime.models.base import Request
from tests.harness.adversary import Act, Adversary, may_use_tools
from tests.harness.bounding import Case, Took, largest_inputs, play, prepared

HEAD = """mas 1
type Note { first: text(20), second: text(20) }
type Kind = math | code | other
type Review { ok: bool, score: int, kind: Kind, share: float, notes: text(20)[3] }
tool search(query: text(20)) -> text(40) from "search" timeout 5
tool fetch(query: text(20), n: int) -> text(10)[3] from "fetch" timeout 7
tool dig(query: text(20)) -> text(600) from "dig"
tool send(q) -> text(30) else "unsent" from "send" effect
agent one(q) -> text(30) on smart "One. {{ q }}"
agent two(q) -> text(30) on fast retry 2 "Two."
agent long(q) -> text(30) on odd role "You are a poet." max 90 retry 1 "{{ q }} and {{ q }}"
agent bad(q) -> text(30) retry 1 on fast "Bad. {{ q }}"
agent late(q) -> text(30) timeout 3 on fast "Late. {{ q }}"
agent kept(q) -> text(30) else "kept" retry 1 "Kept. {{ q }}"
agent nil(q) -> text(30)? retry 1 "If any. {{ q }}"
agent yes(q) -> bool on fast "Yes? {{ q }}"
agent no(q) -> bool on fast retry 1 "No? {{ q }}"
agent judge(q) -> Kind on fast retry 1 "Judge. {{ q }}"
agent review(q) -> Review on smart retry 1 "Review. {{ q }}"
agent reader(r: Review) -> text(30) on fast "Read.\\n\\n{{ r }}"
agent shower(r: Review?, n: int) -> text(30) on fast "Show."
agent listing(q) -> text(20)[4] on fast retry 1 "List. {{ q }}"
agent more(q, notes: text(30)[9] = []) -> text(30) on smart "{% for note in notes %}{{ loop.index }}. {{ note }}\\n{% else %}Begin.{% endfor %}{{ q }}"
agent either(q, seen: bool) -> text(30) on smart "{% if seen %}You have seen {{ q }} before, so be brief: {{ q }}{% else %}{{ q }}{% endif %}"
agent user(q) -> text(30) on smart retry 1 tools [search, fetch] steps 2 "Use. {{ q }}"
agent bad_user(q) -> Kind on fast retry 1 tools [fetch] steps 3 "Use. {{ q }}"
agent diver(q) -> text(30) on odd max 30 tools [fetch, dig] steps 3 "DEEP {{ q }}"
agent loud(q) -> text(30) on fast max 900 retry 2 tools [dig] steps 2 "Loud. {{ q }}"
agent hush(q) -> text(30)? else none retry 1 on fast "Hush. {{ q }}"
agent blank(q) -> text(30) on smart "{{ q }}"
agent many(q, notes: text(2)[200] = []) -> text(2) on fast "{{ notes|join('/') }}"
agent quoted(q, notes: text(30)[9]) -> text(30) on smart "{{ notes }}"
agent noting(q) -> Note on fast "Note. {{ q }}"
agent noted(note: Note) -> text(30) on smart "What is noted?"
agent numeral(q) -> int on fast "Number. {{ q }}"
agent counter(n: int) -> text(30) on smart "Count."
agent capitals(q: text(30)) -> text(30) on smart "{{ q|upper }}"
agent sender(q) -> int on fast tools [send] steps 1 "Send. {{ q }}"
"""

FLOWS = """
flow inner(x: text(30)) -> text(30) { a = one(x) return two(a) }
flow failing(x: text(30)) -> text(30) else "none" { a = two(x) b = bad(a) return b }
flow failed(x: text(30)) -> text(30) { a = two(x) b = bad(a) return b }
flow capped(x: text(30)) -> text(30) budget calls 4 { a = one(x) b = two(a) return b }
flow cut(x: text(30)) -> text(30) else "cut" budget calls 3 { a = two(x) b = two(a) return b }
flow ample(x: text(30)) -> text(30) budget calls 90 tokens 90k usd 9 seconds 9000 { a = one(x) return two(a) }
flow perhaps(x: text(30), ok: bool) -> text(30) else "none" { if ok { return x } a = two(x) return a }
flow drawn[n = 3](x: text(30)) -> text(30)[n]+ { drafts = n of two(x) return drafts }
flow asked(solve: agent(text) -> text(30), x: text(30)) -> text(30) { return solve(x) }
flow early(x: text(30), k: Kind) -> text(30) { match k { math { return x } code { a = one(x) return a } other { } } b = two(x) return b }
flow shown(items: text(30)[9]) -> text(30) { return more("!", notes: items) }
"""


class Known(NamedTuple):
    """A program, the inputs and the values (by agent) of its dearest and of its cheapest run.

    `exact` is what the dearest run takes exactly as much of as the bound says; `least` is whether the cheapest takes exactly the least in calls and input tokens. The dearest takes at least `share` of the bound on
    input tokens: what is missing is mostly the room for what a model is told about its faulty replies. `text` is what
    the texts of the dearest run are made of. With `native`, models call tools by their providers' own protocol.
    """

    name: str
    body: str
    dear: Mapping[str, Any] = {}
    cheap: Mapping[str, Any] = {}
    least: bool = True
    share: float = 0.6
    exact: tuple[str, ...] = ("calls", "tokens_out")
    text: str = "!"
    native: bool = False


PROGRAMS = (
    Known("a value", "return x", share=1),
    Known("a call", "return one(x)", share=1),
    Known("retries", "return two(x)", share=0.66),
    Known("a role and a longest reply", "return long(x)", share=0.79),
    Known("a default", "return kept(x)", least=False, share=0.7),
    Known("a default that is used", "a = kept(x) b = one(a) return b", {"kept": "fail"}, least=False, share=0.68),
    Known("tools", "return user(x)", least=False, share=0.77),
    Known("tools with effects", "n = sender(x) m = sender(x) return x", least=False, share=0.93),
    Known("tools by a protocol", "return user(x)", least=False, share=0.77, native=True),
    Known("tools with effects by a protocol", "n = sender(x) m = sender(x) return x", least=False, share=0.9, native=True),
    Known("large tools by a protocol", "return diver(x)", least=False, share=0.9, native=True),
    Known("tools and long replies by a protocol", "return loud(x)", least=False, share=0.9, native=True),
    Known("a tool", "a = send(x) return one(a)", least=False, share=1),
    Known("a schema of words", "k = judge(x) return text(k)", share=0.78),
    Known("a schema of fields", "r = review(x) return one(x)", share=0.91),
    Known("a list", "l = listing(x) return join(l, x)", share=0.92),
    Known("a record in a template", "r = review(x) return reader(r)", share=0.86),
    Known("a record in a section", "r = review(x) return shower(r, 7)", least=False, share=0.86),
    Known("a record that is made", 'r = Review(ok: true, score: 1, kind: Kind.math, share: 0.5, notes: ["ab"]) return reader(r)', share=0.76),
    Known("none in a section", "return shower(none, 123456789)", least=False, share=0.22),
    Known("a condition in a template", "return either(x, ok)", {"ok": True}, {"ok": False}, share=1),
    Known("one after the other", "a = one(x) b = two(a) c = user(b) return c", least=False, share=0.76),
    Known("beside each other", "a = one(x) b = two(x) c = 2 of user(x) return a", least=False, share=0.77),
    Known("a sample", "a = 5 of two(x) return first(a)", share=0.66),
    Known("a sample of a chain", "a = 3 of bad(x) else two(x) return first(a)", share=0.68),
    Known("each", "a = each y in xs: two(y) return first(a)", share=0.66),
    Known("each where", 'a = each y in xs where y != "": two(y) return join(a, x)', share=0.66),
    Known("each of a flow", "a = each y in xs: inner(y) return first(a)", share=0.7),
    Known("each of a literal", 'a = each y in ["!!", "a", "!"]: one(y) return first(a)', least=False, share=0.98),
    Known("each of a slice", "a = each y in slice(xs, 0, 2): two(y) return join(a, x)", least=False, share=0.33, exact=()),
    Known("a chain", "a = bad(x) else two(x) return a", share=0.68),
    Known("a chain with tools", "a = bad_user(x) else Kind.other return one(x)", {"bad_user": "fail"}, least=False, share=0.73),
    Known("a chain that finds nothing", "a = nil(x) else one(x) return a", least=False, share=0.77),
    Known("a chain of all", "a = bad(x) else nil(x) else user(x) return a", share=0.76),
    Known("a chain that ends in a value", 'a = bad(x) else "nothing" b = one(a) return b', least=False, share=0.68),
    Known("a chain that cannot go on", "a = kept(x) else user(x) return a", least=False, share=0.7),
    Known("a loop", "loop 4 { x = two(x) } return x", share=0.66),
    Known("a loop that goes on", "loop 4 { y = no(x) until y x = two(x) } return x", {"no": False}, {"no": True}, share=0.73),
    Known("a loop that is left in the middle", "loop 3 { a = two(x) y = yes(x) until y x = one(a) } return x", {"yes": False}, {"yes": True}, share=0.74),
    Known("a loop that is never begun", "loop 3 { until ok x = two(x) } return x", {"ok": False}, {"ok": True}, share=0.66),
    Known("a loop that returns at last", "loop 3 { a = one(x) y = yes(a) if y { return two(a) } } return x", {"yes": [False, False, True]}, {"yes": True}, share=0.82),
    Known("a loop with a fixed end", "loop 5 { y = one(x) until true x = two(y) } return x", share=1),
    Known("a loop without an end of its own", "loop 3 { y = one(x) until false x = two(y) } return x", least=False, share=0.7),
    Known("loops inside each other", "loop 3 { loop 2 { x = one(x) y = no(x) until y } x = two(x) } return x", {"no": False}, {"no": True}, least=False, share=0.8),
    Known("a loop over a list", "for y in xs { x = two(y) } return x", share=0.66),
    Known("a loop over a list that goes on", "for y in xs { z = no(y) until z x = two(y) } return x", {"no": False}, {"no": True}, share=0.71),
    Known("a loop with a chain", "loop 3 { x = bad(x) else one(x) } return x", least=False, share=0.75),
    Known("a branch", "if ok { x = user(x) } else { x = one(x) } return x", {"ok": True}, {"ok": False}, share=0.77),
    Known("a branch or nothing", "if ok { x = two(x) } return x", {"ok": True}, {"ok": False}, share=0.66),
    Known("branches", "k = judge(x) if k == Kind.math { x = one(x) } else if k == Kind.code { x = user(x) } else { x = two(x) } return x", {"judge": "code"}, {"judge": "math"}, share=0.77),
    Known("a branch that returns", "if ok { return one(x) } a = two(x) b = user(a) return b", {"ok": False}, {"ok": True}, share=0.76),
    Known("a match", "k = judge(x) match k { math { x = one(x) } code { x = user(x) } else { } } return x", {"judge": "code"}, {"judge": "other"}, share=0.77),
    Known("a match that returns", "k = judge(x) match k { math { return x } else { x = two(x) } } return one(x)", {"judge": "code"}, {"judge": "math"}, share=0.73),
    Known("a flow", "a = inner(x) b = inner(a) return b", least=False, share=0.7),
    Known("a flow that ends early", "k = judge(x) a = early(x, k) return a", {"judge": "other"}, {"judge": "math"}, share=0.71),
    Known("a flow with a default", "a = failing(x) return a", least=False, share=0.68),
    Known("a flow that fails", "a = failed(x) else one(x) return a", least=False, share=0.7),
    Known("static counts", "a = drawn(x, n: 5) b = drawn(x) return first(a)", share=0.66),
    Known("a static agent", "a = asked(two, x) b = asked(one, a) return b", least=False, share=0.7),
    Known("a sample of a flow", "a = 3 of inner(x) return first(a)", share=0.7),
    Known("a list that grows", "acc = [] loop 6 { v = more(x, notes: acc) acc += [v] } return x", least=False, share=1),
    Known("a list that grows in a branch", "acc = [] loop 5 { v = more(x, notes: acc) if ok { acc += [v, v] } } return x", {"ok": True}, {"ok": False}, share=1),
    Known("a list that is made longer", "acc = [x] loop 4 { v = more(x, notes: acc) acc = acc + [v] } return x", share=1),
    Known("a list of constants that grows", 'acc = [] loop 6 { v = more("!", notes: acc) acc += ["!"] } return x', least=False, share=0.96),
    Known("a list beyond its cap", "acc = [] loop 14 { v = more(x, notes: acc) acc += [v] } return x", least=False, share=1),
    Known("a text that grows", 't = "" loop 4 { v = one(t) t = t + v } return t', least=False, share=0.99),
    Known("a flow of a constant", 'a = inner("!") return a', least=False, share=0.69),
    Known("a flow of a growing list", "acc = [] loop 4 { v = shown(acc) acc += [v] } return x", least=False, share=0.99),
    Known("a slice of calls", "within calls 2 { a = two(x) else x b = two(a) else x } return b", least=False, share=0.19, exact=("calls",)),
    Known("a slice in a loop", "loop 3 { within calls 1 { a = two(x) else x } } return x", least=False, share=0.13, exact=("calls",)),
    Known("a slice of a slice", "within calls 5 { within calls 2 { a = two(x) else x } b = two(a) else x } return b", least=False, share=0.53, exact=("calls",)),
    Known("a flow with a budget", "a = capped(x) return a", share=0.7),
    Known("a flow whose budget is used up", "a = cut(x) return a", least=False, share=0.33, exact=("calls",)),
    Known("a flow whose budget is ample", "a = ample(x) return a", share=0.7),
    Known("a flow with a default that may do nothing", "a = perhaps(x, ok) return a", {"ok": False}, {"ok": True}, share=0.66),
    Known("a flow with a default that follows at once", "a = failing(x) return a", {}, {"two": "denied"}, share=0.68),
    Known("a default after a failure for nothing", "return kept(x)", {}, {"kept": "denied"}, share=0.7),
    Known("a chain after a failure for nothing", 'a = bad(x) else "nothing" b = one(a) return b', {}, {"bad": "denied"}, least=False, share=0.68),
    Known("a slice of tokens", "within tokens 575 { a = 9 of one(x) else x } return x", {}, {"one": "denied"}, share=0.73, exact=()),
    Known("a slice of money", "within usd 0.00275 { a = 9 of one(x) else x } return x", {}, {"one": "denied"}, share=0.33, exact=()),
    Known("tools that are large", "return diver(x)", least=False, share=0.91),
    Known("tools and long replies", "return loud(x)", least=False, share=0.93),
    Known("a default of none", "a = hush(x) else two(x) return a", {"hush": "none"}, least=False, share=0.69),
    Known("an empty prompt", 'return blank("")', share=1),
    Known("a list that grows surely", "acc = [] loop 3 { b = each y in acc: one(y) if ok { acc += [x] } acc += [x] } return x", {"ok": True}, {"ok": False}, share=1),
    Known("a text after its loop", 't = "" loop 3 { v = one(x) t = t + v } return one(t)', least=False, share=1),
    Known("a list after its loop", "acc = [] loop 3 { v = one(x) acc += [v] } return more(x, notes: acc)", least=False, share=1),
    Known("a list of many rounds", 'acc = [] loop 90 { v = many("!", notes: acc) acc += ["!!"] } return x', least=False, share=0.99),
    Known("a list of many rounds in rounds", 'acc = [] loop 80 { v = many("!", notes: acc) loop 2 { acc += ["!"] } } return x', least=False, share=0.43),
    Known("a longer text than is taken", "acc = [x + x] return more(x, notes: acc)", share=1),
    Known("a name of two branches", 'if ok { t = "!" } else { t = x } return one(t)', {"ok": False}, {"ok": True}, least=False, share=1),
    Known("a list of short and long", 'return more(x, notes: ["!", x])', share=0.77),
    Known("a list in a template", "return more(x, notes: xs)", share=1),
    Known("a list that may be empty in a template", 'return more("", notes: lines(x))', share=0.21),
    Known("a list as JSON", "return quoted(x, notes: xs)", text='"', share=1),
    Known("a record with line ends", "r = noting(x) return noted(r)", text="!\n", least=False, share=0.91),
    Known("a number in a section", "n = numeral(x) return counter(n)", least=False, share=1),
    Known("letters in capitals", "return capitals(x)", text="a", share=0.66),
    Known("names in capitals", "return either(upper(x), false)", share=0.4),
)  # fmt: skip


BY_NAME = {known.name: known for known in PROGRAMS}


@cache
def case_of(name: str) -> Case:
    """Return the program, with a flow `main` of the table's body."""
    known = BY_NAME[name]
    head = "flow main(x: text(30), xs: text(30)[4]+, ok: bool) -> text(300)"
    deep = "Dive deep, and then deeper: there is more to find. " * 40
    return prepared(f"{HEAD.replace('DEEP', deep)}{FLOWS}{head} {{ {known.body} }}", known.native)


@cache
def dearest(name: str) -> Took:
    """Return what the dearest run of a program takes."""
    return dear_run(name, case_of(name))


def dear_run(name: str, case: Case, **options: Any) -> Took:
    """Make the dearest run of a program, under a budget perhaps."""
    known = BY_NAME[name]
    inputs = {**largest_inputs(case, of=known.text), **({"ok": known.dear["ok"]} if "ok" in known.dear else {})}
    model = Adversary(case.compiled, text=known.text, choose=_spoil(known), value=_values(known.dear))
    return play(case, model, inputs, **options)


@cache
def cheapest(name: str) -> Took:
    """Return what the cheapest run of a program takes."""
    known, case = BY_NAME[name], case_of(name)
    inputs = {"x": "", "xs": [""], "ok": known.cheap.get("ok", False)}
    model = Adversary(
        case.compiled, faults=0.0, counts="zero", choose=_spare(known), value=_values({**SMALLEST, **known.cheap})
    )
    return play(case, model, inputs)


SMALLEST: Mapping[str, Any] = {
    **dict.fromkeys(
        ("one", "two", "long", "bad", "late", "kept", "nil", "more", "either", "user", "reader", "shower"), "."
    ),
    "listing": [],
    "judge": "math",
    "review": {"ok": True, "score": 0, "kind": "math", "share": 0.0, "notes": []},
}


def _spoil(known: Known) -> Any:
    """Choose for the agents whose names say what they do; the adversary spoils all attempts but the last by itself."""

    def choose(request: Request) -> Act | None:
        if known.dear.get(request.agent) == "none":
            return "none" if request.attempt else "faulty"
        if request.agent.startswith("bad") or known.dear.get(request.agent) == "fail":
            return None if may_use_tools(request) else "faulty"
        if request.agent == "nil":
            return "none" if request.attempt else "faulty"
        return None

    return choose


def _spare(known: Known) -> Any:
    return lambda request: "denied" if known.cheap.get(request.agent) == "denied" else "value"


def _values(values: Mapping[str, Any]) -> Any:
    """Give an agent its value; of several, one after the other."""
    left = {name: list(value) for name, value in values.items() if isinstance(value, list)}

    def value(request: Request) -> Any:
        if left.get(request.agent):
            return left[request.agent].pop(0)
        return values.get(request.agent)

    return value
