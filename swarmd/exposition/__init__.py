"""Figures for Prometheus: their text, and where it is fetched."""
