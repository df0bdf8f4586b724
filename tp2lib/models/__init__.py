"""The models, with the embedded one: list them, choose one for this machine, load it."""
