"""The laws of bits at the flags that users get: other tests are compiled without optimisation."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
# A dense game, teams, games with memory, with turns of their own draws, with convolutions.
GAMES = ("gman_dropout", "cyclegan", "wgan_gp", "bn_team", "mad_gan.py", "gan.py", "dcgan.py")
LAW = "test_a_seed_is_a_run_to_the_bit_and_however_it_is_split"
TESTS = [
    *(f"test_laws.py::{LAW}[{name}]" for name in GAMES),
    "test_resume.py::test_stopped_by_sigterm_it_goes_on_where_it_stopped",
    "test_resume.py::test_a_sequential_lane_has_the_bits_of_its_single_run",
    "test_resume.py::test_measuring_and_saving_change_no_parameter",
    "test_laws.py::test_a_game_that_is_lost_stays_where_it_was",
]


@pytest.mark.slow
def test_the_laws_of_bits_hold_at_the_flags_that_users_get() -> None:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-m", "not gpu", "-rA"]
    done = subprocess.run(
        [*command, *(str(HERE / test) for test in TESTS)],
        env={**os.environ, "XLA_FLAGS": ""},  # conftest.py leaves flags that are set as they are
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("\nPASSED ") == len(TESTS)
