"""Execute recipes: plan, sampling, sweeps, and the proof that a run is what its recipe says."""
