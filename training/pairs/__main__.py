"""`python -m training.pairs TREES... -o PAIRS`."""

from training.pairs.command import main

if __name__ == "__main__":
    raise SystemExit(main())
