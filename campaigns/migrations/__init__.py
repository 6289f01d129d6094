"""The changes of the database, in order. One that has landed is never edited."""
