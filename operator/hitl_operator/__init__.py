"""The kopf operator that keeps HumanInput resources and storage in step."""
