"""What tests, demo and benchmarks run on: tools, image, servers, clusters; all from packages."""
