"""What is said over the few centimetres of a tap: ISO-DEP, APDUs, Type 4 tags, TNEP, data transfer. Sans-I/O."""
