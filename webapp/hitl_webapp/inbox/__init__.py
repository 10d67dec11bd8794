"""The inbox: which questions wait for a visitor, and how the others ended. Loaded when first needed."""
