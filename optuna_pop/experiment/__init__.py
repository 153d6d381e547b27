"""A search of networks: what a study was made for, its objective, its workers."""
