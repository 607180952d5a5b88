"""Verdict to decision: a pure conversation of bounded rounds."""
