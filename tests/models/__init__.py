"""Generators of ONNX models: deterministic, seeded, in the spellings that exporters write."""
