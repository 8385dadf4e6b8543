"""What `benches/compare` is made of; the standard library of Python 3.10 or newer is enough."""
