"""Supabase as a browser sees it, for the local stack: `/rest/v1` and `/auth/v1` at one loopback address.

For development alone: it binds to 127.0.0.1 and is not started where SUPABASE_URL is given.
"""
