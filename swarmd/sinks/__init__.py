"""Who is told of alerts: the log, a program, webhooks.

A sink is made from the configuration; what it needs is imported only then.
"""

from swarmd.sinks.making import make_sinks

__all__ = ["make_sinks"]
