"""The shelf of audits: one file is one question put to a model, its name is the audit's name."""
