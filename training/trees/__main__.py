"""`python -m training.trees CONFIG.toml --out DIR`."""

from training.trees.command import main

if __name__ == "__main__":
    raise SystemExit(main())
