"""The terminal app: one more face of the client. Nothing in ``swarmd`` imports it."""
