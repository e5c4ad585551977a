"""``python -m eprimg``: the command line."""

from eprimg.cli import main

if __name__ == "__main__":
    main()
