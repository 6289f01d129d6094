"""Commands that run beside the pages: the supervisor, the ticker, backup, doctor."""
