"""The engine: moves mail accounts between servers and remembers what it did.

Pure Python. Knows nothing of the panel, its framework, its queue or its settings; read README.md
for the vocabulary and the decisions.
"""
