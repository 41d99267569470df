"""The lab: small worlds with known answers, played by the package's own families, losses and penalties."""
