import json
import re
import signal
import subprocess
import sys
from unittest.mock import Mock

import pytest
import torch
from conftest import command, needs_posix

from cnncourse import trace
from cnncourse.__main__ import chosen, parser
from cnncourse.models.vgg import vgg11_small
from cnncourse.runs.checkpoints import read_checkpoint
from cnncourse.runs.record import Record
from cnncourse.tools import bench


def test_train_writes_record_and_checkpoint_and_prints_a_line_an_epoch(tmp_path):
    done = subprocess.run([sys.executable, "-m", "cnncourse", "train", "mnist_cnn", "--epochs", "2", "--out", tmp_path],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert [line.split()[:2] for line in done.stdout.splitlines()[:2]] == [["epoch", "1"], ["epoch", "2"]]
    assert "test accuracy" in done.stdout.splitlines()[-1]
    assert {p.name for p in tmp_path.iterdir()} == {"record.json", "checkpoint.pt", "best.pt"}


def test_a_finished_run_is_resumed_or_kept_and_has_the_seed_that_was_asked_for(tmp_path, capsys):
    words = ["train", "mnist_cnn", "--epochs", "1", "--seed", "3", "--out", tmp_path]
    assert command(*words) == 0
    assert Record.load(tmp_path / "record.json").config["seed"] == 3
    assert command(*words) == 2 and "holds a run of 1 epochs" in capsys.readouterr().err
    assert command(*words, "--resume") == 0


def test_comparing_computes_nothing(monkeypatch):
    nets, stages = [], trace.stages
    monkeypatch.setattr(trace, "stages", lambda net, *shape: nets.append(net) or stages(net, *shape))
    assert command("compare", "plain20", "resnet20") == 0
    assert nets and all(p.is_meta for net in nets for p in net.parameters())


def test_an_export_onto_the_notebook_itself_leaves_it_as_it_is(tmp_path, capsys):
    source = chosen(["04"])[0].read_bytes()
    (tmp_path / "04_vgg.ipynb").write_bytes(source)
    assert command("export", tmp_path / "04_vgg.ipynb", "--clean", "--out", tmp_path) == 2
    assert "holds the notebooks themselves" in capsys.readouterr().err
    assert (tmp_path / "04_vgg.ipynb").read_bytes() == source


@needs_posix
@pytest.mark.soak
def test_ctrl_c_leaves_record_and_checkpoint_and_says_so(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-m", "cnncourse", "train", "mnist_cnn", "--epochs", "1000", "--out", tmp_path],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))  # a shell's background jobs ignore Ctrl-C
    assert process.stdout.readline().startswith("epoch   1")  # a first epoch has finished
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 130 and "Traceback" not in errors
    rows = Record.load(tmp_path / "record.json").rows
    assert f"stopped by hand, after {len(rows)} of 1000 epochs" in errors and len(rows) >= 1
    assert Record.from_json(read_checkpoint(tmp_path / "checkpoint.pt")["record"]).rows == rows


def test_ctrl_c_before_the_first_epoch_is_one_sentence(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("cnncourse.experiment.run", Mock(side_effect=KeyboardInterrupt))
    assert command("train", "lenet5", "--out", tmp_path) == 130
    assert capsys.readouterr().err == "\ncnncourse: stopped by hand\n"


def test_a_benchmark_stopped_by_hand_has_printed_and_written_what_it_measured(monkeypatch, capsys, tmp_path):
    def suite(rounds, device):
        yield bench.Ratio("ours", "theirs", "2.00 [1.90 - 2.10]", "1.50 [1.40 - 1.60]")
        raise KeyboardInterrupt

    monkeypatch.setitem(bench.SUITES, "loop", suite)
    assert command("bench", "loop", "--json", tmp_path / "rows.json") == 130
    assert capsys.readouterr().out.splitlines()[-1].split()[:3] == ["ours", "theirs", "2.00"]
    written = json.loads((tmp_path / "rows.json").read_text())
    assert [row["cpu"] for row in written["rows"]] == ["1.50 [1.40 - 1.60]"] and written["machine"]["threads"] >= 1


def test_a_ratio_says_how_many_times_faster_ours_is(monkeypatch):
    clock = [0.0]

    def takes(seconds):
        clock[0] += seconds

    monkeypatch.setattr(bench.time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(bench.os, "times", lambda: (2 * clock[0], 0.0, 0.0, 0.0, 0.0))
    row = bench.ratio("ours", "theirs", lambda: takes(1), lambda: takes(4), rounds=3)
    assert row == bench.Ratio("ours", "theirs", "4.00 [4.00 - 4.00]", "4.00 [4.00 - 4.00]")
    row = bench.ratio("ours", "theirs", lambda: takes(1) or {"loss": 1.0}, lambda: takes(4), rounds=1, more=1.5)
    assert row.wall == "6.00 [6.00 - 6.00]"  # what a program returns is no time, unless it is a pair


@pytest.mark.parametrize("name", [name for name in bench.SUITES if name not in ("busy", "start")])
def test_each_suite_of_measurements_gives_a_row(name):
    row = next(bench.SUITES[name](1, "cpu"), None)
    assert row is None or float(row.wall.split()[0]) > 0


def test_a_measured_process_has_the_threads_that_were_asked_for():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        bench.process("import os; assert os.environ['OMP_NUM_THREADS'] == '3'")  # PyTorch takes no more than cores
    finally:
        torch.set_num_threads(before)


def test_a_device_that_the_machine_has_not_is_refused(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    for words in (["train", "lenet5", "--device", "cuda", "--out", tmp_path], ["bench", "loop", "--device", "cuda"]):
        with pytest.raises(SystemExit):
            command(*words)
        assert "no device 'cuda' on this machine: choose cpu" in capsys.readouterr().err


def test_a_lost_training_is_one_sentence_and_keeps_the_record(tmp_path, monkeypatch, capsys):
    from cnncourse.recipes import RECIPES, Recipe

    monkeypatch.setitem(RECIPES, "wild", Recipe(source="a test", lr=1e30, batch_size=32, epochs=2))
    assert command("train", "mnist_cnn", "--recipe", "wild", "--out", tmp_path) == 1
    message = capsys.readouterr().err
    assert "at step" in message and "lower the learning rate" in message and str(tmp_path) in message
    assert (tmp_path / "record.json").exists() and (tmp_path / "checkpoint.pt").exists()


@pytest.mark.parametrize("words", [["run", "01"], ["export", "01", "--solutions"]], ids=["run", "export"])
def test_notebooks_in_which_a_student_writes_are_never_overwritten(words, tmp_path, capsys):
    assert command("start", tmp_path) == 0
    before = (tmp_path / "01_convolution_arithmetic.ipynb").read_bytes()
    assert command(*words, "--out", tmp_path) == 2
    assert "holds a student's own notebooks: choose another directory" in capsys.readouterr().err
    assert (tmp_path / "01_convolution_arithmetic.ipynb").read_bytes() == before


def test_in_any_folder_a_student_gets_the_notebooks_of_the_clone_that_is_installed(tmp_path, monkeypatch):
    ours = {path.name: path.read_bytes() for path in chosen([])}
    monkeypatch.chdir(tmp_path)
    assert command("start", "mine") == 0
    assert {path.name: path.read_bytes() for path in tmp_path.glob("mine/*.ipynb")} == ours


def test_a_folder_of_photographs_needs_to_be_named(tmp_path, capsys):
    assert command("train", "resnet20", "--data", "folder", "--out", tmp_path) == 2
    assert "--data folder needs --root DIR" in capsys.readouterr().err


def test_the_wrong_kind_of_folder_is_one_sentence(tmp_path, capsys):
    (tmp_path / "cat").mkdir()
    words = ["train", "resnet20", "--data", "folder", "--root", tmp_path, "--out", tmp_path / "out"]
    assert command(*words) == 2
    assert "0 class directories with pictures: none (cat without a picture: left aside)" in capsys.readouterr().err


def test_options_of_a_network_reach_it_and_its_record(tmp_path, capsys):
    words = ["train", "vgg11_small", "--data", "shapes", "--recipe", "laptop_adam", "--epochs", "1", "--out", tmp_path,
             "--option"]
    assert command(*words, "width=4", "--option", "he_init=false") == 0
    record = Record.load(tmp_path / "record.json")
    assert record.name == "vgg11_small-width=4-he_init=false-shapes-laptop_adam-1epochs-0"
    assert record.config["label"] == "vgg11_small, width=4, he_init=False"
    assert record.config["parameters"] == sum(p.numel() for p in vgg11_small(width=4).parameters())
    assert command(*words, "wdth=4") == 2
    assert "unexpected keyword argument 'wdth'" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        command(*words, "width")
    assert "NAME=VALUE" in capsys.readouterr().err


@pytest.mark.parametrize("words, message", [
    (["train", "resnet2", "--out", "x"], "no model 'resnet2': did you mean resnet"),
    (["train", "lenet5", "--data", "cifr10", "--out", "x"], "no data set 'cifr10': did you mean cifar10"),
    (["train", "lenet5", "--recipe", "adm", "--out", "x"], "no recipe 'adm': did you mean adam"),
    (["run", "--profile", "tinny"], "no profile 'tinny': did you mean tiny"),
    (["run", "02_lenett"], "no notebook '02_lenett': did you mean 02_lenet"),
    (["run", "12"], "no notebook '12': choose from 01_convolution_arithmetic, 02_lenet, 03_alexnet,"),
])
def test_unknown_names_are_answered_with_the_nearest(words, message, capsys, tmp_path):
    words = [tmp_path if w == "x" else w for w in words]
    assert command(*words) == 2
    assert message in capsys.readouterr().err


def test_help_names_the_defaults_that_say_something():
    texts = {name: " ".join(sub.format_help().split())
             for name, sub in parser()._subparsers._group_actions[0].choices.items()}
    assert [name for name, text in texts.items() if re.search(r"default: (None|False|\[)", text)] == []
    assert "(default: tiny)" in texts["run"] and "dropout (default: 0)" in texts["train"]


def test_a_batch_or_epoch_count_below_one_is_refused(capsys):
    with pytest.raises(SystemExit):
        command("train", "lenet5", "--epochs", "0", "--out", "x")
    assert "at least 1 is expected, not '0'" in capsys.readouterr().err


def test_notebooks_are_found_by_number_name_and_path():
    assert [p.stem for p in chosen(["02", "06_resnet"])] == ["02_lenet", "06_resnet"]
    assert [p.name[:2] for p in chosen([])] == ["01", "02", "03", "04", "05", "06", "07", "08", "09"]
