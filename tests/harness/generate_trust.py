"""Random programs with tools from outside, tools that change the world, secrets, and agents that use tools.

They are those of `generate`, with other tools, agents with tools, flows that take agents, and budgets that may run out.
"""

from __future__ import annotations

from random import Random

from tests.harness.generate import DEFAULTS, HEADER, LEAVES, LIBRARY, Generator, Scope

TOOLS = """tool web(q) -> text(40) from "web"
tool page(q) -> Review else Review(ok: false, score: 0, kind: Kind.other, notes: []) from "page"
tool hits(q) -> text(20)[4] from "hits"
tool look(q) -> text(40) else "no" from "look"
tool hr(q) -> int else 0 from "hr"
tool pick(q) -> text(40)? from "pick"
tool send(q) -> int from "send" effect
tool post(kind: Kind, q = "") -> bool else false from "post" effect
tool log(q) -> bool else false from "log" effect
"""
AGENTS = {
    "surfer": "[web]",
    "finder": "[look, hits]",
    "doer": "[look, send]",
    "worker": "[look, page, post]",
    "filer": "[log, hr]",
}
"""Agents with tools: `agent surfer(q) -> text(40) tools [web]`."""
GENERIC = """flow each_way(step: agent(text) -> text(40), q: text(40)) -> text(40) {
  one = step(q) else "none"
  return one
}
flow keep(step: agent(text) -> text(40), q: text(40), r: Review) -> (said: text(40), about: Review, more: text(20)[2]) {
  said = step(q)
  return (said: said, about: r, more: [q, upper(q)])
}
"""


class TrustGenerator(Generator):
    """Writes one program. Its names lean to those that are not from outside, so that many programs may run."""

    def __init__(self, random: Random, size: int = 6) -> None:
        super().__init__(random, size)
        self.outside = random.randrange(5, 30)  # percent of the calls for a text that come from outside
        self.effects = random.randrange(20, 70)

    def program(self) -> str:
        parts = [HEADER, LIBRARY]
        if self.chance(25):
            parts.append(f"budget calls {2 + self.random.randrange(12)}\n")
        for kind, written in LEAVES.items():
            default = f" else {DEFAULTS[kind]}" if self.chance(40) and kind != "maybe" else ""
            retry = " retry 1" if self.chance(30) else ""
            tier = self.pick("fast", "smart")
            parts.append(f'agent ask_{kind.lower()}(q) -> {written}{default}{retry} on {tier} "Go."\n')
        parts.append(TOOLS)
        for name, tools in AGENTS.items():
            default = ' else "d"' if self.chance(40) else ""
            parts.append(
                f'agent {name}(q) -> text(40){default} on {self.pick("fast", "smart")} tools {tools} steps 2 "Go."\n'
            )
        parts.append(GENERIC)
        for _ in range(self.random.randrange(3)):
            parts.append(self.flow(self.fresh("flow_"), self.pick("text", "int", "texts", "bool", "Review")))
        parts.append(self.flow("main", "text", main=True))
        return "".join(parts)

    def block(self, scope: Scope, size: int, depth: int, loops: int = 0) -> str:
        first = ""
        if depth == 1:  # conditions should depend on something
            for kind in ("bool", "Kind", "Review", "text"):
                if self.chance(50):
                    name = self.fresh()
                    first += f"  {name} = {self.call(kind, scope)}{self.otherwise(kind, scope)}\n"
                    scope.add(kind, name)
        return first + super().block(scope, size, depth, loops)

    def statement(self, scope: Scope, outer: dict[str, list[str]], size: int, depth: int, loops: int) -> str:
        choice = self.random.randrange(100)
        pad = "  " * depth
        if choice < self.effects // 3:
            return self.effect(scope)
        if choice < 34 and depth < 4 and self.chance(15):
            inner = self.block(scope, size, depth + 1, loops)
            return f"within calls {1 + self.random.randrange(6)} {{\n{inner}{pad}}}\n"
        if choice < 38 and scope.of("Review") and self.chance(30):
            return self.kept(scope)
        return super().statement(scope, outer, size, depth, loops)

    def effect(self, scope: Scope) -> str:
        name = self.fresh()
        kind = "int"
        text = self.expr("text", scope, 1)
        match self.random.randrange(8):
            case 0 | 1 | 2:
                call = f"send({text})"
            case 3:
                kind, call = "bool", f"post({self.expr('Kind', scope, 1)}, {text})"
            case 4:
                kind, call = "bool", f"post({self.expr('Kind', scope, 2)})"
            case 5:
                kind, call = "bool", f"log({text})"
            case 6:
                items = self.expr("texts", scope, 1)
                where = f" where {self.expr('bool', scope, 1)}" if self.chance(30) else ""
                item = self.fresh("i")
                return f"{name} = each {item} in {items}{where}: send({self.pick(item, text)})\n"
            case _:
                return f"{name} = {2 + self.random.randrange(2)} of send({text})\n"
        scope.add(kind, name)
        return f"{name} = {call}\n"

    def kept(self, scope: Scope) -> str:
        name = self.fresh("p")  # like a parameter: loops carry none of its fields
        text = self.expr("text", scope, 0)
        reviews = scope.of("Review")
        about = reviews[self.random.randrange(len(reviews))]
        step = self.pick("ask_text", "web", "look", "surfer", "doer")
        scope.add("text", f"{name}.said")
        scope.add("Review", f"{name}.about")
        scope.add("texts", f"{name}.more")
        return f"{name} = keep({step}, {text}, {about})\n"

    def call(self, kind: str, scope: Scope) -> str:
        text = self.expr("text", scope, 1)
        if self.chance(self.outside):
            match kind:
                case "text":
                    return f"{self.pick('web', 'surfer', 'finder')}({text})"
                case "Review":
                    return f"page({text})"
                case "texts":
                    return f"hits({text})"
                case "maybe":
                    return f"pick({text})"
                case "int":
                    return f"hr({text})"
        if kind == "text" and self.chance(20):
            step = self.pick("ask_text", "web", "look", "surfer", "doer", "pick_text")
            if step == "pick_text":
                return f"{self.pick('doer', 'worker', 'filer', 'look')}({text})"
            return f"each_way({step}, {text})"
        return super().call(kind, scope)


def program(random: Random, size: int = 6) -> str:
    """Return the text of a random program with an entry `main(q) -> text`."""
    return TrustGenerator(random, size).program()
