"""The demo: a mail platform of invented people on two private servers, and the panel that moves it before your eyes.

Everything here is thrown away: the servers and their mail live in a temporary folder, the panel in a folder of its own
that is emptied at each start. What is not the demo's is never touched (``folder``).
"""
