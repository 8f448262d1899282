"""`python -m masdsl` is the command `mas`."""

from masdsl.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
