"""What is written into a picture and read out of it: settings as text, provenance, the record; and pictures from anywhere, checked."""
