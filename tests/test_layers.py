"""Which room may use which: the picture of the house, kept true.

A room is a folder of `masdsl/` or a module directly in it. Every import statement counts, wherever it stands; relative
imports are resolved. Two properties follow that users pay for: a compiled program needs `masdsl.runtime` alone, and
checking a program never loads a model library.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "masdsl"

# room -> the rooms that it may import. A room may always import itself.
BASE = {"node", "source", "limits", "money", "sizes", "resources", "types", "formats", "redaction", "version"}
FRONT = BASE | {"reading", "diagnostics"}
COMPILER = FRONT | {"config", "tools", "syntax", "check", "bounds", "trust", "lower", "emit", "verify"}
ALLOWED: dict[str, set[str]] = {
    "node": set(),
    "limits": set(),
    "money": set(),
    "sizes": {"limits"},
    "tokenizers": set(),
    "redaction": set(),
    "resources": set(),
    "fences": set(),
    "version": set(),
    "source": {"node"},
    "types": {"node"},
    "formats": {"sizes", "types"},
    "diagnostics": BASE,
    "reading": BASE | {"diagnostics"},
    "config": FRONT,
    "pricing": BASE | {"config"},
    "syntax": FRONT,
    "tools": FRONT | {"config", "fences", "sandbox"},
    "check": FRONT | {"config", "syntax", "tools"},
    "bounds": BASE | {"check", "config", "diagnostics", "pricing", "tokenizers"},
    "trust": BASE | {"bounds", "check", "config", "diagnostics"},
    "graph": BASE | {"bounds", "check", "config", "diagnostics", "journal", "trust"},
    "report": BASE | {"diagnostics", "graph", "journal"},
    "lower": BASE | {"check"},
    "emit": BASE | {"check", "lower", "verify"},
    "verify": {"limits"},
    "sandbox": set(),
    "journal": {"node", "limits", "sizes", "version", "types"},
    "runtime": FRONT | {"config", "fences", "journal", "pricing", "tokenizers", "tools", "verify"},
    "patch": FRONT | {"syntax"},
    "decode": COMPILER | {"patch", "pipeline", "runtime"},
    "suppressions": FRONT | {"config", "syntax"},
    "fixes": BASE | {"diagnostics"},
    "cache": FRONT,
    "pipeline": COMPILER | {"graph", "runtime", "suppressions"},
    "testing": COMPILER | {"pipeline", "runtime"},
    "rectify": COMPILER | {"journal", "patch", "pipeline", "pricing", "runtime"},
    "project": set(),
    "tracing": COMPILER | {"pricing", "rectify", "runtime"},
    "loaded": COMPILER | {"journal", "pipeline", "pricing", "rectify", "runtime", "tracing"},
    "editor": COMPILER | {"fixes", "patch", "pipeline"},
    "pygments_lexer": {"editor"},
    "lsp": BASE | {"config", "diagnostics", "editor"},
    "meta": COMPILER
    | {
        "batch",
        "decode",
        "fixes",
        "journal",
        "loaded",
        "patch",
        "pipeline",
        "pricing",
        "rectify",
        "runtime",
        "testing",
        "tracing",
    },
    "batch": COMPILER
    | {"journal", "loaded", "patch", "pipeline", "pricing", "rectify", "runtime", "sandbox", "tracing"},
    "mcp_server": COMPILER | {"api", "fixes", "graph", "loaded", "meta", "patch", "pipeline", "runtime", ""},
    "interop": COMPILER | {"runtime"},
    "serve": COMPILER | {"journal", "loaded", "pipeline", "pricing", "rectify", "runtime"},
    "api": COMPILER | {"batch", "loaded", "meta", "patch", "pipeline", "pricing", "runtime", "testing"},
    "playground": COMPILER | {"api", "graph", "journal", "loaded", "patch", "rectify", "runtime", "serve"},
    "cli": COMPILER
    | {"", "api", "cache", "decode", "fixes", "graph", "journal", "loaded", "meta", "patch", "pipeline", "pricing"}
    | {"batch", "project", "rectify", "report", "runtime", "sandbox", "serve", "testing", "tracing"}
    | {"interop", "lsp", "mcp_server", "playground"},
    "": FRONT | {"api", "batch", "config", "loaded", "meta"},
    "__main__": {"cli"},
}

# Third-party package -> the modules that may import it, by prefix.
THIRD_PARTY: dict[str, tuple[str, ...]] = {
    "lark": ("masdsl.decode.bnf", "masdsl.syntax"),
    "jinja2": ("masdsl.check", "masdsl.interop.langgraph_support", "masdsl.meta.prompting", "masdsl.runtime"),
    "pydantic": ("masdsl.interop.langgraph_support", "masdsl.mcp_server.server", "masdsl.runtime"),
    "langchain_core": ("masdsl.interop.langgraph_support",),
    "langgraph": ("masdsl.interop.langgraph_support",),
    "yaml": ("masdsl.interop",),
    "httpx": ("masdsl.runtime.models",),
    "mcp": ("masdsl.mcp_server.server", "masdsl.tools.mcp_connection", "masdsl.tools.mcp_process"),
    "mcp_types": ("masdsl.mcp_server.server", "masdsl.tools.mcp_connection", "masdsl.tools.mcp_process"),
    "anyio": ("masdsl.tools.mcp_process",),
    "httpx2": ("masdsl.tools.mcp_http",),
    "litellm": ("masdsl.runtime.models",),
    "lsprotocol": ("masdsl.lsp",),
    "pygls": ("masdsl.lsp",),
    "pygments": ("masdsl.pygments_lexer",),
    "xllamacpp": ("masdsl.runtime.models",),
    "fast_sugiyama": ("masdsl.graph.layers",),
    "llguidance": ("masdsl.runtime.models.transformers_model",),
    "tokenizers": ("masdsl.meta.embedding", "masdsl.tokenizers"),
    "torch": ("masdsl.runtime.models.transformers_model",),
    "transformers": ("masdsl.runtime.models.transformers_model",),
    "numpy": ("masdsl.meta.embedding",),
    "psycopg": (
        "masdsl.batch.engines.dbos",
        "masdsl.batch.engines.dbos_worker",
        "masdsl.batch.engines.heartbeat",
        "masdsl.journal.postgres",
    ),
    "dbos": ("masdsl.batch.engines.dbos", "masdsl.batch.engines.dbos_worker"),
    "ray": ("masdsl.batch.engines.ray",),
    "pyarrow": ("masdsl.batch.rows", "masdsl.batch.tables"),
    "datasets": ("masdsl.batch.rows",),
    "matplotlib": ("masdsl.batch.plots",),
    "fastapi": ("masdsl.serve",),
    "starlette": ("masdsl.playground", "masdsl.serve"),
    "uvicorn": ("masdsl.playground", "masdsl.serve"),
    "prometheus_client": ("masdsl.serve",),
    "opentelemetry": ("masdsl.tracing",),
    "rich": ("masdsl.cli.live",),
}

# The same for `training/`, which is a part of the checkout alone.
TRAINING_THIRD_PARTY: dict[str, tuple[str, ...]] = {
    "matplotlib": ("training.experiments.parts.reports",),
    "numpy": ("training.data",),
    "sklearn": ("training.data.grouping",),
    "tokenizers": ("training.data.export", "training.models.tiny"),
    "torch": (
        "training.models.adapters",
        "training.models.backbone",
        "training.cto.losses",
        "training.cto.trainers",
        "training.trainer.optimisation",
        "training.models.tiny",
        "training.trainer.watching",
    ),
    "transformers": (
        "training.models.backbone",
        "training.trainer.checkpoints",
        "training.cto.stage",
        "training.sft.training",
        "training.models.tiny",
        "training.trainer.watching",
    ),
    "accelerate": ("training.trainer.checkpoints", "training.sft.training"),
    "datasets": ("training.cto.trainers", "training.sft.training", "training.trainer.watching"),
    "trl": ("training.cto.losses", "training.cto.trainers", "training.sft.training"),
    "peft": ("training.models.adapters",),
    "huggingface_hub": ("training.models.backbone",),
    "safetensors": ("training.generator.ship", "training.sft.training"),
}
TRAINING_ROOMS = {"batch", "meta", "runtime", "config", "diagnostics", "resources"}
TRAINING_ROOMS |= {"check", "decode", "graph", "journal", "loaded", "money", "rectify", "sizes", "verify"}
"""What `training` may use of masdsl besides its public names; of the runtime, what hosts use: limits and models; of
config and diagnostics, what reads TOML: where keys stand, near names; of resources, where the cache is;
of journal, loaded and rectify, what forks runs where they stand; of check and decode, what those are told in; of
sizes, how long a text is; of money, how many picodollars a dollar has; of graph, which steps of a program hang on
which; of verify, how a text is refused that is no generated code."""

HEAVY: tuple[str, ...] = ("litellm", "mcp", "httpx", "sqlite3", "pygls", "lsprotocol")
HEAVY += ("openai", "torch", "transformers", "trl", "pydantic", "tokenizers", "xllamacpp")


def _modules(package: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


MODULES = dict(_modules(PACKAGE))
TRAINING = dict(_modules(ROOT / "training"))


def _room(module: str) -> str:
    """Return the room of a module; `cache_key` is a part of `cache`."""
    name = [*module.split("."), ""][1]
    return name if name in ALLOWED else name.partition("_")[0]


def _imports(module: str, path: Path) -> Iterator[tuple[str, int]]:
    """Yield the full name of everything imported, and the line."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package.split(".")[: len(package.split(".")) - node.level + 1]) if node.level else ""
            source = ".".join(part for part in (base, node.module or "") if part)
            for (
                alias
            ) in node.names:  # `from masdsl import limits` imports a module, `from masdsl.limits import X` does not
                full = f"{source}.{alias.name}"
                yield (full if full in MODULES else source), node.lineno


