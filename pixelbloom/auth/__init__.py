"""Authentication: turns tokens into a `Principal`. Independent of HTTP."""
