"""Kept results: the same bytes as a check gives, never used where a check would give others, harmless when damaged."""

from __future__ import annotations

import inspect
import json
import multiprocessing
import os
import stat
import time
from binascii import crc32
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from masdsl import cache, cache_key
from masdsl.cache import Store, clear, open_store
from masdsl.cache_findings import from_json, to_json
from masdsl.cli import checking, main
from masdsl.cli.checking import ProgramCheck
from masdsl.cli.terminal import FORMATS, render_findings
from masdsl.cli.trees import Outcome
from masdsl.config import Config, load_config
from masdsl.diagnostics.base import Diagnostic, Finding, Findings, Fix
from masdsl.diagnostics.catalogue import all_codes, page
from masdsl.diagnostics.internal import InternalError, OutOfResources, WorkerDied
from masdsl.diagnostics.report import About
from masdsl.pipeline import Checked, check_bytes
from masdsl.pricing import table as pricing_table
from masdsl.source import Source
from tests.harness.casefile import Case
from tests.harness.programs import write

ROOT = Path(__file__).resolve().parent.parent
CASES = sorted((ROOT / "tests" / "cases").glob("*/*.md"))
EXAMPLES = sorted((ROOT / "examples").glob("*/*.mas"))
CODES = [code for code, kind in all_codes().items() if page(kind).bad is not None]

GOOD = """mas 1

use helpers: helper

agent writer(topic) -> text
  "Write about the topic."

flow main(topic) -> text {
  draft = writer(topic)
  better = helper(draft)
  return better
}
"""
HELPERS = """mas 1

use deeper: Kind

agent helper(x) -> text
  "Say {{ x }}."

agent judge(x) -> Kind
  "Judge {{ x }}."
"""
DEEPER = "mas 1\n\ntype Kind = a | b\n"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for caches of this test alone."""
    folder = tmp_path / "caches"
    monkeypatch.setenv("MASDSL_CACHE", str(folder))
    return folder


@pytest.fixture
def program(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A program with a finding in it and in a module, in the working folder."""
    folder = tmp_path / "programs"
    folder.mkdir()
    (folder / "helpers.mas").write_text(HELPERS)
    (folder / "deeper.mas").write_text(DEEPER)
    (folder / "mas.toml").write_text("")
    (folder / "main.mas").write_text(GOOD)
    monkeypatch.chdir(folder)
    return "main.mas"


def told(outcome: Outcome[Any]) -> dict[str, str]:
    """Return an outcome in every format, and all else that it says."""
    about = About("check", (), 0, [outcome.path], suppressed=outcome.suppressed)
    texts = {form: render_findings(outcome.findings, form, about) for form in FORMATS}
    texts["colour"] = render_findings(outcome.findings, "text", colour=True)
    return texts | {"value": json.dumps(outcome.value), "path": outcome.path, "allowed": str(len(outcome.suppressed))}


def lines_of(checked: Checked) -> list[Any] | None:
    """A row as commands make them."""
    return None if checked.program is None else [flow.key for flow in checked.program.flows]


def assert_kept_is_what_is_found(path: str) -> None:
    plain = ProgramCheck(lines_of, cached=False).done(path)
    first = ProgramCheck(lines_of)
    assert first.known(path) is None
    assert told(first.done(path)) == told(plain)
    kept = ProgramCheck(lines_of).known(path)
    if any(one.diagnostic.code in checking.NOT_KEPT or not one.source.text for one in plain.findings):
        assert kept is None, "about this moment, or about a file as a whole, which is not looked into again"
    else:
        assert kept is not None and told(kept) == told(plain)
        assert [type(one.diagnostic).__doc__ for one in kept.findings] == [
            type(one.diagnostic).__doc__ for one in plain.findings
        ]


# ---------------------------------------------------------------- the same bytes


@pytest.mark.parametrize("path", CASES, ids=[f"{path.parent.name}/{path.stem}" for path in CASES])
def test_a_case_from_the_cache_is_the_case(path: Path, home: Path, tmp_path: Path) -> None:
    case = Case(path)
    assert_kept_is_what_is_found(str(write(tmp_path, case.text, case.files, case.config)))


