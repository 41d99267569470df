"""The layers that networks are made of, and how their first weights are drawn."""
