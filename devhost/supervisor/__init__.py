"""The host's side of its worker: start it, ask it, start it again."""
