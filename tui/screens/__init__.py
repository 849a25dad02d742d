"""What is asked in front of a view."""
