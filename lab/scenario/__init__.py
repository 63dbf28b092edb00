"""The scenario language: YAML files checked against a schema, all mistakes reported at once."""
