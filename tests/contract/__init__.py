"""One suite for every adapter of ``swarmd.ports.Provider``."""
