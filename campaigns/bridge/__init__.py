"""The engine's Protocols on the panel's rows: ledger, journal, events, leases, sealed secrets, rescue folder."""
