"""Statistics: how many questions wait, how the others ended, how long people take. Loaded when first needed."""
