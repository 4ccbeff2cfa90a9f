"""Commands that make, check and show clips."""

import argparse
from pathlib import Path

from lipkd.commands.common import AddCommand, height_and_width
from lipkd.errors import LipkdError
from lipkd.text import LETTERS


def add(command: AddCommand) -> None:
    """Add these commands to the parser."""
    synth = command("synth", _synth, "make a synthetic corpus of mouth clips with transcripts and alignments")
    synth.add_argument("out", type=Path, metavar="OUT", help="folder to make")
    synth.add_argument("--speakers", type=int, default=6, metavar="N", help="(default: 6)")
    synth.add_argument("--clips", type=int, default=60, metavar="N", help="clips of each speaker (default: 60)")
    synth.add_argument("--seed", type=int, default=0, help="another seed, another corpus (default: 0)")
    synth.add_argument("--form", choices=("video", "frames", "both"), default="video", help="(default: video)")

    prepare = command("prepare", _prepare, "turn recordings of faces or mouths into a clip store, or check a store")
    prepare.add_argument("src", type=Path, nargs="?", metavar="SRC", help="folder of the corpus, or a table of clips")
    prepare.add_argument("out", type=Path, nargs="?", metavar="OUT", help="clip store to make")
    prepare.add_argument("--layout", default="auto", help="auto, table, italian, grid, npy, frames, words or speakers")
    prepare.add_argument("--face", choices=("auto", "yes", "no"), default="auto", help="whole faces? (default: auto)")
    prepare.add_argument(
        "--align",
        type=Path,
        metavar="FOLDER",
        help="folder of the .align files (default: found in SRC); none: use none",
    )
    prepare.add_argument(
        "--size", type=height_and_width, default=(50, 100), metavar="HxW", help="picture size (default: 50x100)"
    )
    prepare.add_argument("--grey", action="store_true", help="grey pictures (default: RGB)")
    prepare.add_argument(
        "--margin", type=float, default=0.25, metavar="M", help="mouth widths left and right of the mouth (0.25)"
    )
    prepare.add_argument(
        "--max-missing", type=float, default=0.2, metavar="S", help="share of frames without a face to accept (0.2)"
    )
    prepare.add_argument(
        "--alphabet",
        default=LETTERS,
        metavar="LETTERS",
        help="letters and a space; auto: those of the transcripts (a-z)",
    )
    prepare.add_argument("--strict", action="store_true", help="reject clips whose alignment is broken")
    prepare.add_argument("--anywhere", action="store_true", help="a table may name files outside its folder")
    prepare.add_argument("--landmarker", type=Path, metavar="FILE", help="MediaPipe's face_landmarker.task")
    prepare.add_argument("--speakers", type=_names, metavar="A,B", help="only these speakers")
    prepare.add_argument("--pattern", metavar="REGEX", help="only clips with this in speaker/name")
    prepare.add_argument("--limit", type=int, metavar="N", help="prepare only the first N clips")
    prepare.add_argument("--workers", type=int, metavar="N", help="processes (default: one per processor)")
    prepare.add_argument("--check", type=Path, metavar="STORE", help="verify this store and make nothing")

    align = command("align", _align, "forced alignment: times of each word, from sound and transcript")
    align.add_argument("src", type=Path, metavar="RAW", help="folder of the corpus, videos with sound, or a table")
    align.add_argument("out", type=Path, metavar="OUT", help="folder for speaker/name.align")
    align.add_argument("--layout", default="auto", help="as for prepare (default: auto)")
    align.add_argument("--language", default="eng", metavar="CODE", help="eng, ita, … (default: eng)")
    align.add_argument("--transcripts", type=Path, metavar="TABLE", help="a table with id (or path) and text")
    align.add_argument("--align", type=Path, metavar="FOLDER", help=".align files to take the words from")
    align.add_argument("--speakers", type=_names, metavar="A,B", help="only these speakers")
    align.add_argument("--pattern", metavar="REGEX", help="only clips with this in speaker/name")
    align.add_argument("--limit", type=int, metavar="N", help="only the first N clips")
    align.add_argument("--sample", type=int, metavar="N", help="only N clips, by chance")
    align.add_argument("--seed", type=int, default=0, help="another seed, another sample (default: 0)")
    align.add_argument("--workers", type=int, metavar="N", help="clips at a time (default: one per processor)")
    align.add_argument("--force", action="store_true", help="align again clips that are aligned already")
    align.add_argument("--anywhere", action="store_true", help="a table may name files outside its folder")
    align.add_argument("--compare", type=Path, metavar="FOLDER", help="measure against these .align files at the end")

    inspect = command("inspect", _inspect, "picture what is in a clip store, before training on it")
    inspect.add_argument("store", type=Path, metavar="STORE", help="clip store")
    inspect.add_argument("out", type=Path, nargs="?", metavar="OUT", help="file to write (default: beside STORE)")
    inspect.add_argument("--png", action="store_true", help="a picture instead of an HTML page")


