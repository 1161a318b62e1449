"""What the code declares, merged with what people changed."""