def test_every_room_is_in_the_table() -> None:
    assert {_room(module) for module in MODULES} <= set(ALLOWED), "give the new room its row in ALLOWED"


@pytest.mark.parametrize("module", MODULES)
def test_a_room_uses_only_the_rooms_below_it(module: str) -> None:
    room = _room(module)
    faults = []
    for imported, line in _imports(module, MODULES[module]):
        top = imported.split(".")[0]
        if top == "masdsl":
            if _room(imported) not in ALLOWED[room] | {room}:
                faults.append(f"{MODULES[module]}:{line}: {room or 'masdsl'} may not import {imported}")
        elif top in ("grammar", "stdlib", "tests", "training", "examples"):
            faults.append(f"{MODULES[module]}:{line}: {top}/ is importable in a checkout only")
        elif top not in sys.stdlib_module_names:
            allowed = THIRD_PARTY.get(top, ())
            if not any(module == prefix or module.startswith(f"{prefix}.") for prefix in allowed):
                faults.append(f"{MODULES[module]}:{line}: {module} may not import {top}")
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("module", TRAINING)
def test_training_uses_public_names_the_meta_agents_and_batches(module: str) -> None:
    faults = []
    for imported, line in _imports(module, TRAINING[module]):
        top = imported.split(".")[0]
        where = f"{TRAINING[module]}:{line}"
        if top == "masdsl":
            if imported != "masdsl" and _room(imported) not in TRAINING_ROOMS:
                faults.append(f"{where}: training may not import {imported}")
        elif top != "training" and top not in sys.stdlib_module_names:
            allowed = TRAINING_THIRD_PARTY.get(top, ())
            if not any(module == prefix or module.startswith(f"{prefix}.") for prefix in allowed):
                faults.append(f"{where}: {module} may not import {top}")
    assert not faults, "\n".join(faults)


