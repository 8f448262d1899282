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
        self.uses = random.choice((1, 1, 2, 3, 9))  # so many effects: where one is refused, others may hide why
        self.returns = "text"

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

    def flow(self, name: str, returns: str, *, main: bool = False) -> str:
        self.returns = returns
        text = super().flow(name, returns, main=main)
        if self.chance(15):
            text = text.replace(" {\n", f" budget calls {1 + self.random.randrange(8)} {{\n", 1)
        return text

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
        if choice < self.effects // 3 and self.uses > 0:
            return self.effect(scope)
        if self.chance(12):
            return self.way_out(scope, depth) if self.chance(40) else self.items(scope, depth)
        if choice < 34 and depth < 4 and self.chance(15):
            inner = self.block(scope, size, depth + 1, loops)
            return f"within calls {1 + self.random.randrange(6)} {{\n{inner}{pad}}}\n"
        if choice < 38 and scope.of("Review") and self.chance(30):
            return self.kept(scope)
        return super().statement(scope, outer, size, depth, loops)

    def effect(self, scope: Scope) -> str:
        self.uses -= 1
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

    def way_out(self, scope: Scope, depth: int) -> str:
        pad = "  " * depth
        return f"if {self.expr('bool', scope, 1)} {{\n{pad}  return {self.expr(self.returns, scope, 1)}\n{pad}}}\n"

    def items(self, scope: Scope, depth: int) -> str:
        """Return a list that grows, or an item of one."""
        name, pad = self.fresh(), "  " * depth
        texts = scope.of("texts")
        if texts and self.chance(50):
            chosen = self.pick(*texts)
            at = self.pick(f"{chosen}[{self.expr('int', scope, 1)}]", f"first({chosen})", f"last({chosen})")
            scope.add("text", name)
            return f'{name} = {at} else "none"\n'
        added = self.pick(*texts) if texts and self.chance(40) else f"[{self.expr('text', scope, 1)}]"
        more = f"{name} += {added}\n"
        around = self.pick("", f"if {self.expr('bool', scope, 1)} {{\n", "loop 2 {\n")
        text = f"{name} = [{self.expr('text', scope, 1)}]\n{pad}"
        scope.add("texts", name)
        return text + (f"{around}{pad}  {more}{pad}}}\n" if around else more)

    def kept(self, scope: Scope) -> str:
        name = self.fresh("p")  # like a parameter: loops carry none of its fields
        text = self.expr("text", scope, 0)
        reviews = scope.of("Review")
        about = reviews[self.random.randrange(len(reviews))]
        step = self.pick("ask_text", "web", "look", "surfer", *self.acting("doer"))
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
            if self.chance(20):
                return f"{self.pick('look', *self.acting('doer', 'worker', 'filer'))}({text})"
            return f"each_way({self.pick('ask_text', 'web', 'look', 'surfer', *self.acting('doer'))}, {text})"
        called = super().call(kind, scope)
        if not called.startswith("send("):
            return called
        return called if self.acting("send") else f"ask_int({text})"

    def acting(self, *names: str) -> tuple[str, ...]:
        """Return names of what has an effect, now and then, as long as there may be more."""
        if self.uses <= 0 or not self.chance(50):
            return ()
        self.uses -= 1
        return names

    def expr(self, kind: str, scope: Scope, depth: int) -> str:
        texts = scope.of("texts")
        if depth > 0 and texts and self.chance(15):
            own = self.pick(*texts)
            match kind:
                case "text":
                    return f"join({own}, {self.expr('text', scope, 0)})"
                case "int":
                    return self.pick(f"len({own})", f"count({own}, {self.expr('text', scope, 0)})")
                case "texts":
                    return self.pick(
                        f"reverse({own})",
                        f"slice({own}, 0, {self.pick('1', '2', *scope.of('int'))})",
                        f"{own} + {self.pick(*texts)}",
                    )
        if kind == "bool" and depth > 0 and scope.of("maybe") and self.chance(15):
            return f"{self.pick(*scope.of('maybe'))} == none"
        return super().expr(kind, scope, depth)


def program(random: Random, size: int = 6) -> str:
    """Return the text of a random program with an entry `main(q) -> text`."""
    return TrustGenerator(random, size).program()
