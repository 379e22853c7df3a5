"""The node's log files are looked for while pods come and go."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.rig.stage import faults, logs
from tests.rig.stage.logs import log_files


def test_a_pod_that_goes_meanwhile_is_passed_over(tmp_path: Path) -> None:
    pods = ("shop_db-0_1", "shop_mover_2", "shop_web_3")
    for pod in pods:
        (tmp_path / pod / "main").mkdir(parents=True)
        (tmp_path / pod / "main/0.log").touch()
    looking = log_files(tmp_path)
    first = next(looking)
    gone = next(pod for pod in pods if not first.startswith(pod))
    shutil.rmtree(tmp_path / gone)
    assert sorted([first, *looking]) == sorted(f"{pod}/main/0.log" for pod in pods if pod != gone)


def test_a_log_file_is_read_without_its_frame_and_a_long_line_is_one() -> None:
    frame = "2026-11-21T04:17:03.1Z stdout"
    text = f'{frame} F {{"event": "a  b"}}\n{frame} P {{"event": \n{frame} F "c"}}\n{frame} F {{"e'
    assert logs.unframed(text) == '{"event": "a  b"}\n{"event": "c"}\n{"e\n'
    assert faults.log_lines(logs.unframed(text)) == [{"event": "a  b"}, {"event": "c"}]
