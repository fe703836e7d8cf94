"""After the merge: the model is scored once on test, packed into one file, described, and tagged."""
