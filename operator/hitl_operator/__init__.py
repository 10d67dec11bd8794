"""The place of the kopf operator, which is not built yet."""
