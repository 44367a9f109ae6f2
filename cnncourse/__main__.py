"""The command line, `cnncourse` or `python -m cnncourse`: parses, calls, prints.

What a command needs is imported by that command alone.
"""

import argparse
import os
import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

from . import __version__, expanded, pick

DATA = Path(os.environ.get("CNNCOURSE_DATA") or "~/.cnncourse")


def train(args: argparse.Namespace) -> int:
    from .experiment import run
    from .loop.devices import Speed, device_at_hand
    from .runs.shipped import RECORDS

    if args.data == "folder" and args.root == DATA:
        raise ValueError("--data folder needs --root DIR: the directory that holds one folder of photographs a class")
    device = args.device or device_at_hand()
    speed = (Speed.for_hours(device, args.workers) if args.fast else
             Speed(device, args.workers, autocast=args.autocast, compile=args.compile))
    try:
        record = run(args.model, args.data, args.recipe, args.epochs, args.seed, args.out, args.root,
                     verbose=True, resume="anywhere" if args.anywhere else args.resume, options=dict(args.option),
                     speed=speed, batch_size=args.batch_size)
    except ArithmeticError as error:
        print(f"cnncourse train: {error}; the record so far and the last good checkpoint are in {args.out}",
              file=sys.stderr)
        return 1
    if "stopped" in record.config:
        print(f"their record and checkpoint are in {args.out}; go on with --resume", file=sys.stderr)
        return 130
    if int(os.environ.get("RANK", 0)):
        return 0
    print(f"test accuracy {record.test['accuracy']:.2%} on {record.test['examples']} images; "
          f"record.json and checkpoint.pt are in {args.out}")
    if args.record:
        path = RECORDS / f"{record.name}.json"
        record.save(path)
        print(f"recorded as {path}")
    return 0


def records(args: argparse.Namespace) -> int:
    from .runs.shipped import recorded, summary

    wanted = recorded(*args.models, data=args.data, epochs=args.epochs)
    if not wanted:
        raise ValueError("no record is of these models, this data and this length: leave them out to see them all")
    print(summary(wanted))
    if args.plot:
        from .plots import curves

        for record in wanted:  # one curve for the runs that differ in their seeds alone
            record.config["label"] = record.series
        curves(wanted).savefig(args.plot, dpi=150)
        print(f"curves of {len(wanted)} runs are in {args.plot}")
    return 0


def verify(args: argparse.Namespace) -> int:
    from .experiment import run as trained
    from .loop.devices import Speed
    from .runs.published import verdicts
    from .runs.record import Record
    from .runs.shipped import recorded

    shipped = recorded(args.model, data=args.data)
    if args.out:
        if not shipped:
            raise ValueError(f"the course ships no run of {args.model}{f' on {args.data}' * bool(args.data)} whose "
                             f"recipe could be repeated: train it with `cnncourse train`, and give the record here")
        config = max(shipped, key=lambda record: record.test["accuracy"]).config
        print(f"as {config['label']} on {config['data']} was recorded: recipe {config['recipe_name']}, "
              f"{config['recipe']['epochs']} epochs, seed {args.seed}", flush=True)
        found = [trained(config["model"], config["data"], config["recipe_name"], config["recipe"]["epochs"], args.seed,
                         args.out, args.root, verbose=True, resume=(args.out / "checkpoint.pt").exists(),
                         options=config["options"], speed=Speed(**config["speed"]))]
    else:
        found = [Record.load(path) for path in args.records] or shipped
    unfinished = [record.name for record in found if record.test is None]
    if unfinished:
        raise ValueError(f"{', '.join(unfinished)} has not looked at the test images yet: let the training end first")
    rows = verdicts([record for record in found if record.config["model"] == args.model])
    print(rows)
    return int(bool(args.out or args.records) and all(row.verdict != "inside" for row in rows))


def run(args: argparse.Namespace) -> int:
    from .instructor.editions import require_no_answers
    from .recipes import PROFILES
    from .tools.execute import estimate, report_table, run, update_times

    pick(PROFILES, args.profile, "profile")
    require_no_answers(args.out)
    notebooks = chosen(args.notebooks)
    if words := estimate(notebooks, args.profile, args.jobs):
        print(words, flush=True)
    try:
        results = run(notebooks, args.profile, args.jobs, args.out, args.timeout)
    except KeyboardInterrupt:
        print(f"\nstopped; the report of the notebooks that had finished is in {args.out}", file=sys.stderr)
        return 130
    print(report_table(results))
    if args.update_times:
        update_times(notebooks, results)
    return int(any(result.status != "passed" for result in results))


