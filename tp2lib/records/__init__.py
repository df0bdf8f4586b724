"""What was asked for, and what is kept of it; every file is foreign until it is checked."""
