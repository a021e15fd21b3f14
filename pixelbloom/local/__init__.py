"""The embedded stack of `pixelbloom up`: Postgres, PostgREST, Redis, and the supervisor of all processes."""