def _names(text: str) -> list[str]:
    return [name for name in text.split(",") if name]


def _synth(arguments: argparse.Namespace) -> int:
    from preprocessing.synthetic.make_corpus import make_corpus

    corpus = make_corpus(
        arguments.out, speakers=arguments.speakers, clips=arguments.clips, seed=arguments.seed, form=arguments.form
    )
    print(f"{corpus.path}: {corpus.clips} clips of {len(corpus.speakers)} speakers, {corpus.frames} frames")
    return 0


def _prepare(arguments: argparse.Namespace) -> int:
    if arguments.check:
        from lipkd.data.store import ClipStore

        problems = ClipStore.open(arguments.check, sound=False).check()
        print("\n".join(problems) or f"{arguments.check}: sound")
        return 2 if problems else 0
    if arguments.out is None:
        raise LipkdError("prepare needs SRC and OUT, or --check STORE")

    from preprocessing.face.crop import CropOptions
    from preprocessing.prepare import prepare_corpus
    from preprocessing.progress import print_progress

    summary = prepare_corpus(
        arguments.src,
        arguments.out,
        layout=arguments.layout,
        face=arguments.face,
        align=arguments.align,
        options=CropOptions(arguments.size, arguments.grey, arguments.margin, arguments.max_missing),
        landmarker=arguments.landmarker,
        limit=arguments.limit,
        speakers=arguments.speakers,
        pattern=arguments.pattern,
        workers=arguments.workers,
        alphabet=arguments.alphabet,
        strict=arguments.strict,
        anywhere=arguments.anywhere,
        report=lambda line: print(line, flush=True),
        on_progress=print_progress,
    )
    print(summary.text())
    return summary.exit_code


def _align(arguments: argparse.Namespace) -> int:
    from preprocessing.alignment.align_corpus import align_corpus
    from preprocessing.alignment.compare_alignments import compare_alignments
    from preprocessing.progress import print_progress

    summary = align_corpus(
        arguments.src,
        arguments.out,
        layout=arguments.layout,
        language=arguments.language,
        transcripts=arguments.transcripts,
        align=arguments.align,
        speakers=arguments.speakers,
        pattern=arguments.pattern,
        limit=arguments.limit,
        sample=arguments.sample,
        seed=arguments.seed,
        workers=arguments.workers,
        force=arguments.force,
        anywhere=arguments.anywhere,
        report=lambda line: print(line, flush=True),
        on_progress=print_progress,
    )
    print(summary.text())
    if arguments.compare:
        print(compare_alignments(arguments.out, arguments.compare).text())
    return summary.exit_code


def _inspect(arguments: argparse.Namespace) -> int:
    from preprocessing.report.inspect_store import inspect_store

    out, facts = inspect_store(arguments.store, arguments.out, png=arguments.png)
    for finding in facts.findings:
        print(f"{len(finding.clips):5d} of {facts.clips} clips: {finding.what}")
    print(out)
    return 0
