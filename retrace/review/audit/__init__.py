"""What each stage of the pipeline really reads, beside what dvc.yaml declares."""
