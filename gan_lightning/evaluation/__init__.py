"""From samples and features to numbers, cards and pictures that people look at."""
