"""Everything that reads more than one row: what pages and monitoring show, in few queries. Nothing here writes."""
