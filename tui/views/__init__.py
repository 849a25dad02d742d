"""One file per view: what it shows of a snapshot, and which keys it has."""
