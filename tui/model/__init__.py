"""What the app knows, and how it changes: pure, without Textual and without a socket."""
