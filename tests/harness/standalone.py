"""Compiled programs in an environment that holds Python, `masdsl.runtime` and what that requires, and nothing else.

    environment = Environment(folder / "site")          # no compiler, no lark, no model library, no site-packages
    programs = written(range(8), folder / "programs")   # by a model that knows nothing, under the decoder
    build(programs); reports = environment.run(programs)

What is there is a folder of links: the rooms of masdsl that the runtime may use (`tests.test_layers`), and the
distributions that it imports with what those require. Python is started without any other path (`-I -S`).
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import distribution
from pathlib import Path
from typing import Any, Final, NamedTuple

import masdsl
from masdsl.cli.build import output_path
from masdsl.config import DEFAULT
from masdsl.decode.draft import begin
from masdsl.decode.write import write
from masdsl.runtime import RunFailed
from masdsl.runtime.models.scripted import ScriptedModel
from masdsl.runtime.shapes import plain, type_of
from tests.harness.adversary import largest
from tests.harness.programs import granted
from tests.harness.random_writer import RandomWriter
from tests.test_layers import ALLOWED

ROOT: Final = Path(__file__).parents[2]
REQUIRED: Final = ("jinja2", "pydantic")
"""What `masdsl.runtime` imports; libraries of models are imported by the adapters of those models alone."""
SIGNATURE: Final = "flow main(query) -> text"
HEADERS: Final = (
    "budget calls 12\n",
    'budget calls 12\ntool look(q: text(40)) -> text(60) from "web.look"\n',
    "type Grade = good | bad\nbudget calls 8\n",
    "type Pair { a: int, b: text(9) }\nbudget calls 8\n",
)
"""What programs begin with, in turn."""
CONFIG: Final = DEFAULT._replace(tools=granted("web.look"))
QUERY: Final = "What is known about the harbour?"

DRIVER: Final = """
import sys
sys.path.append(sys.argv[1])
import importlib.util, json, traceback
from pathlib import Path
from masdsl.runtime import RunFailed
from masdsl.runtime.models.scripted import ScriptedModel
from masdsl.runtime.shapes import plain

for path in map(Path, sys.argv[2:]):
    data = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    try:
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        result = module.PROGRAM.run_sync(
            "main", data["inputs"], models=ScriptedModel(data["replies"]), tools={"web.look": lambda q: data["found"]}
        )
        told = {"value": plain(result.value), "calls": result.calls}
    except RunFailed as failure:
        told = {"failed": str(failure), "calls": failure.result.calls}
    except BaseException:
        told = {"crashed": traceback.format_exc()}
    print(json.dumps(told), flush=True)
names = {name.partition(".")[0] for name in sys.modules} - set(sys.stdlib_module_names)
there = [name for name in ("lark", "litellm", "httpx", "masdsl.syntax", "masdsl.check") if _is_there(name)]
print(json.dumps({"modules": sorted(name for name in names if not name.endswith("_mas")), "there": there}))
"""
IS_THERE: Final = """
def _is_there(name):
    import importlib.util
    return importlib.util.find_spec(name) is not None
"""


class Written(NamedTuple):
    """A program in a file, with its inputs and replies beside it, and what a run in this environment gives."""

    path: Path
    text: str
    expected: Mapping[str, Any]


class Report(NamedTuple):
    """What runs gave, one after the other; the modules that were loaded, and what should not be there and is."""

    runs: tuple[Mapping[str, Any], ...]
    modules: tuple[str, ...]
    there: tuple[str, ...]


class Environment:
    """A folder with all that a compiled program needs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        package = folder / "masdsl"
        package.mkdir(parents=True)
        rooms = {"runtime", *ALLOWED["runtime"]}
        while more := {inner for room in rooms for inner in ALLOWED[room]} - rooms:
            rooms |= more
        for room in (*sorted(rooms), "__init__"):
            source = ROOT / "masdsl" / room
            source = source if source.is_dir() else source.with_suffix(".py")
            (package / source.name).symlink_to(source)
        for name in sorted(_closure(REQUIRED)):
            found = distribution(name)
            for top in sorted(
                {file.parts[0] for file in found.files or () if file.parts[0] not in ("..", "__pycache__")}
            ):
                (folder / top).symlink_to(Path(str(found.locate_file(top))))

    def run(self, programs: Sequence[Written], timeout: float = 240) -> Report:
        """Run built programs, one after the other, in one process."""
        paths = [str(output_path(str(one.path))) for one in programs]
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", IS_THERE + DRIVER, str(self.folder), *paths],
            capture_output=True, text=True, check=False, timeout=timeout, env={}, cwd=self.folder,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        *runs, last = map(json.loads, done.stdout.splitlines())
        return Report(tuple(runs), tuple(last["modules"]), tuple(last["there"]))


def _closure(names: Iterable[str]) -> set[str]:
    """Return distributions and what they require on this machine, without extras."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop().lower().replace("_", "-")
        if name in found:
            continue
        found.add(name)
        for line in distribution(name).requires or ():
            if "extra ==" not in line and "sys_platform" not in line:
                waiting.append(re.split(r"[^A-Za-z0-9_.-]", line, maxsplit=1)[0])
    return found


def written(seeds: Iterable[int], folder: Path, tokens: int = 2_000) -> list[Written]:
    """Let a model that knows nothing write programs under the decoder; put each, and what its run needs, into files."""
    folder.mkdir(parents=True)
    (folder / "mas.toml").write_text('[tools]\n"web.look" = "hosted:look"\n', encoding="utf-8")
    found = []
    for seed in seeds:
        draft = begin(SIGNATURE, CONFIG, header=HEADERS[seed % len(HEADERS)])
        text = asyncio.run(write(draft, RandomWriter(), tokens=tokens, seed=seed)).text
        path = folder / f"program_{seed}.mas"
        path.write_text(text, encoding="utf-8")
        found.append(_expected(path, text))
    return found


def _expected(path: Path, text: str) -> Written:
    looked = "the harbour"
    loaded = masdsl.load(path, config=CONFIG, models=ScriptedModel({}), tools={"web.look": lambda q: looked})
    replies = {}
    for name, agent in loaded.compiled.agents.items():
        value = largest(type_of(agent.returns), "word ", 0.3)
        replies[name] = {"answer": value} if agent.steps else value if isinstance(value, str) else json.dumps(value)
    data = {"inputs": {"query": QUERY}, "replies": replies, "found": looked}
    path.with_name(Path(output_path(str(path))).name).with_suffix(".json").write_text(
        json.dumps(data), encoding="utf-8"
    )
    again = masdsl.load(path, config=CONFIG, models=ScriptedModel(replies), tools={"web.look": lambda q: looked})
    try:
        result = again.main.run_sync(query=QUERY)
    except RunFailed as failure:
        return Written(path, text, {"failed": str(failure), "calls": failure.result.calls})
    return Written(path, text, {"value": plain(result.value), "calls": result.calls})


def build(programs: Sequence[Written]) -> None:
    """Compile programs to files: `mas build`."""
    command = [sys.executable, "-m", "masdsl", "build", *(str(one.path) for one in programs)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
