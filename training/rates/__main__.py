"""`python -m training.rates`."""

from training.rates.command import main

if __name__ == "__main__":
    raise SystemExit(main())
