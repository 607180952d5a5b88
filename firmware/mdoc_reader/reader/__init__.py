"""The state machine that walks one presentation through every room, and the supervisor of what lives longer."""
