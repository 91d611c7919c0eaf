"""python -m edgekd.rank: which student for a teacher, before any training? Likeness to it beside what each costs here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgekd import command
from edgekd import recipe as recipes
from edgekd.bundle import Bundle
from edgekd.data.chosen import with_data
from edgekd.errors import EdgekdError
from edgekd.reports import ranking, screen

EXAMPLE = """  python -m edgekd.rank --teacher runs/default/teacher --candidates mobilenetv2:0.35,mobilenetv2:0.5
  python -m edgekd.rank --teacher TEACHER --candidates mobilenetv2:0.5@96,mobilenetv2:0.5@160,mobilenetv3_small_100"""


def main(argv: Sequence[str] | None = None) -> None:
    """Rate candidates for a teacher's architecture; show the table and write ranking.json."""
    arguments = command.parser("rank", "Rank students for a teacher without training any (DisWOT).", EXAMPLE)
    add = arguments.add_argument
    add("--teacher", required=True, metavar="BUNDLE", help="a bundle: its architecture, classes, input and data count")
    add(
        "--candidates",
        required=True,
        action="append",
        metavar="NETWORK[:WIDTH][@SIZE],…",
        help="networks, their width (default: 1) and input in px (default: the teacher's)",
    )
    add("--data", metavar="PATH", help="training images to look at (default: those of the bundle's recipe)")
    add("--images", type=int, default=64, metavar="N", help="the minibatch, evenly over the classes (default: 64)")
    add("--draws", type=int, default=3, metavar="N", help="first weights to average the score over (default: 3)")
    add("--seed", type=int, default=0, metavar="N", help="of the first draw and the minibatch (default: 0)")
    add("--threads", type=int, default=1, metavar="N", help="of the int8 files when they are timed (default: 1)")
    add("--no-latency", action="store_true", help="time nothing")
    add("--out", metavar="DIR", help="where ranking.json goes (default: runs/ranking/NAME)")
    args = arguments.parse_args(argv)
    for name, least in (("images", 2), ("draws", 1), ("seed", 0), ("threads", 1)):
        if getattr(args, name) < least:
            raise EdgekdError(f"--{name}", f"{least} or more", str(getattr(args, name)))
    bundle = Bundle.open(args.teacher)
    recipe = recipes.recorded(bundle.manifest.recipe, str(bundle.folder))
    if args.data:
        recipe = with_data(recipe, args.data)
    command.need("rank", "train", recipe.data)
    if not args.no_latency:
        command.need("rank", "export", packages=("ai_edge_litert", "flatbuffers"))

    from edgekd.ranking import candidates, rating

    rating.check(bundle)
    asked = candidates.parse(args.candidates, bundle.manifest.input.size)
    batch = rating.Minibatch.of(bundle, recipe, args.images, args.seed)
    console = screen.console()
    threads = None if args.no_latency else args.threads
    with screen.progress(console) as bar:
        found = rating.rate(
            bundle, asked, batch, args.draws, args.seed, threads, lambda draws: bar.track(draws, description="rating")
        )
    ranking.show(found, console)
    out = Path(args.out or f"runs/ranking/{bundle.folder.resolve().name}") / "ranking.json"
    found.save(out)
    console.print(f"written to {out}", highlight=False, soft_wrap=True)


if __name__ == "__main__":
    command.run(main)