@pytest.mark.parametrize("path", EXAMPLES, ids=[path.stem for path in EXAMPLES])
def test_an_example_from_the_cache_is_the_example(path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert_kept_is_what_is_found(str(path.relative_to(ROOT)))


@pytest.mark.parametrize("code", CODES)
def test_every_diagnostic_comes_back_as_it_was(code: str, home: Path, tmp_path: Path) -> None:
    example = page(all_codes()[code]).bad
    assert example is not None
    files = dict(example.files)
    assert_kept_is_what_is_found(str(write(tmp_path, example.program, files, files.pop("mas.toml", None))))


def test_a_diagnostic_says_nothing_that_is_not_kept() -> None:
    """Whoever adds a method to `Diagnostic` or a field to `Fix` adds it to `cache_findings`, and here."""
    public = {name for name in vars(Diagnostic) if not name.startswith("_")}
    assert public == {"code", "severity", "title", "label", "help", "labels", "fix"}
    assert Fix._fields == ("title", "replacements", "applicability")
    assert Finding._fields == ("source", "diagnostic")


def test_recalled_diagnostics_compare_and_travel_like_others(program: str) -> None:
    import pickle

    Path(program).write_text(GOOD.replace("return better", "return drafts"))
    (found,) = ProgramCheck().done(program).findings
    recalled = from_json(json.loads(json.dumps(to_json(found))), lambda name: found.source)
    again = pickle.loads(pickle.dumps(recalled))
    assert again == recalled and hash(again) == hash(recalled) and recalled != found
    assert "title=" in repr(recalled) and isinstance(recalled.diagnostic, type(found.diagnostic))


def test_findings_in_modules_and_in_the_configuration_come_back(program: str) -> None:
    Path("mas.toml").write_text("[sizes]\ntxt = 3\n")
    Path("helpers.mas").write_text(HELPERS.replace("-> text", "-> Txt"))
    Path(program).write_text(GOOD.replace("return better", "return drafts"))
    outcome = ProgramCheck[None]().done(program)
    assert {finding.source.name for finding in outcome.findings} == {"mas.toml", "helpers.mas", program}
    kept = ProgramCheck[None]().known(program)
    assert kept is not None and told(kept) == told(outcome)


def test_names_of_files_are_those_that_are_seen_from_the_working_folder(
    program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("mas.toml").write_text("[sizes]\ntxt = 3\n")
    path = str(Path(program).absolute())
    here = told(ProgramCheck().done(path))
    (Path.cwd() / "below").mkdir()
    monkeypatch.chdir("below")
    there = ProgramCheck[None](cached=False).done(path)
    assert told(there) != here
    kept = ProgramCheck[None]().known(path)
    assert kept is None or told(kept) == told(there)


def test_a_lint_that_is_an_error_comes_back_as_one(program: str) -> None:
    Path("mas.toml").write_text('[lints]\nunused_import = "error"\n')
    Path(program).write_text(GOOD.replace("better = helper(draft)", "better = draft"))
    ProgramCheck().done(program)
    kept = ProgramCheck[None]().known(program)
    assert kept is not None
    assert [(one.diagnostic.code, one.diagnostic.severity) for one in kept.findings] == [("MAS704", "error")]


def test_programs_with_the_same_text_have_results_of_their_own(program: str) -> None:
    Path(program).write_text(GOOD.replace("return better", "return drafts"))
    Path("second.mas").write_text(Path(program).read_text())
    for name in (program, "second.mas"):
        ProgramCheck().done(name)
    for name in (program, "second.mas"):
        kept = ProgramCheck[None]().known(name)
        assert kept is not None and {one.source.name for one in kept.findings} == {name}


# ---------------------------------------------------------------- what a result depends on


def _edit(name: str, text: str) -> Callable[[pytest.MonkeyPatch], None]:
    return lambda patch: (Path(name).write_text(text), None)[1]


def _patch(module: object, name: str, value: object) -> Callable[[pytest.MonkeyPatch], None]:
    return lambda patch: patch.setattr(module, name, value)


def _no_link(patch: pytest.MonkeyPatch) -> None:
    Path("deeper.mas").rename("elsewhere.mas")


def _out_of_the_folder(patch: pytest.MonkeyPatch) -> None:
    Path("deeper.mas").rename("../deeper.mas")
    Path("deeper.mas").symlink_to("../deeper.mas")


def _other_prices(patch: pytest.MonkeyPatch) -> None:
    Path("prices.json").write_text("{}")
    patch.setattr(pricing_table, "table_stamp", lambda: "other")
    patch.setattr(pricing_table, "table_path", lambda: "prices.json")


CHANGES: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "the program": _edit("main.mas", GOOD + "\n"),
    "a byte-order mark": _edit("main.mas", "\ufeff" + GOOD),
    "an imported module": _edit("helpers.mas", HELPERS + "# more\n"),
    "a module of a module": _edit("deeper.mas", DEEPER + "# more\n"),
    "a module that is gone": _no_link,
    "a module that leads elsewhere": _out_of_the_folder,
    "the configuration": _edit("mas.toml", "[sizes]\ntext = 100\n"),
    "a remark in the configuration": _edit("mas.toml", "# one\n"),
    "the ceiling": _edit("mas.toml", "[budget]\ncalls = 5\n"),
    "a lint's level": _edit("mas.toml", "[lints]\nDeadCall = 'error'\n"),
    "a lock": _edit("mas.lock", "{}"),
    "no configuration here": lambda patch: Path("mas.toml").unlink(),
    "the version": _patch(cache_key, "__version__", "99.0"),
    "the package's sources": _patch(cache_key, "_sources", lambda package: ["other"]),
    "the place of the package": _patch(cache_key, "_PACKAGE", "/elsewhere/masdsl"),
    "the template engine": _patch(cache_key, "_template_engine", lambda: "other"),
    "Python": lambda patch: patch.setattr("sys.hexversion", 0x030B00F0),
    "the price table": _other_prices,
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_result_counts_no_more_when_this_has_changed(
    what: str, program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (Path.cwd().parent / "mas.toml").write_text("")  # the one that counts when the nearer one goes away
    ProgramCheck().done(program)
    assert ProgramCheck().known(program) is not None
    cache_key.identity.cache_clear()
    with monkeypatch.context() as patch:
        CHANGES[what](patch)
        try:
            assert ProgramCheck().known(program) is None
            ProgramCheck().done(program)
            assert ProgramCheck().known(program) is not None
        finally:
            cache_key.identity.cache_clear()


def _dearer(config: Config, tier: str) -> Config:
    return config._replace(tiers={**config.tiers, tier: "openai/gpt-4o"})


@pytest.mark.parametrize(
    "other",
    [
        ProgramCheck(lines_of),
        ProgramCheck(configure=partial(_dearer, tier="fast")),
        ProgramCheck(configure=partial(_dearer, tier="smart")),
        ProgramCheck(options=["strange"]),
        ProgramCheck(options=["stran", "ge"]),
    ],
    ids=["row", "configure", "configured otherwise", "option", "two options"],
)
def test_what_a_command_wants_otherwise_is_kept_apart(other: ProgramCheck[Any], program: str) -> None:
    for work in (
        ProgramCheck[None](),
        ProgramCheck[None](configure=partial(_dearer, tier="default")),
        ProgramCheck[None](options=["strang", "e"]),
    ):
        work.done(program)
        assert other.known(program) is None and work.known(program) is not None


@pytest.mark.parametrize(
    "what", ["a file that nobody imports", "the time of a change", "going back", "the same price table again"]
)
def test_a_result_still_counts_after(what: str, program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ProgramCheck().done(program)
    if what == "the same price table again":
        monkeypatch.setattr(pricing_table, "table_stamp", lambda: "installed anew")
    elif what == "a file that nobody imports":
        Path("other.mas").write_text("mas 1")
    elif what == "the time of a change":
        os.utime("helpers.mas", (1, 1))
    else:
        for number in range(checking.VARIANTS - 1):
            Path("helpers.mas").write_text(HELPERS + f"# {number}\n")
            assert ProgramCheck().known(program) is None
            ProgramCheck().done(program)
        Path("helpers.mas").write_text(HELPERS)
    assert ProgramCheck().known(program) is not None


def test_only_some_states_of_modules_are_kept(program: str, home: Path) -> None:
    for number in range(3 * checking.VARIANTS):
        Path("helpers.mas").write_text(HELPERS + f"# {number}\n")
        ProgramCheck().done(program)
    (path,) = documents(home)
    assert len(body(path)[1]) == 4


def test_a_missing_module_is_noticed_when_it_comes(program: str) -> None:
    Path("deeper.mas").unlink()
    outcome = ProgramCheck[None]().done(program)
    assert [finding.diagnostic.code for finding in outcome.findings] and ProgramCheck().known(program) is not None
    Path("deeper.mas").write_text(DEEPER)
    assert ProgramCheck().known(program) is None
    assert not ProgramCheck().done(program).findings


TOKENIZER = 'kind = "openai"\nurl = "http://127.0.0.1/v1"\nmodel = "m"\ntokenizer = "file"'


@pytest.mark.parametrize("model", [TOKENIZER, 'kind = "gguf"\npath = "file"'])
def test_the_files_of_a_model_are_watched(model: str, program: str) -> None:
    Path("file").write_text("{}")
    Path("mas.toml").write_text(f"[models.mine]\n{model}\n")
    ProgramCheck().done(program)
    assert ProgramCheck().known(program) is not None
    Path("file").write_text('{"a": 1}')
    assert ProgramCheck().known(program) is None


def test_the_library_that_reads_tokenizers_is_watched(program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("file").write_text("{}")
    Path("mas.toml").write_text(f"[models.mine]\n{TOKENIZER}\n")
    ProgramCheck().done(program)
    assert ProgramCheck().known(program) is not None
    Path("tokenizers").mkdir()
    Path("tokenizers/another.so").write_text("")
    monkeypatch.syspath_prepend(str(Path.cwd()))
    assert ProgramCheck().known(program) is None


def test_the_same_name_in_another_folder_is_another_program(program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ProgramCheck().done(program)
    other = Path.cwd().parent / "other"
    other.mkdir()
    for name in ("main.mas", "helpers.mas", "mas.toml"):
        (other / name).write_bytes(Path(name).read_bytes())
    monkeypatch.chdir(other)
    assert ProgramCheck().known(program) is None
    assert ProgramCheck().done(program).findings, "a module is missing here"


def test_faults_of_masdsl_and_of_the_machine_are_not_kept(
    program: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise failure

    monkeypatch.setattr(checking, "check_bytes", broken)
    for failure in (KeyError("x"), MemoryError(), RecursionError()):
        (finding,) = ProgramCheck().done(program).findings
        assert finding.diagnostic.code in ("MAS000", "MAS008")
    assert documents(home) == []


@pytest.mark.parametrize("fault", [InternalError("what", "where"), OutOfResources("memory"), WorkerDied("why")])
def test_what_was_found_at_a_bad_moment_is_not_kept(
    fault: Diagnostic, program: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = check_bytes

    def unlucky(path: str, data: bytes, config: Config, findings: Findings, *args: Any) -> Checked:
        checked = real(path, data, config, findings, *args)
        findings.add(Source(path, GOOD), fault)
        return checked

    monkeypatch.setattr(checking, "check_bytes", unlucky)
    assert [one.diagnostic for one in ProgramCheck().done(program).findings] == [fault] and documents(home) == []


def test_files_that_cannot_be_read_are_not_kept(program: str, home: Path) -> None:
    Path("deeper.mas").unlink()
    Path("deeper.mas").mkdir()
    for path in ("gone.mas", "."):
        assert ProgramCheck().known(path) is None
        (finding,) = ProgramCheck().done(path).findings
        assert finding.diagnostic.code == "MAS004"
    assert documents(home) == []


def test_a_program_that_changes_while_its_modules_are_read_is_kept_as_it_was_read(
    program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = check_bytes

    def slow(*args: Any, **kwargs: Any) -> Any:
        checked = real(*args, **kwargs)
        Path("helpers.mas").write_text(HELPERS.replace("helper", "other"))
        Path(program).write_text("mas 1")
        return checked

    with monkeypatch.context() as patch:
        patch.setattr(checking, "check_bytes", slow)
        assert not ProgramCheck().done(program).findings
    assert ProgramCheck().known(program) is None
    Path(program).write_text(GOOD)
    assert ProgramCheck().known(program) is None
    assert [one.diagnostic.code for one in ProgramCheck().done(program).findings] == ["MAS112"]
    Path("helpers.mas").write_text(HELPERS)
    kept = ProgramCheck[None]().known(program)
    assert kept is not None and not kept.findings


def test_a_configuration_that_changes_while_it_is_read_is_nothing_to_keep_results_under(
    program: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = load_config

    def slow(*args: Any) -> Config:
        config = real(*args)
        Path("mas.toml").write_text("[sizes]\ntext = 100\n")
        return config

    monkeypatch.setattr(checking, "load_config", slow)
    ProgramCheck().done(program)
    assert documents(home) == []


# ---------------------------------------------------------------- the command


def test_options_of_the_command(program: str, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--no-cache", program]) == 0 and documents(home) == []
    assert main(["check", program]) == 0 and len(documents(home)) == 1
    assert main(["check", "--clear-cache"]) == 0 and documents(home) == []
    assert capsys.readouterr().out.endswith("removed 2 kept results\n"), "the digest of the price table is one"
    assert main(["check", "--clear-cache"]) == 0
    assert capsys.readouterr().out == "removed 0 kept results\n"


def test_standard_input_is_not_kept(program: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import io
    import sys

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(GOOD.encode())))
    assert main(["check", "-"]) == 1 and documents(home) == []


# ---------------------------------------------------------------- the folder


def documents(home: Path) -> list[Path]:
    """The results that are kept; beside them is the digest of the price table."""
    found = sorted(path for path in (home / cache.FOLDER).rglob("*") if path.is_file())
    return [path for path in found if b'",[{' in path.read_bytes()]


def test_the_folder_is_the_user_s_alone(program: str, home: Path) -> None:
    before = os.umask(0)
    try:
        ProgramCheck().done(program)
    finally:
        os.umask(before)
    (document,) = documents(home)
    assert stat.S_IMODE(document.stat().st_mode) == 0o600
    assert stat.S_IMODE((home / cache.FOLDER).stat().st_mode) == 0o700
    assert stat.S_IMODE(document.parent.stat().st_mode) == 0o700


def test_a_folder_that_others_can_read_is_closed(program: str, home: Path) -> None:
    (home / cache.FOLDER).mkdir(parents=True)
    (home / cache.FOLDER).chmod(0o755)
    ProgramCheck().done(program)
    assert stat.S_IMODE((home / cache.FOLDER).stat().st_mode) == 0o700 and ProgramCheck().known(program) is not None


def _link(folder: Path) -> None:
    (folder.parent / "real").mkdir(0o700)
    folder.symlink_to("real")


def _of_mode(mode: int) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        folder.mkdir()
        folder.chmod(mode)

    return make


def _of_another(folder: Path) -> None:
    folder.mkdir(0o700)
    os.chown(folder, 12345, 12345)


UNUSABLE: dict[str, Callable[[Path], object]] = {
    "writable by others": _of_mode(0o777),
    "writable by the group": _of_mode(0o770),
    "a link": _link,
    "a link to nowhere": lambda folder: folder.symlink_to("nowhere"),
    "a file": lambda folder: folder.write_text("mine"),
    "of another owner": _of_another,
}


@pytest.mark.parametrize("how", UNUSABLE)
def test_a_folder_like_that_is_not_used(how: str, program: str, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if how == "of another owner" and os.geteuid() != 0:
        pytest.skip("only the administrator can give a folder away")
    home.mkdir()
    UNUSABLE[how](home / cache.FOLDER)
    assert open_store() is None
    for _ in range(2):
        assert main(["check", program]) == 0
        assert capsys.readouterr() == ("1 program, no problems\n", "")
    assert ProgramCheck().known(program) is None
    assert not (home / "real").exists() or not list((home / "real").iterdir())


@pytest.mark.parametrize("place", ["", "file", "file/below", "\0"])
def test_without_a_place_for_caches_everything_works(
    place: str, program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    if place == "\0":
        monkeypatch.setattr(cache, "cache_directory", lambda: "a\0b")
    else:
        monkeypatch.setenv("MASDSL_CACHE", str(tmp_path / place) if place else "")
    for _ in range(2):
        assert main(["check", program]) == 0
        assert capsys.readouterr() == ("1 program, no problems\n", "")
    assert clear() == 0


def test_a_full_disk_is_no_fault(program: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    assert not ProgramCheck().done(program).findings
    assert documents(home) == [], "what was begun is removed"


# ---------------------------------------------------------------- damage

HEAD = b"masdsl cache 1\n"
SEAL = len(HEAD) + 4
"""Bytes before the body: the name of the format, and a checksum."""

DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "cut off": lambda data: data[:-1],
    "half": lambda data: data[: len(data) // 2],
    "longer": lambda data: data + b" ",
    "one bit": lambda data: data[:-5] + bytes([data[-5] ^ 1]) + data[-4:],
    "another format": lambda data: data.replace(b"cache 1", b"cache 2"),
    "something else": lambda data: os.urandom(200),
    "of another key": lambda data: sealed(["0" * 40, json.loads(data[SEAL:])[1]]),
    "no list": lambda data: sealed({}),
    "deep": lambda data: sealed_bytes(b"[" * 100_000),
    "no UTF-8": lambda data: sealed_bytes(b"\xff\xfe"),
}


def sealed(document: Any) -> bytes:
    return sealed_bytes(json.dumps(document).encode())


def sealed_bytes(content: bytes) -> bytes:
    return HEAD + crc32(content).to_bytes(4, "big") + content


def body(document: Path) -> Any:
    """What a document says. Its checksum may hold any bytes, so nothing is searched for in it."""
    return json.loads(document.read_bytes()[SEAL:])


@pytest.mark.parametrize("how", DAMAGE)
def test_a_damaged_result_is_ignored_and_replaced(how: str, program: str, home: Path) -> None:
    expected = told(ProgramCheck().done(program))
    (document,) = documents(home)
    document.write_bytes(DAMAGE[how](document.read_bytes()))
    assert ProgramCheck().known(program) is None
    assert told(ProgramCheck().done(program)) == expected
    assert ProgramCheck().known(program) is not None and documents(home) == [document]


def test_a_result_that_others_could_have_written_is_ignored(program: str, home: Path) -> None:
    ProgramCheck().done(program)
    (document,) = documents(home)
    document.chmod(0o666)
    assert ProgramCheck().known(program) is None


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 9)
    | st.text(max_size=3)
    | st.sampled_from(["main.mas", "MAS101", "error"]),
    lambda inner: (
        st.lists(inner, max_size=9)
        | st.dictionaries(
            st.sampled_from(
                ["imports", "files", "packages", "sources", "findings", "suppressed", "value", "title", "replacements"]
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=30,
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(content=JSON, where=st.integers(0, 7))
def test_whatever_a_document_says_nothing_breaks(content: Any, where: int, program: str, home: Path) -> None:
    """A document with a right checksum that was not written by us, or by us in another time."""
    Path(program).write_text(GOOD.replace("return better", "return drafts"))
    clear()
    expected = told(ProgramCheck().done(program))
    (document,) = documents(home)
    key, variants = body(document)
    if where == 0:
        variants = content
    else:
        name = ("imports", "files", "packages", "sources", "findings", "suppressed", "value")[where - 1]
        variants[0][name] = content
    document.write_bytes(sealed([key, variants]))
    outcome = ProgramCheck[None]().known(program)
    if outcome is not None:
        told(outcome)
    assert told(ProgramCheck().done(program)) == expected


# ---------------------------------------------------------------- the store


def _key(number: int) -> str:
    return cache_key.digest(str(number))


def _large(at: int) -> str:
    """A text that is the smaller the later it is written, so that age and size are two things."""
    return "x" * (3800 - 50 * at)


def test_the_store_keeps_to_its_size_and_forgets_what_was_not_used_for_longest(tmp_path: Path) -> None:
    most = cache.SHARDS * 4 * 4096
    folder = tmp_path / "store"
    store = Store(str(folder), most)
    shard = [key for number in range(30_000) if (key := _key(number)).startswith("0a")][:40]
    for at, key in enumerate(shard):
        writer = Store(str(folder), most) if at % 2 else store
        assert writer.write(key, _large(at))
        path = folder / key[:2] / key[2:]
        os.utime(path, (at, at))
        kept = list((folder / "0a").iterdir())
        assert len(kept) <= 5 and path in kept, "a process may overlook what another one writes, not more"
    assert store.read(shard[0]) is None and store.read(shard[-1]) == _large(len(shard) - 1)
    assert time.time() - (folder / "0a" / shard[-1][2:]).stat().st_mtime < 3600, "reading counts as use"


def test_what_is_too_large_is_not_kept(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "store"), cache.SHARDS * 4096)
    assert not store.write(_key(1), "x" * 4096) and store.read(_key(1)) is None


def test_what_a_killed_process_left_is_removed_in_time(tmp_path: Path) -> None:
    key = _key(1)
    folder = tmp_path / "store" / key[:2]
    assert Store(str(tmp_path / "store")).write(key, 1)
    old, new = folder / f"{key[2:]}.123", folder / f"{key[2:]}.124"
    for path in (old, new):
        path.write_text("half")
    os.utime(old, (1, 1))
    assert Store(str(tmp_path / "store")).write(key, 2)
    assert not old.exists() and new.exists() and Store(str(tmp_path / "store")).read(key) == 2


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(document=JSON, surrogate=st.text(st.characters(exclude_categories=[])))
def test_the_store_gives_back_what_it_got(document: Any, surrogate: str, tmp_path: Path) -> None:
    store = Store(str(tmp_path / "store"))
    assert store.write(_key(3), [document, surrogate]) and store.read(_key(3)) == [document, surrogate]


@given(st.lists(st.binary() | st.text()), st.lists(st.binary() | st.text()))
def test_no_two_sequences_share_a_digest(left: list[str | bytes], right: list[str | bytes]) -> None:
    def plain(parts: list[str | bytes]) -> list[bytes]:
        return [part.encode() if isinstance(part, str) else part for part in parts]

    assert (cache_key.digest(*left) == cache_key.digest(*right)) == (plain(left) == plain(right))


def _hammer(folder: str, seed: int) -> None:
    store = Store(folder, cache.SHARDS * 3 * 4096)
    shard = [key for number in range(3000) if (key := _key(number)).startswith("0")][:60]
    for round_ in range(150):
        key = shard[(round_ * 7 + seed * 13) % len(shard)]
        found = store.read(key)
        assert found is None or (found["key"] == key and len(found["text"]) == found["size"])
        size = (round_ * 37 + seed) % 3000
        store.write(key, {"key": key, "size": size, "text": "x" * size})
    os._exit(0)


def test_processes_write_at_the_same_time_and_read_nothing_half(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_hammer, args=(str(tmp_path / "store"), seed)) for seed in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0, 0, 0]
    assert not list((tmp_path / "store").rglob("*.*")), "nothing half-written is left"


def test_nothing_of_the_cache_unpickles() -> None:
    for module in (cache, cache_key, checking):
        assert "pickle" not in inspect.getsource(module) and "marshal" not in inspect.getsource(module)
