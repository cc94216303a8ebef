"""Configuration -> Index: one module for each kind of index."""
