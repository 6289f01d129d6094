"""Everything that reads more than a row: one module a subject. Nothing here writes, or words anything for people."""
