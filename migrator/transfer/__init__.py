"""What to do about mail: map, plan, copy, verify, and remember it in a ledger."""
