"""In production: the model answers requests, and each prediction is stored so that it can be computed again."""
