"""The games: two players alternate, and what a family fills in."""
