"""Networks around whatever network they are given."""
