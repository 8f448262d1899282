"""`python -m training.imitation TREES... --role ROLE -o ROWS`."""

from training.imitation.command import main

if __name__ == "__main__":
    raise SystemExit(main())
