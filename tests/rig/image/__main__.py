"""`python -m tests.rig.image build [--json]` and `… size`: build the image, or measure it."""

from __future__ import annotations

import argparse
import json
import sys

from tests.rig.image.build import ensure_image
from tests.rig.image.size import MB, layers
from tests.rig.tools.debian import ToolError


def main() -> int:
    """Print the image's name and archive, or the sizes of its layers; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.rig.image", description=__doc__)
    parser.add_argument("verb", choices=["build", "size"])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    try:
        image = ensure_image()
    except ToolError as error:
        print(f"image: {error}", file=sys.stderr)
        return 1
    if arguments.verb == "size":
        found = layers(image.archive)
        for layer in found:
            print(f"{layer.size / MB:8.1f} MB  {' '.join(layer.made_by.split())[:100]}")
        print(f"{sum(layer.size for layer in found) / MB:8.1f} MB  in all")
    elif arguments.json:
        print(json.dumps({"name": image.name, "archive": str(image.archive)}))
    else:
        print(image.name, image.archive, sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
