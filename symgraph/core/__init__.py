"""The language itself: types, ops, operands, applying an op, graphs."""
