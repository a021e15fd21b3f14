"""`python main.py` starts the whole stack, as `pixelbloom up` and `make run` do."""

from pixelbloom.cli import main

if __name__ == "__main__":
    main(["up"])
