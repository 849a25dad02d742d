"""Where instances run: one folder per type, found by entry point, imported when configured."""