TRAINING_FOLDERS = {path.parent.relative_to(ROOT).as_posix() for path in (ROOT / "training").rglob("__init__.py")}


@pytest.mark.parametrize("name", sorted(TRAINING_FOLDERS))
def test_a_room_of_training_says_what_its_modules_are(name: str) -> None:
    room = ROOT / name
    own = {path.stem for path in room.glob("*.py")} - {"__init__", "__main__"}
    if name == "training":
        assert not own, "every module of training stands in a room"
        own = {path.name for path in room.iterdir() if path.is_dir() and not path.name.startswith("_")}
        listed = re.findall(r"^\| `(\w+)/` ", (room / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    elif name == "training/experiments":
        listed = [*re.findall(r'"(\w+)": "', (room / "__main__.py").read_text(encoding="utf-8")), "front_arithmetic"]
    else:
        listed = re.findall(r"^(\w+) +\S", (room / "__init__.py").read_text(encoding="utf-8"), re.MULTILINE)
    assert own <= set(listed)


def test_the_table_allows_no_cycle_between_rooms() -> None:
    seen: dict[str, int] = {}

    def visit(room: str, trail: tuple[str, ...]) -> None:
        assert room not in trail, f"{' -> '.join((*trail, room))}"
        if room not in seen:
            for below in ALLOWED[room]:
                visit(below, (*trail, room))
            seen[room] = 1

    for room in ALLOWED:
        visit(room, ())


def test_grammar_and_stdlib_hold_no_python() -> None:
    """An editable install refuses to remap a Python file (see `pyproject.toml`)."""
    assert [str(path) for name in ("grammar", "stdlib") for path in (ROOT / name).rglob("*.py")] == []


# ---------------------------------------------------------------- what a process really loads


def _loaded(code: str, cwd: Path) -> set[str]:
    """Run code in a fresh interpreter; return the names of all modules that it loaded."""
    script = f"import sys\n{code}\nprint('\\n'.join(['LOADED', *sorted(sys.modules)]))"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=cwd, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.partition("LOADED\n")[2].split())


COMMAND = """
from masdsl.cli import main
sys.argv = ["mas", *{arguments!r}]
try:
    code = main()
except SystemExit as stop:
    code = stop.code
assert not code, code
"""

PROGRAM = """mas 1

type Mood = good | bad

agent judge(review) -> Mood on fast
  "Is this review good or bad? {{ review }}"

flow main(review) -> Mood {
  mood = judge(review)
  return mood
}
"""


def test_importing_masdsl_loads_no_model_library() -> None:
    assert not _loaded("import masdsl", ROOT) & {*HEAVY, "asyncio", "jinja2", "lark", "masdsl.tools"}


def test_the_arithmetic_of_training_loads_no_model_library() -> None:
    loaded = _loaded("import training.pairs.command, training.cto.preference_loss", ROOT)
    assert not loaded & {"torch", "transformers", "trl", "litellm", "xllamacpp", "numpy"}


def test_a_compiled_program_loads_no_compiler() -> None:
    loaded = _loaded("import masdsl.runtime", ROOT)
    assert not {module for module in loaded if module.startswith("masdsl.")} & {
        f"masdsl.{room}" for room in ("syntax", "check", "lower", "emit", "pipeline", "cli")
    }
    assert not loaded & {"litellm", "openai", "torch", "transformers", "xllamacpp", "lark"}


@pytest.mark.parametrize(
    "arguments", [["check", "x.mas"], ["fmt", "--check", "x.mas"], ["build", "x.mas"], ["explain", "MAS101"]]
)
def test_static_commands_load_no_model_library(arguments: list[str], tmp_path: Path) -> None:
    (tmp_path / "x.mas").write_text(PROGRAM, encoding="utf-8")
    assert not _loaded(COMMAND.format(arguments=arguments), tmp_path) & {*HEAVY, "asyncio"}


def test_a_program_without_template_marks_is_checked_without_jinja2(tmp_path: Path) -> None:
    (tmp_path / "x.mas").write_text(PROGRAM.replace(" {{ review }}", ""), encoding="utf-8")
    assert "jinja2" not in _loaded(COMMAND.format(arguments=["check", "x.mas"]), tmp_path)
