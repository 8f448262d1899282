"""The command `mas` as people use it: what it prints where, and its exit codes."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from masdsl import __version__
from masdsl.cli import COMMANDS, main

ROOT = Path(__file__).resolve().parent.parent

GOOD = """mas 1

agent writer(topic) -> text
  "Write about the topic."

flow main(topic) -> text {
  draft = writer(topic)
  return draft
}
"""
BAD = GOOD.replace("return draft", "return drafts")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "mas.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def mas(capsys: pytest.CaptureFixture[str]):  # type: ignore[no-untyped-def]
    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(arguments)
        out, err = capsys.readouterr()
        return code, out, err

    return run


def put(folder: Path, **programs: str) -> None:
    for name, text in programs.items():
        path = folder / f"{name.replace('__', '/')}.mas"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


# ---------------------------------------------------------------- mas


def test_without_a_command_it_lists_them(mas) -> None:  # type: ignore[no-untyped-def]
    code, out, _ = mas()
    assert code == 0 and all(f"\n  {command} " in out for command in COMMANDS)
    assert mas("--help") == (0, out, "") and mas("help") == (0, out, "")


def test_version(mas) -> None:  # type: ignore[no-untyped-def]
    assert mas("--version") == (0, f"masdsl {__version__}\n", "")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project.get("version", __version__) == __version__


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["chek"], "mas: there is no command `chek`; did you mean `mas check`?\n"),
        (["--verbos"], "mas: there is no option `--verbos`; `mas --help` lists all\n"),
        (["\x1b[31m"], "mas: there is no command `\\u{1b}[31m`; `mas --help` lists all\n"),
    ],
)
def test_a_wrong_command_is_explained(mas, arguments: list[str], message: str) -> None:  # type: ignore[no-untyped-def]
    assert mas(*arguments) == (2, "", message)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_and_refuses_unknown_options(mas, command: str) -> None:  # type: ignore[no-untyped-def]
    code, out, _ = mas(command, "--help")
    assert code == 0 and out.startswith(f"usage: mas {command}")
    assert mas("help", command)[1] == out
    code, _, err = mas(command, "--no-such-option")
    assert code == 2 and err.startswith(f"usage: mas {command}")


# ---------------------------------------------------------------- check


def test_check_says_that_all_is_well(mas, here: Path) -> None:  # type: ignore[no-untyped-def]
    put(here, a=GOOD, b=GOOD)
    assert mas("check", "a.mas") == (0, "1 program, no problems\n", "")
    assert mas("check") == (0, "2 programs, no problems\n", "")


def test_check_finds_programs_in_folders_but_not_hidden_ones(mas, here: Path) -> None:  # type: ignore[no-untyped-def]
    put(here, a=GOOD, deep__b=BAD, deep__deeper__c=BAD, **{".hidden__d": BAD, "deep__.e": BAD})
    code, out, _ = mas("check", ".", "--format", "short")
    assert code == 1
    assert [line.split(": ")[0] for line in out.splitlines()] == ["deep/b.mas:8:10", "deep/deeper/c.mas:8:10"]
    assert mas("check", "deep", "deep/b.mas", "--format", "short")[1] == out


def test_check_prints_excerpts(mas, here: Path) -> None:  # type: ignore[no-untyped-def]
    put(here, a=BAD)
    code, out, err = mas("check", "a.mas")
    assert (code, err) == (1, "")
    assert out.startswith("error[MAS101]: `drafts` is not defined\n  --> a.mas:8:10\n")
    assert out.endswith("\n1 error\n") and "\x1b" not in out


def test_check_prints_json_even_without_findings(mas, here: Path) -> None:  # type: ignore[no-untyped-def]
    put(here, a=BAD, b=GOOD)
    code, out, _ = mas("check", "--format", "json", "a.mas")
    assert code == 1 and [finding["code"] for finding in json.loads(out)["findings"]] == ["MAS101"]
    code, out, _ = mas("check", "--format=json", "b.mas")
    assert code == 0 and json.loads(out)["findings"] == []


def test_check_reads_standard_input(mas, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(BAD.encode())))
    code, out, _ = mas("check", "-", "--format", "short")
    assert code == 1 and out.startswith("<stdin>:8:10: MAS101 ")


def test_names_of_files_cannot_control_the_terminal(mas, here: Path) -> None:  # type: ignore[no-untyped-def]
    put(here, **{"a\x1b[31m": UGLY})
    for command in (["check"], ["fmt", "--check"], ["fmt"], ["build", "a\x1b[31m.mas"], ["check", "--verbose"]):
        assert "\x1b" not in "".join(map(str, mas(*command)))


def test_a_missing_file_is_an_error_of_use(mas, here: Path) -> None:  # type: ignore[no-untyped-def]
    put(here, hello=GOOD)
    code, out, _ = mas("check", "helo.mas")
    assert code == 2 and "error[MAS004]: cannot read `helo.mas`" in out and "did you mean `hello.mas`?" in out
    (here / "empty").mkdir()
    code, _, err = mas("check", "empty")
    assert code == 2 and err == "mas: there is no program below `empty`; programs are files whose name ends with .mas\n"


def test_a_faulty_configuration_is_reported_once(mas, here: Path) -> None:  # type: ignore[no-untyped-def]
    put(here, a=GOOD, b=GOOD)
    (here / "mas.toml").write_text("[sizes]\ntxt = 3\n")
    code, out, _ = mas("check", "--format", "short")
    assert (code, out) == (1, "mas.toml:2:1: MAS502 [sizes] has no key `txt`; did you mean `text`?\n")


def test_warnings_count_only_under_strict(mas, here: Path) -> None:  # type: ignore[no-untyped-def]
    put(here, a=GOOD.replace("return draft", "return topic"))
    code, out, _ = mas("check")
    assert code == 0 and "warning[MAS7" in out
    assert mas("check", "--strict")[0] == 1


# ---------------------------------------------------------------- fmt

UGLY = (
    'mas 1 agent  writer(topic)->text "Write about the topic."\nflow main(topic)->text{draft=writer(topic)return draft}'
)


def test_fmt_rewrites_what_differs(mas, here: Path) -> None:  # type: ignore[no-untyped-def]
    put(here, a=UGLY, b=GOOD)
    os.chmod("a.mas", 0o640)
    assert mas("fmt") == (0, "changed a.mas\n1 of 2 programs changed\n", "")
    assert (here / "a.mas").read_text() == (here / "b.mas").read_text()
    assert os.stat("a.mas").st_mode & 0o777 == 0o640
    assert mas("fmt", "a.mas") == (0, "0 of 1 program changed\n", "")
    assert [path.name for path in here.iterdir() if path.name.startswith(".")] == []


def test_fmt_check_and_diff_change_nothing(mas, here: Path) -> None:  # type: ignore[no-untyped-def]
    put(here, a=UGLY)
    assert mas("fmt", "--check") == (1, "would change a.mas\n1 of 1 program would change\n", "")
    code, out, _ = mas("fmt", "--diff")
    assert code == 1 and out.startswith("--- a.mas\tnow\n+++ a.mas\tformatted\n") and "+mas 1\n" in out
    assert (here / "a.mas").read_text() == UGLY


def test_fmt_mends_line_ends(mas, here: Path) -> None:  # type: ignore[no-untyped-def]
    (here / "a.mas").write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert mas("fmt")[1] == "changed a.mas\n1 of 1 program changed\n"
    assert (here / "a.mas").read_bytes() == GOOD.encode()


def test_fmt_leaves_programs_with_errors_alone(mas, here: Path) -> None:  # type: ignore[no-untyped-def]
    put(here, a=UGLY.replace("return", "retrun"), b=UGLY)
    code, out, err = mas("fmt")
    assert code == 1 and out == "changed b.mas\n" and "error[MAS0" in err
    assert "retrun" in (here / "a.mas").read_text()


def test_fmt_reads_standard_input(mas, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    def given(text: str) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))

    given(UGLY)
    assert mas("fmt", "-") == (0, GOOD, "")
    given(UGLY)
    assert mas("fmt", "--check", "-") == (1, "would change <stdin>\n", "")
    given("mas 1 flow")
    code, out, err = mas("fmt", "-")
    assert (code, out) == (1, "") and "<stdin>:1" in err


def test_fmt_follows_links(mas, here: Path) -> None:  # type: ignore[no-untyped-def]
    put(here, real__a=UGLY)
    (here / "link.mas").symlink_to("real/a.mas")
    assert mas("fmt", "link.mas")[0] == 0
    assert (here / "link.mas").is_symlink() and (here / "real" / "a.mas").read_text() == GOOD


# ---------------------------------------------------------------- build


def test_build_writes_beside_the_program_and_check_compares(mas, here: Path) -> None:  # type: ignore[no-untyped-def]
    put(here, **{"my-prog": GOOD})
    assert mas("build", "my-prog.mas") == (0, "wrote my_prog_mas.py\n", "")
    assert mas("build", "my-prog.mas") == (0, "my_prog_mas.py is up to date\n", "")
    assert mas("build", "--check", "my-prog.mas") == (0, "my_prog_mas.py: up to date\n", "")
    (here / "my_prog_mas.py").write_text("")
    assert mas("build", "--check", "my-prog.mas") == (
        1,
        "my_prog_mas.py: out of date; `mas build` writes it anew\n",
        "",
    )
    (here / "my_prog_mas.py").unlink()
    assert mas("build", "--check", "my-prog.mas")[:2] == (1, "my_prog_mas.py: missing; `mas build` writes it\n")


def test_build_writes_where_it_is_told(mas, here: Path) -> None:  # type: ignore[no-untyped-def]
    put(here, a=GOOD)
    code, out, _ = mas("build", "a.mas", "-o", "-")
    assert code == 0 and out.startswith('"""')
    assert mas("build", "a.mas", "-o", "out.py")[0] == 0
    assert (here / "out.py").read_text() == out
    assert mas("build", "a.mas", "a.mas", "-o", "x.py")[0] == 2
    assert mas("build", "a.mas", "-o", "no/such/folder.py")[0] == 2


