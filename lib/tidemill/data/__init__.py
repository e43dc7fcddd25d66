"""Tables, contracts, readers, the commit primitive and its ledger."""
