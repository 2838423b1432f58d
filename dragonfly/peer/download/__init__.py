"""One client's download, from the request to the last byte."""
