"""The project installs in every form that people use, and each form finds the grammar and the standard library.

Everything here works offline: the build runs without isolation, the installs without dependencies, which the temporary
environments see through a path file.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DATA = ("grammar", "stdlib")
FORMS = ("wheel", "wheel from the sdist", "editable")

pytestmark = pytest.mark.slow

PROGRAM = """mas 1

use std.vote

agent writer(topic) -> text(60) on fast "Write one sentence about {{ topic }}."

flow main(topic) -> text(60) {
  drafts = 3 of writer(topic)
  best = vote(drafts)
  return best
}
"""

WHERE = """
import masdsl, masdsl.resources as r, os
print(os.path.dirname(masdsl.__file__), r.find("grammar", "mas.lark"), sep="\\n")
"""


def _run(*command: str, cwd: Path | str | None = None, **variables: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | variables
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def _digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project's files as a fresh clone has them."""
    copy = tmp_path_factory.mktemp("checkout") / "masdsl"
    skip = shutil.ignore_patterns(
        "__pycache__", ".git", ".*_cache", ".hypothesis", ".venv", "venv", "build", "dist", "node_modules", "*_mas.py"
    )
    shutil.copytree(ROOT, copy, ignore=skip)
    return copy


@pytest.fixture(scope="module")
def artefacts(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The wheel built from the checkout, the sdist, and the wheel built from that."""
    direct, chained = tmp_path_factory.mktemp("wheel"), tmp_path_factory.mktemp("sdist")
    build = (sys.executable, "-m", "build", "--no-isolation", "--outdir")
    _run(*build, str(direct), "--wheel", str(checkout))
    _run(*build, str(chained), str(checkout))
    return {
        "wheel": next(direct.glob("*.whl")),
        "sdist": next(chained.glob("*.tar.gz")),
        "wheel from the sdist": next(chained.glob("*.whl")),
    }


@pytest.fixture(scope="module", params=FORMS)
def installed(
    request: pytest.FixtureRequest, checkout: Path, artefacts: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """An environment with masdsl installed in one of the forms; returns its folder of commands."""
    home = tmp_path_factory.mktemp("environment")
    venv.create(home, with_pip=False, symlinks=True)
    commands = home / ("Scripts" if os.name == "nt" else "bin")
    python = str(commands / "python")
    site = _run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    ours = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    Path(site, "dependencies.pth").write_text("\n".join(sorted(ours)), encoding="utf-8")
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", "--quiet")
    if request.param == "editable":
        _run(*pip, "--no-build-isolation", "--editable", str(checkout))
    else:
        _run(*pip, str(artefacts[request.param]))
    return commands


def test_the_command_works_from_anywhere(installed: Path, tmp_path: Path) -> None:
    program = tmp_path / "x.mas"
    program.write_text(PROGRAM, encoding="utf-8")
    for command in ([str(installed / "mas")], [str(installed / "python"), "-m", "masdsl"]):
        _run(*command, "check", str(program), cwd="/", MASDSL_CACHE=str(tmp_path / "cache"))


def test_data_files_are_those_of_the_checkout(installed: Path, checkout: Path) -> None:
    package, grammar = _run(str(installed / "python"), "-c", WHERE, cwd="/").split()
    base = Path(grammar).parent.parent
    if base == checkout:
        assert Path(package) == checkout / "masdsl"  # editable: nothing is copied
    else:
        assert base == Path(package)
        for name in DATA:
            assert _digests(base / name) == _digests(checkout / name)


def test_both_wheels_have_the_same_files(artefacts: dict[str, Path], checkout: Path) -> None:
    names = [sorted(zipfile.ZipFile(artefacts[form]).namelist()) for form in FORMS[:2]]
    assert names[0] == names[1]
    assert {"masdsl/examples/pool/adas_debate.mas", "masdsl/meta/prompts/generator.jinja"} <= set(names[0])
    page = {"index.html", "main.js", "style.css", "codemirror.js", "codemirror.LICENSE.txt"}
    assert {f"masdsl/playground/page/{name}" for name in page} <= set(names[0])
    tops = {name.partition("/")[0] for name in names[0]}
    assert tops == {"masdsl", next(top for top in tops if top.endswith(".dist-info"))}
    assert not [name for name in names[0] if name.endswith((".pyc", "_mas.py"))]


def test_the_sdist_has_what_a_contributor_needs(artefacts: dict[str, Path]) -> None:
    with tarfile.open(artefacts["sdist"]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for wanted in (
        "LICENSE",
        "README.md",
        "pyproject.toml",
        ".ci/run",
        "tests/conftest.py",
        "examples/hello/hello.mas",
    ):
        assert wanted in names
