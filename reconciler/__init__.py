"""Backstay: declarative Kubernetes backups, from Git and into Git."""
