"""Decision to world: light, sound, display, relay; later Wiegand, OSDP, MQTT, webhooks, audit."""
