"""The language: CBOR, COSE, engagement, transcript, session, request, response, MSO. Bytes in, values out; no I/O."""