def chosen(names: list[str]) -> list[Path]:
    """The notebooks of these names or paths, all of the course's where none is named."""
    here = [Path("notebooks"), Path(__file__).resolve().parents[1] / "notebooks"]  # the clone that is installed
    course = next((sorted(d.glob("[0-9]*.ipynb")) for d in here if d.is_dir()), [])
    known = {path.stem: path for path in course}
    full = {stem[:2]: stem for stem in known}
    if not names and not course:
        raise ValueError("no notebooks/ directory here: run this in a clone of the course, or name the notebooks")
    return [Path(n) if Path(n).is_file() else pick(known, full.get(Path(n).stem, Path(n).stem), "notebook")
            for n in names] or course


def start(args: argparse.Namespace) -> int:
    from .instructor.editions import hand_out

    print(*hand_out(chosen([]), args.out), sep="\n")
    print(f"open them with: jupyter lab --notebook-dir={args.out}")
    return 0


def export(args: argparse.Namespace) -> int:
    import nbformat

    from .instructor import editions

    editions.require_no_answers(args.out)
    if args.quiz:
        from .instructor import quiz

        items = (item for path in chosen(args.notebooks) for item in quiz.of_lesson(path))
        print(quiz.write(items, args.quiz, args.out))
        return 0
    if args.edition == "figures":
        from .instructor.figures import archive

        print(editions.put_alone(args.out, "figures.zip", archive(chosen(args.notebooks))))
        return 0
    folder = args.out.resolve().name
    for path in chosen(args.notebooks):
        target = args.out / (f"source/{path.stem}" if args.edition == "nbgrader" else "") / path.name
        if target.resolve() == path.resolve():
            raise ValueError(f"{args.out} holds the notebooks themselves: choose another directory")
        notebook = nbformat.read(path, as_version=4)
        if args.edition:
            notebook = editions.EDITIONS[args.edition](notebook, path.stem)
        else:
            notebook = editions.hosted(notebook, f"{folder}/{path.name}", args.hosted)
        print(editions.put(target, notebook))
    if args.edition == "nbgrader":
        print(editions.put_configuration(args.out))
        print(f"next: cd {args.out}; nbgrader generate_assignment {path.stem}")
    if args.hosted:
        print(f"next: commit these as {folder}/ at the top of {args.hosted}, on its branch main, and push: there the "
              "links lead")
    return 0


def progress(args: argparse.Namespace) -> int:
    import json

    from . import exercises
    from .tools.progress import attempts, obstacle, path

    if args.folder:
        return of_class(args.folder)
    done, rows = attempts(), []
    for lesson in exercises.LESSONS:
        written, left = exercises.of_lesson(lesson), []
        for name in (exercise.name for exercise in written):
            tries = [line["outcome"] for line in done.get(name, [])]
            state = "solved" if "correct" in tries else "tried" if tries else "open"
            rows.append({"lesson": lesson, "exercise": name, "state": state, "attempts": len(tries)})
            left += [name.split(".")[1]] if state != "solved" else []
        solved = len(written) - len(left)
        print(f"{lesson:26} {solved:2} of {len(written):2} solved" + (f"; left: {', '.join(left)}" if solved else ""))
    if why := obstacle():
        print(f"your checks cannot be kept ({why}): set CNNCOURSE_PROGRESS to a file that you can write")
    else:
        print(f"your checks are kept in {path()}, on this machine alone: of each, the exercise, the time, the outcome "
              "and what was said of a mistake; nothing is sent, and you may delete the file")
    if args.report:
        args.report.write_text(json.dumps({"exercises": rows, "checks": done}, indent=1), encoding="utf-8")
        print(f"the report for your instructor is {args.report}")
    return 0


def of_class(folder: Path) -> int:
    from . import exercises
    from .instructor.editions import sections
    from .tools.progress import of_class, overview

    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder: give the one that holds the students' reports, or nbgrader's course")
    found, left = of_class(folder)
    if not found and not left:
        raise ValueError(f"no report and no graded notebook lies in {folder}: give the folder with the students' "
                         "reports, or nbgrader's course, which holds `submitted` and `autograded`")
    print(f"of {len(found)} students there is a report or a graded notebook")
    for path in chosen([]):
        where = sections(path)
        for exercise in exercises.of_lesson(path.stem):
            known = [" ".join(mistake.__doc__.split()) for mistake in exercise.mistakes]
            if lines := overview(found, exercise.name, known):
                print(f"\n{path.stem[:2]} {lines[0]}\n   answered in: {where[exercise.name]}", *lines[1:], sep="\n")
    if left:
        print(f"\nneither report nor graded notebook: {', '.join(left)}")
    if (folder / "submitted").is_dir():
        from .instructor.grading import shortcomings

        print("\nnot graded, or graded after a repair:", *shortcomings(folder) or ["none"], sep="\n  ")
    return 0


