"""From a recipe to a run, and to the proof that it is one."""