def test_build_of_a_faulty_program_writes_nothing(mas, here: Path) -> None:  # type: ignore[no-untyped-def]
    put(here, a=BAD)
    code, out, err = mas("build", "a.mas")
    assert (code, out) == (1, "") and "error[MAS101]" in err
    assert not (here / "a_mas.py").exists()


# ---------------------------------------------------------------- explain, init


def test_explain(mas) -> None:  # type: ignore[no-untyped-def]
    assert mas("explain", "101")[1].startswith("MAS101 UndefinedName (error)\n")
    assert "\n  MAS101  " in mas("explain")[1]
    code, out, err = mas("explain", "MAS1000")
    assert (code, out) == (2, "") and err.startswith("mas: there is no code `MAS1000`; did you mean MAS")


def test_init_starts_a_project_that_checks(mas, here: Path) -> None:  # type: ignore[no-untyped-def]
    code, out, _ = mas("init", "new")
    assert code == 0 and "mas run new/main.mas" in out
    assert mas("check", "--strict", "new") == (0, "1 program, no problems\n", "")
    assert mas("fmt", "--check", "new")[0] == 0
    code, _, err = mas("init", "new")
    assert code == 2 and err == "mas: `new/main.mas` is there already; nothing was changed; choose another folder\n"


# ---------------------------------------------------------------- the boundary