def exam(args: argparse.Namespace) -> int:
    from .instructor.exam import write

    if args.quiz:
        from .instructor import quiz

        print(quiz.write(quiz.of_exam(args.seeds or [args.seed]), args.quiz, args.out))
        print("questions that ask for words are left out, because no program can mark them")
        return 0
    if args.seeds:
        raise ValueError("--seeds are for a quiz: say --quiz moodle or --quiz qti, or give one --seed for a sheet")
    sheet, key = write(args.seed, args.out)
    print(f"the sheet is {sheet}, its key {key}")
    return 0


def doctor(args: argparse.Namespace) -> int:
    from .tools.doctor import checks, render

    found = checks(args.root)
    print(render(found))
    return int(any(check.ok is False for check in found))


def data(args: argparse.Namespace) -> int:
    from .datasets.downloads import get

    root = expanded(args.root)
    try:
        for name in args.names:
            get(name, root, args.source)
            print(f"{name} is in {root}, whole")
    except KeyboardInterrupt:
        print("\nstopped; what has come is kept, and the same command goes on with it", file=sys.stderr)
        return 130
    return 0


def compare(args: argparse.Namespace) -> int:
    import torch

    from .models import MODELS
    from .trace import diff, stages

    with torch.device("meta"):  # shapes without numbers: no network is too large
        nets = [pick(MODELS, name, "model")() for name in (args.first, args.second)]
    for name, net in zip((args.first, args.second), nets, strict=True):
        print(f"{name}, for one image of {' x '.join(map(str, net.input_shape))}\n{stages(net)}\n")
    print(f"what {args.second} has more (+) or less (-) than {args.first}\n{diff(*nets)}")
    if args.picture:
        from .show.architecture import draw

        draw({args.first: stages(nets[0]), args.second: stages(nets[1])}, args.colour).save(args.picture)
        print(f"\nboth are drawn in {args.picture}")
    return 0


def bench(args: argparse.Namespace) -> int:
    import json
    from dataclasses import asdict, astuple

    import torch

    from .runs.record import machine, versions
    from .tools.bench import SUITES

    suites = [pick(SUITES, name, "suite of measurements") for name in args.what or SUITES]
    print(f"times faster: median [lowest - highest] of {args.rounds} rounds, {torch.get_num_threads()} threads, "
          f"torch {torch.__version__}")
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)  # before half an hour of measuring
    line, rows = "{:46} {:26} {:22} {}".format, []
    print(line("ours", "other", "wall", "cpu"), flush=True)
    try:
        for suite in suites:
            for row in suite(args.rounds, args.device):
                print(line(*astuple(row)), flush=True)  # a row may take minutes, and all of them half an hour
                rows.append(asdict(row))
    finally:
        if args.json:
            where = {"device": torch.cuda.get_device_name() if args.device == "cuda" else args.device,
                     "threads": torch.get_num_threads()}
            args.json.write_text(json.dumps({"machine": machine() | where, "versions": versions(),
                                             "rounds": args.rounds, "rows": rows}, indent=1), encoding="utf-8")
    return 0


class Help(argparse.ArgumentDefaultsHelpFormatter):
    """Names the defaults that say something: not those of switches, nor of what is not given."""

    def _get_help_string(self, action: argparse.Action) -> str:
        return action.help if action.default in (None, []) or action.nargs == 0 else super()._get_help_string(action)


