"""Account lists: one file per format, each read into the Roster of base.py."""