def test_a_fault_of_masdsl_is_reported_as_one(mas, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    import masdsl.pipeline

    put(here, a=GOOD, b=BAD)

    def broken(source, *args, **kwargs):  # type: ignore[no-untyped-def]
        if source.name == "a.mas":
            raise failure
        return check_source(source, *args, **kwargs)

    check_source = masdsl.pipeline.check_source
    monkeypatch.setattr(masdsl.pipeline, "check_source", broken)
    failure: BaseException = KeyError("oh \x1b[31m")
    code, out, _ = mas("check", "--format", "short")
    assert code == 1 and "\x1b" not in out
    first, second = out.splitlines()
    assert first.startswith("a.mas:1:1: MAS000 masdsl failed: KeyError: ") and "pipeline.py:" in first
    assert second.startswith("b.mas:8:10: MAS101")
    failure = RecursionError()
    assert mas("check", "--format", "short")[1].startswith("a.mas:1:1: MAS008 not enough stack")
    failure = MemoryError()
    assert mas("check", "--format", "short")[1].startswith("a.mas:1:1: MAS008 not enough memory")
    failure = KeyboardInterrupt()
    assert mas("check") == (130, "", "")
    failure = BrokenPipeError()
    assert mas("check")[0] == 141


def test_no_traceback_when_the_reader_goes_away(here: Path) -> None:
    put(here, **{f"p{number}": BAD for number in range(60)})
    command = f"{sys.executable} -m masdsl check | head -n 1"
    done = subprocess.run(
        ["bash", "-c", command],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.stdout.startswith("error[MAS101]") and done.stderr == ""
