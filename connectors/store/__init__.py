"""The database that the projector fills from the topics and the desk reads: PostgreSQL, or SQLite without set-up.

All in it can be made anew from the topics; nothing is decided by it.
"""
