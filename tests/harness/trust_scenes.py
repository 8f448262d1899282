"""Small programs about trust labels, at least one for each rule: whether they interfere is for the oracle to say.

A scene begins with `== flags: name`. It is the body of `main(q: text(40)) -> text(40)`, or whole flows, and stands
behind agents and tools like those of `generate_trust`. With the flag `safe` no world shows a difference, and the
analysis has to accept it; of the others it has to refuse each. With `timed` a difference shows only where steps run at
the same time. The other flags say which policy counts.
"""

from __future__ import annotations

from typing import NamedTuple

from masdsl.config.trust import MODEL, TRUSTED, UNTRUSTED, Secret, Trust
from tests.harness.generate import DEFAULTS, HEADER, LEAVES
from tests.harness.generate_trust import AGENTS, GENERIC, TOOLS

TRUST = Trust(
    sources=dict.fromkeys(("web", "page", "hits", "pick"), UNTRUSTED),
    effects={"log": UNTRUSTED},
    inputs={},
    endorse={("post", "kind"): 3},
    secrets=(),
    unnamed=TRUSTED,
)
POLICIES = {
    "secret": TRUST._replace(secrets=(Secret("s", ("hr",), (), ("smollm2", "send")),)),
    "endings": TRUST._replace(endings=True),
    "strict": TRUST._replace(effects={"log": UNTRUSTED, "send": TRUSTED}),
    "asked": TRUST._replace(inputs={"q": UNTRUSTED}),
    "limited": TRUST._replace(effects={"log": UNTRUSTED, "look": MODEL}),
}


class Scene(NamedTuple):
    """A program, under its name, with its policy."""

    name: str
    text: str
    safe: bool
    trust: Trust
    timed: bool = False


def _declarations() -> str:
    parts = [HEADER]
    for kind, written in LEAVES.items():
        default = f" else {DEFAULTS[kind]}" if kind != "maybe" else ""
        parts.append(f'agent ask_{kind.lower()}(q) -> {written}{default} on fast "Go."\n')
        parts.append(f'agent bare_{kind.lower()}(q) -> {written} on fast "Go."\n')
    parts.append('agent out(q) -> text(40) else "o" on smart "Go."\n')
    parts.append('agent again(q) -> text(40) else "a" retry 1 on fast "Go."\n')
    parts.append(TOOLS)
    parts.append('agent outsurfer(q) -> text(40) else "d" on smart tools [hr] steps 2 "Go."\n')
    for name, tools in AGENTS.items():
        parts.append(f'agent {name}(q) -> text(40) else "d" on fast tools {tools} steps 2 "Go."\n')
    return "".join([*parts, GENERIC])


def scenes() -> list[Scene]:
    """Return all scenes."""
    found = []
    for part in _TEXT.split("\n== ")[1:]:
        head, _, body = part.partition("\n")
        flags, _, name = head.rpartition(":")
        flows = body if "flow main" in body else f"flow main(q: text(40)) -> text(40) {{\n{body}\n}}\n"
        named = [flag for flag in flags.split() if flag not in ("safe", "timed")]
        trust = POLICIES[named[0]] if named else TRUST
        found.append(
            Scene(name.strip(), _declarations() + flows, "safe" in flags.split(), trust, "timed" in flags.split())
        )
    return found


