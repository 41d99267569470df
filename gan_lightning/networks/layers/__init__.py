"""The layers that networks are made of, and how their initial weights are drawn."""
