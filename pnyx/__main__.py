"""`python -m pnyx`: the command line."""

from pnyx.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
