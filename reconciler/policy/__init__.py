"""Policy YAML → values, with every problem at its file, line and column.

`parse_files` and `parse_config` are the way in; `render_problems` and `render_json` show what
they found. The language itself stands in `reconciler.policy.language`.
"""

from reconciler.policy.parsing import is_config_file, is_policy_file, parse_config, parse_files
from reconciler.policy.rendering import (
    render_count,
    render_json,
    render_problems,
    render_valid,
)
from reconciler.policy.rereading import Rereader

__all__ = [
    "Rereader",
    "is_config_file",
    "is_policy_file",
    "parse_config",
    "parse_files",
    "render_count",
    "render_json",
    "render_problems",
    "render_valid",
]
