"""``-q`` silences the bars, until the next command is parsed."""

import argparse

from fashion_xai.progress import ProgressBar, add_quiet


def test_a_quiet_command_shows_no_bar(capsys):
    for flags, shown in (([], True), (["-q"], False), ([], True)):
        parser = argparse.ArgumentParser()
        add_quiet(parser)
        assert vars(parser.parse_args(flags)) == {}
        assert list(ProgressBar(range(3), desc="work")) == [0, 1, 2]
        assert ("work" in capsys.readouterr().err) is shown
