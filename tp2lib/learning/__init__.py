"""What is asked of a learner, said back, and kept on their machine."""
