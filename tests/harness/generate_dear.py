"""Random well-typed programs about cost: what makes runs dear, and what bounds must see through.

`program(random)` is like that of `tests/harness/generate.py`, with more of everything that is paid for: prompts with
loops and conditions, roles, retries, timeouts, tiers, agents that use tools, effects, lists and texts that grow in
loops, flows that are called with constants or for a static argument, and budgets of the program, of flows and of
slices in all measures, most of which some run uses up.
"""

from __future__ import annotations

from random import Random

from tests.harness.generate import DEFAULTS, HEADER, LEAVES, Generator, Scope

PARAMS: tuple[tuple[str, str, str], ...] = (
    ("notes: text(20)[6] = []", "notes", "texts"),
    ("notes: text(20)[6] = []", "notes", "texts"),
    ("n: int = 3", "n", "int"),
    ("share: float = 0.5", "share", "float"),
    ("kind: Kind = Kind.code", "kind", "Kind"),
    ("review: Review?", "review", "Review"),
    ("seen: bool = false", "seen", "bool"),
)
"""What agents may take besides `q`: as it is declared, its name, its type in the generator."""

SHOWN: dict[str, tuple[str, ...]] = {
    "q": ("{{ q }}", "{{ q|upper }}", "{{ q|trim|lower }}", "{% if q == 'x' %}X{% else %}{{ q }}{{ q }}{% endif %}"),
    "notes": (
        "{% for note in notes %}{{ loop.index }}. {{ note }}\n{% else %}Nothing yet, be the first.{% endfor %}",
        "{{ notes|join(', ') }} ({{ notes|length }})",
        "{{ notes }}",
        "{% for a in notes %}{% for b in notes %}{{ a }}/{{ b }} {% endfor %}{% endfor %}",
        "{{ notes|last|default('-') }}",
    ),
    "n": ("{{ n }}", "{% if n > 2 %}{{ n }} of them, no fewer{% elif n == 0 %}none{% endif %}"),
    "share": ("{{ share }}",),
    "kind": ("{{ kind }}", "{% if kind == 'math' %}Calculate.{% else %}Think of {{ kind|upper }}.{% endif %}"),
    "review": (
        "{% if review is not none %}{{ review.notes|join }}{{ review.score }}{{ review.kind }}{% endif %}",
        "{{ review }}",
    ),
    "seen": ("{% if seen %}Again: {% endif %}", "{{ seen }}"),
}
"""Ways in which a template shows a parameter."""

TOOLS = """tool look(q) -> text(40) else "no" from "look" timeout 4
tool search(q: text(30), n: int = 2) -> text(25)[5] from "search"
tool fetch(review: Review) -> Review? from "fetch" timeout 9
tool send(q) -> int from "send" effect
"""

FIXED = """flow drawn[n = 2](x) -> text(40)[n]+ { drafts = n of ask_text(x) return drafts }
flow asked(solve: agent(text) -> text(40), x) -> text(40) { a = solve(x) b = solve(a) return b }
flow filled[n = 3](x: text(30)) -> text(20)[n] { acc = [] loop n { v = ask_text(x, notes: acc) acc += [v] } return acc }
"""


