"""Every case file: the diagnostics are those listed by hand, and each stage gives what its section shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.harness.casefile import GENERATED, Case, Outcome

CASES = sorted((Path(__file__).parent / "cases").glob("*/*.md"))


@pytest.mark.parametrize("path", CASES, ids=[f"{path.parent.name}/{path.stem}" for path in CASES])
def test_case(path: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    case = Case(path)
    outcome = Outcome(case, tmp_path)
    assert outcome.diagnostics == case.expected, "these are written by hand: mend EXPECTED, or the compiler"
    if request.config.getoption("--update"):
        path.write_text(case.updated(outcome), encoding="utf-8")
        case = Case(path)
    for name in case.sections.keys() & GENERATED.keys():
        assert case.sections[name].strip("\n") == GENERATED[name](outcome), (
            f"{name}: if this is right, run pytest --update"
        )


def test_there_are_cases_of_every_stage() -> None:
    stages = {path.parent.name for path in CASES}
    assert stages >= {"syntax", "names", "types", "flow", "prompts", "bounds", "lints", "python", "run"}
