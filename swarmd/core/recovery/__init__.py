"""What is done about an ill instance: by a table of illnesses, with patience, up to a limit.

A new action is one file here and its line in ``table.ACTIONS``.
"""
