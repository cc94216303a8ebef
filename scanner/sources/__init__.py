"""Reference -> Target: one module for each medium."""
