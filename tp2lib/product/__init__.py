"""The mini-product of notebook 05."""
