"""Local stand-ins for the clouds, so that the whole product runs on one machine."""
