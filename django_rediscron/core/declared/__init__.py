"""What the code declares beside what people changed."""
