"""How fast the engine copies, against what the servers themselves allow and against other tools. Run by hand."""
