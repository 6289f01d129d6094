"""Gates: what a front server asks at each sign-in or letter, and what it is answered. Formats, decisions, a table."""
