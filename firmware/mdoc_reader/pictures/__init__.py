"""Portraits: decoded in a process of their own that holds no key and can open nothing."""
