"""`python -m training.cto CONFIG.toml --out DIR`: adapters for the meta-agents from preferences; the same goes on."""

from __future__ import annotations

from training.stage.command import run_trainer
from training.stage.settings import read_settings


def main(arguments: list[str] | None = None) -> int:
    """Train; 0 when it is done, 2 for what cannot be used, 130 when it was interrupted."""
    folder = "the folder: for each role checkpoints, an adapter, its manifest"
    return run_trainer("cto", __doc__, folder, _train, arguments)


def _train(config: str, out: str) -> None:
    from training.cto.plan import Plan
    from training.cto.stage import run

    run(read_settings(config, Plan), out)


if __name__ == "__main__":
    raise SystemExit(main())
