"""Imports from files: what is found, what is refused, and that no path leads out of the program's folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from masdsl import pipeline
from masdsl.config import DEFAULT
from masdsl.diagnostics.base import Findings
from masdsl.diagnostics.render import render_short

MAIN = "mas 1\nuse {name}: twice\nflow main(x) -> text {{ y = twice(x) return y }}\n"
TWICE = "mas 1\nflow twice(x) -> text { return x + x }\n"


def check(folder: Path, name: str) -> str:
    path = folder / "main.mas"
    path.write_text(MAIN.format(name=name))
    findings = Findings()
    pipeline.check_file(str(path), findings, DEFAULT)
    return render_short(findings.sorted())


def test_a_file_beside_the_program(tmp_path: Path) -> None:
    (tmp_path / "helpers.mas").write_text(TWICE)
    assert check(tmp_path, "helpers") == ""


def test_a_file_in_a_folder_below(tmp_path: Path) -> None:
    (tmp_path / "lib" / "deep").mkdir(parents=True)
    (tmp_path / "lib" / "deep" / "helpers.mas").write_text(TWICE)
    assert check(tmp_path, "lib.deep.helpers") == ""


def test_a_link_within_the_folder(tmp_path: Path) -> None:
    (tmp_path / "real.mas").write_text(TWICE)
    (tmp_path / "helpers.mas").symlink_to(tmp_path / "real.mas")
    assert check(tmp_path, "helpers") == ""


@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_link_out_of_the_folder_is_refused_and_not_read(tmp_path: Path, what: str) -> None:
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    outside.mkdir()
    inside.mkdir()
    (outside / "helpers.mas").write_text("secret words\n")
    if what == "file":
        (inside / "lib").mkdir()
        (inside / "lib" / "helpers.mas").symlink_to(outside / "helpers.mas")
    else:
        (inside / "lib").symlink_to(outside)
    report = check(inside, "lib.helpers")
    assert "MAS110" in report and "link out of the folder" in report
    assert "secret" not in report


def test_modules_that_import_one_another(tmp_path: Path) -> None:
    (tmp_path / "helpers.mas").write_text("mas 1\nuse main: main\nflow twice(x) -> text { return x + x }\n")
    assert "MAS111" in check(tmp_path, "helpers")


def test_imports_inside_imports_have_a_limit(tmp_path: Path) -> None:
    for level in range(9):
        following = f"use level{level + 1}: twice\n" if level < 8 else ""
        own = "" if level < 8 else "flow twice(x) -> text { return x + x }\n"
        (tmp_path / f"level{level}.mas").write_text(f"mas 1\n{following}{own}")
    report = check(tmp_path, "level0")
    assert "MAS110" in report and "deeper than" in report


def test_a_fault_of_a_module_is_told_in_its_file(tmp_path: Path) -> None:
    (tmp_path / "helpers.mas").write_text("mas 1\nflow twice(x) -> text { return z + x }\n")
    report = check(tmp_path, "helpers")
    assert "helpers.mas:2:32: MAS101" in report


def test_a_name_that_a_module_lacks_is_told_with_those_that_it_offers(tmp_path: Path) -> None:
    (tmp_path / "helpers.mas").write_text(
        "mas 1\nflow _inner(x) -> text { return x + x + x }\nflow sum_of_three(x) -> text { return _inner(x) }\n"
    )
    report = check(tmp_path, "helpers")
    assert "MAS112" in report and "it declares `sum_of_three`" in report and "_inner" not in report