def parser() -> argparse.ArgumentParser:
    main = argparse.ArgumentParser(prog="cnncourse", description="A course on classic convolutional networks.")
    main.add_argument("--version", action="version", version=f"cnncourse {__version__}")
    commands = main.add_subparsers(required=True, metavar="COMMAND")

    def command(function: Callable, help: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(function.__name__, help=help, description=help, formatter_class=Help)
        sub.set_defaults(function=function)
        return sub

    commands_for_lessons(command)
    commands_for_networks(command)
    return main


def commands_for_lessons(command: Callable) -> None:
    sub = command(doctor, "Say what is installed, what is missing and what to do.")
    sub.add_argument("--root", type=Path, default=DATA, help="where data sets lie")

    sub = command(data, "Fetch data sets that are downloaded, or go on with what has come, and verify them.")
    sub.add_argument("action", choices=["get"], help="get")
    sub.add_argument("names", nargs="+", metavar="NAME", help="mnist, fashion_mnist, cifar10 or cifar100")
    sub.add_argument("--from", dest="source", metavar="PLACE", help="a folder, or an address of a server that has the "
                     "files; by default the published addresses, in turn")
    sub.add_argument("--root", type=Path, default=DATA, help="where the files go")

    sub = command(run, "Execute notebooks and report status, seconds and peak memory of each.")
    sub.add_argument("notebooks", nargs="*", metavar="NOTEBOOK", help="a path, a name, or a number; default all")
    sub.add_argument("--profile", default="tiny", help="how much work the notebooks do: tiny, laptop or full")
    sub.add_argument("--update-times", action="store_true", help="write seconds and memory into the notebooks' headers")
    sub.add_argument("--jobs", type=positive, default=1, metavar="N", help="notebooks executed at the same time")
    sub.add_argument("--timeout", type=positive, metavar="SECONDS", help="that a cell may take; by default 15 minutes "
                     "in tiny, 4 hours in laptop, and any time in full")
    sub.add_argument("--out", type=Path, default=Path("build/course"), metavar="DIR", help="for the executed notebooks")

    sub = command(start, "Copy the notebooks into a folder of your own. What you have written there stays.")
    sub.add_argument("out", nargs="?", type=Path, default=Path("my_notebooks"), metavar="DIR", help="your folder")

    sub = command(progress, "Say which exercises are solved, by you or by a class.")
    whose = sub.add_mutually_exclusive_group()
    whose.add_argument("--report", type=Path, metavar="FILE", help="write one file for the instructor")
    whose.add_argument("--class", type=Path, dest="folder", metavar="DIR", help="say which mistakes the students made "
                       "whose reports, or whose notebooks graded by nbgrader, are in DIR")

    sub = command(export, "Write another edition of the notebooks, from the same source.")
    sub.add_argument("notebooks", nargs="*", metavar="NOTEBOOK", help="a path, a name, or a number; default all")
    edition = sub.add_mutually_exclusive_group(required=True)
    for name, words in (("solutions", "every exercise answered"), ("clean", "code and headings only, for recall"),
                        ("nbgrader", "assignments that nbgrader generates and grades"),
                        ("figures", "one archive of all figures, with captions, alt texts and licence")):
        edition.add_argument(f"--{name}", dest="edition", action="store_const", const=name, help=words)
    edition.add_argument("--hosted", metavar="OWNER/NAME", help="with links that open it on Colab and Kaggle, and a "
                         "cell that installs the course there, from your copy of the repository on GitHub: the links "
                         "lead to the folder DIR at the top of its branch main, so commit it there and push")
    edition.add_argument("--quiz", metavar="FORMAT", help="the questions, with what is said to each choice: moodle, or "
                         "qti for Canvas and others")
    sub.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the edition goes")

    sub = command(exam, "Write a sheet of convolution arithmetic with fresh numbers, and its key.")
    numbers = sub.add_mutually_exclusive_group(required=True)
    numbers.add_argument("--seed", type=int, help="of the numbers: the same seed, the same sheet")
    numbers.add_argument("--seeds", type=seeds, metavar="A-B", help="of a quiz that draws one of many numbers for each "
                         "student, such as 1-30")
    sub.add_argument("--quiz", metavar="FORMAT", help="a quiz in place of the sheet: moodle, or qti for Canvas and "
                     "others")
    sub.add_argument("--out", type=Path, default=Path("exam"), metavar="DIR", help="for exam.md and key.md, or the "
                     "quiz")


def commands_for_networks(command: Callable) -> None:
    sub = command(compare, "Print the tables of two networks, and what differs.")
    sub.add_argument("first", metavar="MODEL", help="a name such as vgg11")
    sub.add_argument("second", metavar="MODEL", help="another, such as vgg16")
    sub.add_argument("--picture", type=Path, metavar="FILE", help="draw both into this .svg file as well")
    sub.add_argument("--colour", default="macs", help="of the picture: parameters, macs or memory")

    sub = command(bench, "Measure the course's programs against the usual ones, as ratios.")
    sub.add_argument("what", nargs="*", metavar="SUITE", help="models, loop, race, steps, busy, folders or "
                     "start; by default all of them")
    sub.add_argument("--rounds", type=positive, default=5, metavar="N", help="how often each pair is measured")
    sub.add_argument("--device", type=device, default="cpu", help="cpu or cuda")
    sub.add_argument("--json", type=Path, metavar="FILE", help="write the rows and the machine here as well")

    sub = command(train, "Train one network on one data set; write its record and a checkpoint.")
    sub.add_argument("model", help="a name such as lenet5, vgg11_small or resnet20; a network of your own "
                     "is trained in Python, by experiment.run(network, data)")
    sub.add_argument("--option", type=option, action="append", default=[], metavar="NAME=VALUE",
                     help="of the network, such as he_init=false; may be repeated")
    sub.add_argument("--data", default="digits", help="digits, shapes, mnist, fashion_mnist, cifar10, "
                     "cifar100, or folder for the photographs in --root")
    sub.add_argument("--recipe", help="a name in recipes.py; by default one that suits the network")
    sub.add_argument("--epochs", type=positive, help="in place of the recipe's")
    sub.add_argument("--batch-size", type=positive, metavar="N", help="in place of the recipe's; 16 or less for a "
                     "hundred photographs")
    sub.add_argument("--seed", type=int, default=0, help="of weights, order, augmentation and dropout")
    sub.add_argument("--device", type=device, help="cpu, cuda or mps; by default the GPU that is here")
    sub.add_argument("--root", type=Path, default=DATA, help="where the data set lies, or is downloaded to")
    sub.add_argument("--out", type=Path, required=True, metavar="DIR", help="for record.json and checkpoint.pt")
    sub.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    sub.add_argument("--anywhere", action="store_true", help="go on also from the checkpoint of another processor, "
                     "where the curve may differ from then on")
    sub.add_argument("--record", action="store_true", help="add the record to those that the course ships")
    sub.add_argument("--workers", type=int, default=0, metavar="N", help="processes that decode photographs")
    sub.add_argument("--autocast", action="store_true", help="convolutions in bfloat16, for GPUs and processors "
                     "that compute in it")
    sub.add_argument("--compile", action="store_true", help="torch.compile: a slow start, then faster steps")
    sub.add_argument("--fast", action="store_true", help="what pays in a training of many minutes on this machine: "
                     "--compile, and --autocast where the processor or the GPU computes in bfloat16")

    sub = command(records, "List the recorded runs, and say which no longer match their recipe and code.")
    sub.add_argument("models", nargs="*", metavar="MODEL", help="only these; by default all")
    sub.add_argument("--data", help="only runs on this data set")
    sub.add_argument("--epochs", type=positive, help="only runs of this length")
    sub.add_argument("--plot", type=Path, metavar="FILE", help="draw their curves into this file (.png, .svg, .pdf)")

    sub = command(verify, "Say whether runs of a network reach what has been published, or what the course recorded. "
                  "Exit status 1: runs that were given or trained agree with neither.")
    sub.add_argument("model", help="a name such as resnet20")
    sub.add_argument("records", nargs="*", type=Path, metavar="FILE", help="record.json of finished trainings; by "
                     "default the runs that the course ships")
    sub.add_argument("--data", help="only runs on this data set")
    sub.add_argument("--out", type=Path, metavar="DIR", help="train first, by the best recorded recipe, and keep the "
                     "record and the checkpoint here; goes on where it had stopped")
    sub.add_argument("--seed", type=int, default=3, help="of that training; those of the recorded runs are 0, 1, 2")
    sub.add_argument("--root", type=Path, default=DATA, help="where the data set lies, or is downloaded to")


def positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a whole number of at least 1 is expected, not '{text}'")
    return int(text)


def seeds(text: str) -> range:
    """"1-30" → range(1, 31)"""
    first, _, last = text.partition("-")
    if not (first.isdecimal() and last.isdecimal() and int(first) <= int(last)):
        raise argparse.ArgumentTypeError(f"two whole numbers, the smaller first, such as 1-30 are expected, not "
                                         f"'{text}'")
    return range(int(first), int(last) + 1)


def device(text: str) -> str:
    from .loop.devices import devices

    here = devices()
    if text not in here:
        raise argparse.ArgumentTypeError(f"PyTorch finds no device '{text}' on this machine: choose "
                                         f"{' or '.join(here)}")
    return text


def option(text: str) -> tuple[str, object]:
    """"he_init=false" → ("he_init", False)"""
    import json

    name, _, value = text.partition("=")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        raise argparse.ArgumentTypeError(
            f"NAME=VALUE with a number, true or false is expected, not '{text}'") from None


def main(words: list[str] | None = None) -> int:
    """The exit status. words: those of the command line, by default this process's own."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a console may lack a sign
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C
    args = parser().parse_args(words)
    warnings.showwarning = lambda message, *_: print(f"warning: {message}", file=sys.stderr)
    try:
        return args.function(args)
    except ModuleNotFoundError as error:
        print(f"cnncourse: {args.function.__name__} needs {error.name}, which is not installed: in the folder of "
              'the course, python -m pip install -c constraints.txt -e ".[lab]"', file=sys.stderr)
        return 2
    except (ValueError, OSError) as error:
        print(f"cnncourse: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ncnncourse: stopped by hand", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
