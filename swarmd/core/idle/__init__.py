"""Whether an instance is used, and when one that is not used, or too old, is stopped.

What is not known is never taken for idleness. Seconds are counted on a clock that nobody sets,
so that a jump of the wall clock stops nothing; the wall clock is for people.
"""
