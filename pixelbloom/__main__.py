"""`python -m pixelbloom` is the `pixelbloom` command."""

from pixelbloom.cli import main

main()
