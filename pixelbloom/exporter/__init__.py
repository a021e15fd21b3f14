"""The figures of the whole system, for Prometheus: those that Postgres and Redis hold, exported by one process.

Each worker and each web server reports what it did itself; these figures belong to none of them.
"""
