"""HTTP as values: what the front and those who answer say to each other; knows no reactor."""
