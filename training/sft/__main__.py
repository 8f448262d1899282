"""`python -m training.sft CONFIG.toml --out DIR`: trains a generator on examples; the same again goes on."""

from __future__ import annotations

from training.stage.command import run_trainer


def main(arguments: list[str] | None = None) -> int:
    """Train; 0 when it is done, 2 for what cannot be used, 130 when it was interrupted."""
    return run_trainer("sft", __doc__, "the folder for checkpoints, the model and its manifest", _train, arguments)


def _train(config: str, out: str) -> None:
    from training.sft.training import read_sft, train

    train(read_sft(config), out)


if __name__ == "__main__":
    raise SystemExit(main())
