"""What is told of all this, each figure with its source."""
