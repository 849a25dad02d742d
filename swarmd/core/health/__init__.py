"""Whether an instance is well: what is remembered of it, what follows, when it is asked next."""
