"""Where mail lives: one file per kind of store, all held to the contracts of base.py."""
