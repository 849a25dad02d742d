"""swarmd: one daemon that runs VS Code instances wherever there is room."""

__version__ = "0.1.0"
