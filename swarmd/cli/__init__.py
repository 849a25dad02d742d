"""``swarmctl``: a face of the client. Everything is imported when its command is invoked."""
