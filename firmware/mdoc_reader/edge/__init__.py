"""The network side, a process of its own: it fetches what nobody has to trust, and sees nothing of the reader."""
