"""``python -m reconciler`` is the command ``backstay``."""

from reconciler.cli.main import main

main()
