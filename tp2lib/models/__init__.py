"""The models, the embedded one included: which there are, which one fits this machine, and how one is loaded."""
