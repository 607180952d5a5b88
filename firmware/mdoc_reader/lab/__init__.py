"""The far ends in software: an issuer, a phone, a camera set, a panel. For the demo, the tests and integrators."""
