"""The example of ``deploy/`` as tests apply it: no controller runs, they are the controller."""

from __future__ import annotations

import yaml

from tests.rig.cluster import paths
from tests.rig.cluster.providers import Cluster

EXAMPLE = paths.REPOSITORY / "deploy/examples/small"


def example(cluster: Cluster) -> str:
    """Its objects, without a replica of the controller."""
    rendered = cluster.kubectl("kustomize", str(EXAMPLE))
    objects = [found for found in yaml.safe_load_all(rendered) if found]
    for found in objects:
        if found["kind"] == "Deployment":
            found["spec"]["replicas"] = 0
    return yaml.safe_dump_all(objects)
