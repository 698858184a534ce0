"""From an open journal to a sealed recording, and the ledger of all calls."""