class DearGenerator(Generator):
    """Writes one program."""

    def __init__(self, random: Random, size: int = 8) -> None:
        super().__init__(random, size)
        self.more: dict[str, list[tuple[str, str]]] = {}

    def library(self, kind: str, scope: Scope, depth: int) -> list[str]:
        """Return nothing: what functions give is held against their declarations elsewhere."""
        return []

    def program(self) -> str:
        """Return the text of a program whose entry is `main(q, xs, ok) -> text`."""
        parts = [HEADER]
        if self.chance(30):
            parts.append(f"{self.budget()}\n")
        parts.append(TOOLS)
        parts += [self.agent(kind) for kind in LEAVES]
        parts.append('agent plain(q) -> text(40) retry 1 on smart "Just {{ q }}"\n')
        parts.append(FIXED)
        for _ in range(self.random.randrange(3)):
            parts.append(self.flow(self.fresh("flow_"), self.pick("text", "int", "texts", "bool", "Review")))
        parts.append(self.flow("main", "text", main=True))
        return "".join(parts)

    def agent(self, kind: str) -> str:
        chosen = {name: (declared, inner) for declared, name, inner in PARAMS if self.chance(35)}
        if kind == "text":
            chosen["notes"] = ("notes: text(20)[6] = []", "texts")
        self.more[kind] = [(name, inner) for name, (_, inner) in chosen.items()]
        params = ", ".join(["q", *(declared for declared, _ in chosen.values())])
        default = f" else {DEFAULTS[kind]}" if self.chance(30) and kind != "maybe" else ""
        clauses = [
            f" on {self.pick('fast', 'smart', 'odd', 'local')}" if self.chance(60) else "",
            ' role "You are \\"terse\\", and écrivez bien."' if self.chance(30) else "",
            f" max {self.pick('1', '40', '200')}" if self.chance(30) else "",
            f" retry {self.pick('1', '2')}" if self.chance(50) else "",
            f" timeout {self.pick('2', '7.5', '30')}" if self.chance(40) else "",
        ]
        if self.chance(30):
            tools = self.pick("look", "look, search", "search, fetch", "send", "look, search, fetch, send")
            clauses.append(f" tools [{tools}] steps {1 + self.random.randrange(3)}")
        shown = [text for name, text in self.shown(["q", *chosen])]
        prompt = self.pick("", "Go. ", "  Now\n\n").join(["", *shown]) if shown else self.pick("Go.", "", "1")
        written = prompt.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        name = f"ask_{kind.lower()}"
        return f'agent {name}({params}) -> {LEAVES[kind]}{default}{"".join(clauses)} "{written}"\n'

    def shown(self, names: list[str]) -> list[tuple[str, str]]:
        """Return how the prompt shows each parameter that it mentions, some of them twice."""
        found = [(name, self.pick(*SHOWN[name])) for name in names if self.chance(65)]
        return found + [(name, self.pick(*SHOWN[name])) for name, _ in found if self.chance(15)]

    def budget(self) -> str:
        """Return limits that some run reaches."""
        limits = [
            f"calls {self.pick('1', '3', '8', '20', '100')}",
            f"tokens {self.pick('300', '2k', '9k', '40k', '300k')}",
            f"usd {self.pick('0.0001', '0.003', '0.02', '0.4')}",
            f"seconds {self.pick('0.5', '10', '90', '700')}",
        ]
        chosen = [limit for limit in limits if self.chance(35)] or [self.pick(*limits)]
        return f"budget {' '.join(chosen)}"

    def flow(self, name: str, returns: str, *, main: bool = False) -> str:
        text = super().flow(name, returns, main=main)
        if self.chance(30):
            head, brace, body = text.partition(" {\n")
            text = f"{head} {self.budget()}{brace}{body}"
        return text

    # ------------------------------------------------------------ statements

    def statement(self, scope: Scope, outer: dict[str, list[str]], size: int, depth: int, loops: int) -> str:
        choice = self.random.randrange(100)
        pad = "  " * depth
        if choice < 8 and depth < 4:
            return self.growing_list(scope, size, depth, loops)
        if choice < 14 and depth < 4:
            return self.growing_text(scope, depth)
        if choice < 20 and depth < 4:
            inner = self.block(scope, size, depth + 1, loops)
            return f"{self.budget().replace('budget', 'within')} {{\n{inner}{pad}}}\n"
        if choice < 26:
            name = self.fresh()
            scope.add("text", name)
            return f"{name} = {self.pick('plain', 'ask_text')}({self.literal('text')})\n"
        if choice < 32:
            name = self.fresh()
            x = self.expr("text", scope, 1)
            made = self.pick(
                f"drawn({x}, n: {1 + self.random.randrange(4)})", f"drawn({x})", f"filled({x})", f"filled({x}, n: 5)"
            )
            scope.add("texts", name)
            return f"{name} = {made}\n"
        if choice < 35:
            name = self.fresh()
            line = f"{name} = asked(plain, {self.expr('text', scope, 1)})\n"
            scope.add("text", name)
            return line
        return super().statement(scope, outer, size, depth, loops)

    def growing_list(self, scope: Scope, size: int, depth: int, loops: int) -> str:
        pad, inner_pad = "  " * depth, "  " * (depth + 1)
        name = self.fresh("acc")
        start = self.pick("[]", f"[{self.literal('text')}]", f"[{self.literal('text')}, {self.literal('text')}]")
        inner = scope.copy()
        inner.add("texts", name)
        step = self.fresh()
        lines = [f"{step} = ask_text({self.expr('text', inner, 1)}, notes: {name})\n"]
        inner.add("text", step)
        if self.chance(40):
            lines.append(f"if {self.expr('bool', inner, 2)} {{ {name} += [{self.expr('text', inner, 1)}] }}\n")
        if self.chance(30):
            lines.append(f"until {self.expr('bool', inner, 2)}\n")
        lines.append(f"{name} += [{', '.join([step] * (1 + self.random.randrange(2)))}]\n")
        body = "".join(inner_pad + line for line in lines)
        head = (
            f"loop {2 + self.random.randrange(4)}"
            if self.chance(70)
            else f"for {self.fresh('i')} in {self.expr('texts', scope, 1)}"
        )
        scope.add("texts", name)
        return f"{name} = {start}\n{pad}{head} {{\n{body}{pad}}}\n"

    def growing_text(self, scope: Scope, depth: int) -> str:
        pad, inner_pad = "  " * depth, "  " * (depth + 1)
        name, step = self.fresh("sum"), self.fresh()
        add = self.pick(f"{name} + {step}", f'{name} + "\\n" + {step}', f"{step} + {name}")
        body = f"{inner_pad}{step} = {self.call('text', self.with_name(scope, name))}\n{inner_pad}{name} = {add}\n"
        scope.add("text", name)
        return f"{name} = {self.literal('text')}\n{pad}loop {2 + self.random.randrange(4)} {{\n{body}{pad}}}\n"

    def with_name(self, scope: Scope, name: str) -> Scope:
        inner = scope.copy()
        inner.names["text"] = [name] * 3 + inner.of("text")
        return inner

    def call(self, kind: str, scope: Scope) -> str:
        text = super().call(kind, scope)
        if text.startswith(f"ask_{kind.lower()}("):
            passed = [f", {name}: {self.expr(inner, scope, 1)}" for name, inner in self.more[kind] if self.chance(50)]
            text = f"{text[:-1]}{''.join(passed)})"
        return text


def program(random: Random, size: int = 8) -> str:
    """Return the text of a random well-typed program with an entry `main(q) -> text`."""
    return DearGenerator(random, size).program()
