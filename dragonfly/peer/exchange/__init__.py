"""What is said on the links of one task: asking, answering, HAVEs, flow control."""
