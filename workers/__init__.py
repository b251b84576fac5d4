"""The workshop: jobs, tensors and pictures."""
