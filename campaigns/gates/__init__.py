"""The program that front servers ask: nginx at each sign-in, Postfix for each recipient. Apart from the pages."""
