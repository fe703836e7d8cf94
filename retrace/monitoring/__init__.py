"""In production: has the data or the model's performance changed, and how sure is that? Pure functions, no files."""
