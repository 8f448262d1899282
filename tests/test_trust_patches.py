"""Trust labels and patches of a run: the policy holds for what a patch makes of a program, and for what is kept."""

from __future__ import annotations

import pytest

from masdsl.config import DEFAULT, Config
from masdsl.config.trust import TRUSTED, UNTRUSTED, Secret, Trust
from masdsl.diagnostics.base import Findings
from masdsl.journal.base import Row, RunHeader
from masdsl.rectify.base import Proposal
from masdsl.rectify.checks import Ground, Standing, Verdict, flow_named, judge
from masdsl.rectify.remaining import Rates, Version
from masdsl.rectify.stored import StoredFaulty, stored
from masdsl.source import Source
from tests.harness.programs import granted

PROGRAM = """mas 1
rectify tries 3
tool pay(q: text(20)) -> text(20) from "hr.pay"
tool find(q: text(20)) -> text(20) from "web.find"
tool send(body: text(20)) -> bool else false from "mail.send" effect
tool note(body: text(20)) -> bool else false from "log.note" effect
agent inside(q: text(20)) -> text(20) on fast "Sum up {{ q }}"
agent outside(q: text(20)) -> text(20) on smart "Sum up {{ q }}"
agent clerk(q: text(20)) -> text(20) on fast tools [pay] "Look up {{ q }}"
flow told(q: text(20)) -> text(20) {
  found = pay(q)
  return inside(found)
}
flow asked(q: text(20)) -> text(20) {
  found = find(q)
  return inside(found)
}
flow main(q: text(20)) -> text(20) {
  x = pay(q)
  y = inside(x)
  c = clerk(q)
  t = told(q)
  w = outside(q)
  sent = send(q)
  noted = note(q)
  return y + c + t + w
}
"""
TRUST = Trust(
    sources=dict.fromkeys(("hr.pay", "web.find", "mail.send", "log.note"), TRUSTED),
    effects={"log.note": UNTRUSTED},
    inputs={},
    endorse={},
    secrets=(Secret("pay", ("hr.pay",), (), ("smollm2",)),),
)
CONFIG = DEFAULT._replace(
    tools=granted("hr.pay", "web.find", "mail.send", "log.note"), tiers={**DEFAULT.tiers, "smart": "openai/o"}
)


def ground(trust: Trust | None = TRUST) -> Ground:
    """Return what patches are judged by under a policy."""
    config: Config = CONFIG._replace(trust=trust)
    return Ground(config, None, False, lambda program: Rates({}, {}), ())


def standing(policy: str = "frozen") -> Standing:
    """Return where a run of the program stands; the policy of trust does not count yet."""
    source = Source("<input>", PROGRAM)
    program = ground(None).check(source, Findings())
    assert program is not None
    entry = flow_named(program, "main")
    assert entry is not None
    return Standing(source, Version(program, entry.key, Rates({}, {})), (), (), {}, policy == "strict")


def verdict(patch: str, stands: Standing, *, trusted: bool = False, trust: Trust | None = TRUST) -> Verdict:
    return judge(ground(trust), stands, Proposal(f"patch 1\n{patch}\n", ""), trusted=trusted)


def codes(judged: Verdict) -> list[str]:
    assert judged.accepted == (not judged.findings)
    return [finding.diagnostic.code for finding in judged.findings]


def after(judged: Verdict, stands: Standing) -> Standing:
    """Return where the run stands once a patch is in force."""
    assert judged.accepted and judged.source is not None and judged.version is not None
    return stands._replace(source=judged.source, now=judged.version, earlier=(*stands.earlier, stands.now))


@pytest.mark.parametrize(
    ("patch", "expected"),
    [
        ('replace main.sent = send("evil")', ["MAS922"]),
        ('replace main.noted = note("evil")', []),  # the host lets untrusted text decide what this tool does
        ("replace main.w = outside(x)", ["MAS807"]),  # the program that comes of it is refused as it is
        ("bind inside = smart", ["MAS554"] * 2),
        ("replace main.w = outside(t)", ["MAS807"]),
        ("replace main.x = find(q)", []),
        # where it stands, the run may have a value that tells the secret already
        ("replace main.x = find(q)\nreplace main.w = outside(x)", ["MAS554"]),
        ("rename main.x = z\nreplace main.z = find(q)\nreplace main.w = outside(z)", ["MAS554"]),
        ("set clerk.tools = [find]\nreplace main.w = outside(c)", ["MAS554"]),
        ("replace main.t = asked(q)\nreplace main.w = outside(t)", ["MAS554"]),
        ("replace main.x = find(q)\nreplace main.w = outside(q + q)", []),
    ],
)
def test_a_patch_is_held_to_the_policy(patch: str, expected: list[str]) -> None:
    assert codes(verdict(patch, standing())) == expected


def test_a_tool_without_effect_may_have_a_limit_as_well() -> None:
    limited = TRUST._replace(effects={"web.find": "model"})
    patch = 'before main.w { more = find("evil") }'
    assert codes(verdict(patch, standing(), trust=limited)) == ["MAS922"]
    assert codes(verdict(patch, standing())) == []
    assert codes(verdict(patch, standing(), trusted=True, trust=limited)) == []


def test_where_changed_steps_are_done_again_nothing_is_kept() -> None:
    patch = "replace main.x = find(q)\nreplace main.w = outside(x)"
    assert codes(verdict(patch, standing("strict"))) == []


def test_what_is_kept_is_remembered_through_several_patches() -> None:
    first = verdict("rename main.x = z\nreplace main.z = find(q)", standing())
    stands = after(first, standing())
    assert codes(verdict("replace main.w = outside(z)", stands)) == ["MAS554"]
    second = verdict("rename main.z = zz", stands)
    assert codes(verdict("replace main.w = outside(zz)", after(second, stands))) == ["MAS554"]
    assert codes(verdict("replace main.w = outside(q + q)", stands)) == []


@pytest.mark.parametrize("trust", [TRUST, TRUST._replace(secrets=())])
def test_a_run_that_is_resumed_remembers_it_too(trust: Trust) -> None:
    texts = ("rename main.x = z\nreplace main.z = find(q)", "replace main.w = outside(z)")
    stands = standing()
    rows: list[Row] = []
    for text in texts:
        judged = verdict(text, stands, trust=None)
        body = {"patch": f"patch 1\n{text}\n", "base": judged.base, "new": judged.new, "aliases": {}}
        if "rename" in text:
            body["aliases"] = {"main.z": "main.x"}
        rows.append(Row(len(rows) + 1, "patch", "", (), 0, b"", b"", body, 0.0))
        stands = after(judged, stands)
    header = RunHeader("id", "<input>", {"<input>": PROGRAM}, "main", {}, 0, "frozen", 0.0, "0")
    assert stored(header, rows[:1], ground(trust)).versions[-1].kept.get(("main", "main.z")) == (
        frozenset(("secret:pay",)) if trust.secrets else None
    )
    if not trust.secrets:
        assert len(stored(header, rows, ground(trust)).versions) == 3
        return
    with pytest.raises(StoredFaulty, match="the secret `pay` reaches"):
        stored(header, rows, ground(trust))
    assert len(stored(header._replace(policy="strict"), rows, ground(trust)).versions) == 3
