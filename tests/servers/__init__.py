"""Real servers for tests: fixtures `postgres` and `kafka`, each started once and only where a test asks for it."""