_TEXT = """
== a text from outside
w = web(q) else q
x = send(w)
return q

== one that an agent read
w = web(q) else "w"
s = ask_text(w)
x = send(s)
return q

== one that a tool was given
w = web(q) else "w"
s = look(w)
x = send(s)
return q

== a field of a record
r = page(q)
x = send(text(r.score))
return q

== an item
w = hits(q) else []
i = w[0] else "none"
x = send(i)
return q

== the first item
w = hits(q) else []
i = first(w) else "none"
x = send(i)
return q

== the items of each
w = hits(q) else []
x = each i in w: send(i)
return q

== how many there are for each
w = hits(q) else []
x = each i in w: send("i")
return q

== how many there are, one by one
w = hits(q) else []
for i in w {
  x = send("i")
}
return q

== the items, one by one
w = 2 of surfer(q)
for i in w {
  x = send(i)
}
return q

== those that are chosen
r = page(q)
x = each i in [q, q] where r.ok: send("i")
return q

== safe: other items
x = each i in [q, "b"]: send(i)
w = web(q) else q
return w

== the items of each, of so many
w = 2 of surfer(q)
x = each i in w: send(i)
return q

== the second item of a list
w = surfer(q)
x = send(join([q, w], " "))
return q

== the first item of a list
w = surfer(q)
x = send(join([w, q], " "))
return q

== what is between items
w = surfer(q)
x = send(join([q, "b"], w))
return q

== draws
w = 2 of surfer(q)
x = send(join(w, " "))
return q

== safe: how many draws
w = 2 of surfer(q)
for i in w {
  x = send("i")
}
y = send(text(len(w)))
return q

== the length of a list
w = hits(q) else []
x = send(text(len(w)))
return q

== a list that grew
xs = [q]
w = surfer(q)
xs += [w]
x = send(join(xs, " "))
return q

== a list that may have grown
xs = [q]
r = page(q)
if r.ok {
  xs += ["b"]
}
x = send(text(len(xs)))
return q

== how much of a list
r = page(q)
x = send(join(slice([q, "b", "c"], 0, r.score), " "))
return q

== which item
r = page(q)
i = ["a", "b", "c"][mod(r.score, 3)] else "none"
x = send(i)
return q

== a record that holds it
r = page(q)
s = Review(ok: true, score: 1, kind: Kind.math, notes: r.notes)
x = send(join(s.notes, " "))
return q

== safe: another field of it
r = page(q)
s = Review(ok: true, score: 1, kind: Kind.math, notes: r.notes)
x = send(text(s.score))
return q

== a sum
r = page(q)
x = send(text(1 + r.score))
return q

== a negation
r = page(q)
x = send(text(not r.ok))
return q

== a conjunction
r = page(q)
b = ask_bool(q)
x = send(text(r.ok and b))
return q

== a built-in function
w = surfer(q)
x = send(upper(w))
return q

== two lists in one
w = hits(q) else []
x = send(join([q] + w, " "))
return q

== whether there is something
w = pick(q) else none
x = send(text(w == none))
return q

== a branch
r = page(q)
if r.ok {
  x = send("yes")
}
return q

== the other branch
r = page(q)
if r.ok {
  y = q
} else {
  x = send("no")
}
return q

== a later branch
r = page(q)
b = ask_bool(q)
if r.ok {
  y = q
} else if b or not b {
  x = send("no")
}
return q

== a name of both branches
r = page(q)
if r.ok {
  y = "a"
} else {
  y = "b"
}
x = send(y)
return q

== a name of one branch
r = page(q)
y = "a"
if r.ok {
  y = "b"
}
x = send(y)
return q

== safe: a name of no branch
r = page(q)
y = "a"
if r.ok {
  z = ask_text("b")
}
x = send(y)
return q

== an arm
r = page(q)
match r.kind {
  math {
    x = send("m")
  }
  else {
    y = q
  }
}
return q

== the rest of a match
r = page(q)
match r.kind {
  math {
    y = q
  }
  else {
    x = send("m")
  }
}
return q

== a return before it
r = page(q)
if r.ok {
  return "a"
}
x = send("a")
return q

== safe: a return behind it
r = page(q)
x = send("a")
if r.ok {
  return "a"
}
return q

== until behind it
loop 3 {
  x = send("a")
  r = page(text(x))
  until r.ok
  y = ask_text(q)
}
return q

== until before it
r = page(q)
loop 2 {
  until r.ok
  x = send("a")
}
return q

== a return in a loop
loop 3 {
  x = send("a")
  r = page(text(x))
  if r.ok {
    return q
  }
}
return q

== behind a loop with a return
loop 3 {
  r = page(q)
  if r.ok {
    return q
  }
}
x = send("a")
return q

== safe: behind a loop
r = page(q)
loop 2 {
  until r.ok
  y = ask_text(q)
}
x = send("a")
return q

== rounds that are counted
n = 0
loop 3 {
  n = n + 1
  r = page(q + text(n))
  until r.ok
}
x = send(text(n))
return q

== what a round leaves for the next
y = "a"
loop 2 {
  x = send(y)
  y = surfer(q)
}
return q

== through two names and three rounds
y = "a"
z = "b"
loop 3 {
  x = send(y)
  y = z
  z = surfer(q)
}
return q

== what a name had where a loop was left
y = "a"
b = ask_bool(q)
loop 2 {
  y = surfer(q)
  until b or not b
  within calls 9 {
    y = "c"
  }
}
x = send(y)
return q

== a name that is bound for each item
w = hits(q) else []
y = "a"
for i in w {
  y = "b"
}
x = send(y)
return q

== an option for a failure
flow told(q: text(40)) -> text(40) {
  x = send("a")
  return q
}
flow main(q: text(40)) -> text(40) {
  w = web(q) else told(q)
  return w
}

== an option for none
flow told(q: text(40)) -> text(40) {
  x = send("a")
  return q
}
flow main(q: text(40)) -> text(40) {
  m = pick(q) else none
  w = m else told(q)
  return w
}

== whether it failed
w = web(q) else "none"
x = send(text(w == "none"))
return q

== whether an agent that read it failed
w = surfer(q)
y = bare_int(w) else 0
x = send(text(y == 0))
return q

== which option it was
w = web(q) else "none"
y = "a"
z = bare_kind(w) else Kind.math
x = send(text(z))
return q

== whether a flow failed
flow told(q: text(40)) -> text(40) {
  w = web(q)
  return "some"
}
flow main(q: text(40)) -> text(40) {
  y = told(q) else "none"
  x = send(y)
  return q
}

== safe: a failure that is caught
y = bare_int(q) else 0
w = web(q) else "none"
x = send(text(y))
return w

== safe: a failure that nothing catches
w = web(q)
x = send("a")
return w

== endings: a failure that nothing catches counts
w = web(q)
x = send("a")
return w

== safe endings: a failure that is caught ends nothing
w = web(q) else "w"
x = post(Kind.math)
return w

== timed: a failure that comes late or early
flow told(q: text(40)) -> text(40) {
  y = bare_int(q)
  loop 3 {
    x = post(Kind.math)
    w = web(q) else "w"
  }
  return q
}
flow main(q: text(40)) -> text(40) {
  w = told(q) else "none"
  return w
}

== timed: a failure behind it that comes before it
flow told(q: text(40)) -> text(40) {
  y = ask_text(q)
  x = send(y)
  w = web(q)
  return w
}
flow main(q: text(40)) -> text(40) {
  w = told(q) else "none"
  return w
}

== a failure that ends a flow that is caught
flow told(q: text(40)) -> text(40) {
  w = web(q)
  x = send("a")
  return w
}
flow main(q: text(40)) -> text(40) {
  w = told(q) else "none"
  return w
}

== a failure that ends a flow with a default
flow told(q: text(40)) -> text(40) else "none" {
  w = web(q)
  x = send("a")
  return w
}
flow main(q: text(40)) -> text(40) {
  return told(q)
}

== a failure two flows deep
flow sub(q: text(40)) -> text(40) {
  w = web(q)
  return "x"
}
flow told(q: text(40)) -> text(40) {
  w = sub(q)
  x = send("a")
  return w
}
flow main(q: text(40)) -> text(40) {
  w = told(q) else "none"
  return w
}

== a failure beside a flow that sends
flow sent(q: text(40)) -> text(40) {
  x = send("a")
  return q
}
flow told(q: text(40)) -> text(40) {
  w = web(q)
  return sent(q)
}
flow main(q: text(40)) -> text(40) {
  w = told(q) else "none"
  return w
}

== the default of a flow
flow told(q: text(40)) -> text(40) else "none" {
  w = web(q)
  return "some"
}
flow main(q: text(40)) -> text(40) {
  w = told(q)
  x = send(w)
  return q
}

== what a flow returns
flow told(q: text(40)) -> text(40) {
  return surfer(q)
}
flow main(q: text(40)) -> text(40) {
  w = told(q)
  x = send(w)
  return q
}

== where a flow returns
flow told(q: text(40)) -> text(40) {
  r = page(q)
  if r.ok {
    return "a"
  }
  return "b"
}
flow main(q: text(40)) -> text(40) {
  w = told(q)
  x = send(w)
  return q
}

== what a flow is given
flow told(q: text(40)) -> text(40) {
  x = send(q)
  return q
}
flow main(q: text(40)) -> text(40) {
  w = surfer(q)
  v = told(w)
  return q
}

== whether a flow is called
flow told(q: text(40)) -> text(40) {
  x = send(q)
  return q
}
flow main(q: text(40)) -> text(40) {
  r = page(q)
  if r.ok {
    v = told(q)
  }
  return q
}

== a flow that sends, for two
flow told(q: text(40)) -> text(40) {
  x = send(q)
  return q
}
flow main(q: text(40)) -> text(40) {
  v = told(q)
  r = surfer(q)
  w = told(r)
  return w
}

== a flow that sends, whose failure is caught once
flow told(q: text(40)) -> text(40) {
  w = web(q)
  x = send("a")
  return w
}
flow main(q: text(40)) -> text(40) {
  w = told("b")
  v = told(q) else "none"
  y = send("c")
  return w
}

== a record that is given
flow told(r: Review) -> text(40) {
  x = send(join(r.notes, " "))
  return "a"
}
flow main(q: text(40)) -> text(40) {
  r = page(q)
  s = Review(ok: true, score: 1, kind: Kind.math, notes: r.notes)
  return told(s)
}

== safe: a flow for two
flow told(q: text(40)) -> text(40) {
  return upper(q)
}
flow main(q: text(40)) -> text(40) {
  v = told(q)
  r = surfer(q)
  w = told(r)
  x = send(v)
  return w
}

== safe: one field of what a flow returns
flow told(q: text(40)) -> (said: text(40), asked: text(40)) {
  w = surfer(q)
  return (said: w, asked: q)
}
flow main(q: text(40)) -> text(40) {
  v = told(q)
  x = send(v.asked)
  return v.said
}

== the other field of what a flow returns
flow told(q: text(40)) -> (said: text(40), asked: text(40)) {
  w = surfer(q)
  return (said: w, asked: q)
}
flow main(q: text(40)) -> text(40) {
  v = told(q)
  x = send(v.said)
  return v.said
}

== an agent that is passed
w = each_way(surfer, q)
x = send(w)
return q

== safe: another agent that is passed
w = each_way(ask_text, q)
x = send(w)
return q

== a tool that is passed
w = each_way(look, q)
v = each_way(web, q)
x = send(v)
return q

== an agent with a tool that sends
w = surfer(q)
v = doer(w)
return q

== safe: an agent with a tool that sends, on its own
v = doer(q)
return q

== an agent with a tool from outside and one that sends
v = worker(q)
return q

== whether an agent with a tool that sends is asked
r = page(q)
if r.ok {
  v = doer(q)
}
return q

== safe: a choice among few
r = page(q)
x = post(r.kind)
return q

== a choice among few beside a text
r = page(q)
x = post(r.kind, text(r.score))
return q

== whether one chooses among few
r = page(q)
if r.ok {
  x = post(r.kind)
}
return q

== safe: a tool that may have it
w = surfer(q)
x = log(w)
return q

== limited: a tool without effect that may not have it
w = surfer(q)
x = look(w)
return q

== strict: what a model wrote
w = ask_text(q)
x = send(w)
return q

== strict: whether a model says so
b = ask_bool(q)
if b {
  x = send("a")
}
return q

== safe strict: what nobody wrote
x = send(q + "!")
return q

== strict: an agent may not send at all
w = doer(q)
return q

== asked: the question is not trusted
x = send(q)
return q

== safe asked: the question is not sent
x = send("a")
return q

== what is left of a slice of the budget
within calls 3 {
  w = surfer(q)
  v = again(w)
  y = ask_text(q)
}
x = send(y)
return q

== what a flow takes of a slice of the budget
flow told(q: text(40)) -> text(40) {
  w = surfer(q)
  return again(w)
}
flow main(q: text(40)) -> text(40) {
  within calls 3 {
    v = told(q)
    y = ask_text(q)
  }
  x = send(y)
  return q
}

== a step of a flow in a slice of the budget
flow told(q: text(40)) -> text(40) {
  return ask_text(q)
}
flow main(q: text(40)) -> text(40) {
  within calls 3 {
    w = surfer(q)
    v = again(w)
    y = told(q)
  }
  x = send(y)
  return q
}

== what is left of a flow's budget
flow told(q: text(40)) -> text(40) budget calls 3 {
  w = surfer(q)
  v = again(w)
  return ask_text(q)
}
flow main(q: text(40)) -> text(40) {
  y = told(q)
  x = send(y)
  return q
}

== what is left of the budget
budget calls 3
flow main(q: text(40)) -> text(40) {
  w = surfer(q)
  v = again(w)
  y = ask_text(q)
  x = send(y)
  return q
}

== safe: a budget that is enough
budget calls 6
flow main(q: text(40)) -> text(40) {
  w = surfer(q)
  v = again(w)
  y = ask_text(q)
  x = send(y)
  return q
}

== whether the budget has room
budget calls 3
flow told(q: text(40)) -> text(40) {
  y = bare_text(q)
  x = send("a")
  return y
}
flow main(q: text(40)) -> text(40) {
  w = surfer(q)
  v = again(w)
  return told(q) else "none"
}

== safe: a slice without it
w = surfer(q)
within calls 2 {
  v = again(q)
  y = ask_text(q)
}
x = send(y)
return q

== secret: to another model
n = hr(q)
w = out(text(n))
return w

== safe secret: to a model that may read it
n = hr(q)
w = ask_text(text(n))
x = send(w)
return w

== secret: whether another model is asked
n = hr(q)
if n > 0 {
  w = out(q)
}
return q

== secret: to a tool that may not read it
n = hr(q)
w = look(text(n))
return q

== secret: what a model made of it, to a tool
n = hr(q)
w = ask_text(text(n))
y = log(w)
return q

== secret: a model whose tool tells it
w = outsurfer(q)
return w

== secret: an agent whose tools tell each other
w = filer(q)
return w
"""
