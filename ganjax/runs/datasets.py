"""The command that lists, prepares and shows data sets."""

from __future__ import annotations

from collections.abc import Sequence

from ganjax.data import find, listing, prepare
from ganjax.figures.preview import class_table, contact_sheet
from ganjax.figures.style import save
from ganjax.host import aligned
from ganjax.runs.arguments import data_parser, refuse_output


def data(argv: Sequence[str]) -> int:
    """`ganjax data`: the exit status. Raises ValueError, one line, for a wrong request."""
    args = data_parser().parse(argv)

    if args.action == "show":
        refuse_output(args.out, ".png")
        found = find(args.name, args.data_dir)
        arrays = found.load()
        save(contact_sheet(found, args.n, arrays), args.out)
        if classes := class_table(found, arrays):
            print(aligned(classes))
        return 0
    if args.action == "list":
        rows = listing(args.data_dir)
    else:
        rows = [prepare(args.name, args.manual, args.data_dir)]
    table = [["name", "examples", "shape", "licence", "prepared", "where, or how"]]
    for row in rows:
        shape, prepared_ = "x".join(map(str, row["shape"])), "yes" if row["prepared"] else "no"
        table.append([row["name"], row["size"], shape, row["licence"], prepared_, row["where"]])
    print(aligned(table))
    return 0
