"""The words every room shares. Values only: no logic, no I/O, no settings."""
