"""What is measured: counted, added up, told over time (seed 000, section 6)."""
