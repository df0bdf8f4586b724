"""The report's experiments, judged blind and measured."""
