"""Evidence to verdict: certificate path, issuer signature, digests, device key, validity, age rules."""
