"""The tests of PixelBloom. `unit` and `integration` are laid out like the package."""

from pathlib import Path

#: The folder of the repository.
ROOT = Path(__file__).parents[1]
