"""Search for better arguments of the model, by cross-validation within train."""
