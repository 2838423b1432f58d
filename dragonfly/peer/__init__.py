"""The peer role: downloads pieces, serves them, answers its home's dfgets."""
