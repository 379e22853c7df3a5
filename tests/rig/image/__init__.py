"""The image that the cluster runs, built from the project's own Dockerfile and kept by its inputs.

`ensure_image()` costs nothing while the inputs are what they were, a few seconds after a change of
code, and a few minutes on a machine that never built it. Needs root; buildah and mmdebstrap are
installed where they are missing. Everything is kept in the cache folder, apart from any image
storage of the machine.
"""

from tests.rig.image.build import Image, ensure_image

__all__ = ["Image", "ensure_image"]
