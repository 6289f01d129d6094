"""Everything that writes: one module a subject, functions that read as sentences. Services never import tasks."""
