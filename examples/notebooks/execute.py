#!/usr/bin/env python3
"""Execute Rust notebooks headless and keep what they showed.

    execute.py --kernels FOLDER --out FOLDER NOTEBOOK...

FOLDER of --kernels is a Jupyter data folder that holds the kernel `rust`.  Each notebook
is run in its own folder, so that relative paths mean the same as for a reader who has it
open.  OUT gets NAME.ipynb with all outputs and NAME.html.  The exit status is 1 if a cell
failed; its error is printed.
"""
import argparse
import os
import sys
import time
from pathlib import Path


def execute(path, out):
    """Run one notebook; True if every cell ran."""
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError
    from nbconvert import HTMLExporter

    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(notebook, timeout=1800, kernel_name="rust", resources={"metadata": {"path": path.parent}})
    start, failed = time.monotonic(), False
    try:
        client.execute()
    except CellExecutionError:
        failed = True
    nbformat.write(notebook, out / path.name)
    page, _ = HTMLExporter().from_notebook_node(notebook)
    (out / path.with_suffix(".html").name).write_text(page)
    print(f"{path.name}: {'failed' if failed else 'ran'} in {time.monotonic() - start:.0f} s, see {out / path.stem}.html")
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                print(cell.source, *output.traceback, sep="\n", file=sys.stderr)
    return not failed


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--kernels", required=True, type=Path)
    p.add_argument("--out", required=True, type=Path)
    p.add_argument("notebooks", nargs="+", type=Path)
    opt = p.parse_args()
    os.environ["JUPYTER_PATH"] = str(opt.kernels.resolve())
    opt.out.mkdir(parents=True, exist_ok=True)
    ran = [execute(path.resolve(), opt.out.resolve()) for path in opt.notebooks]
    sys.exit(0 if all(ran) else 1)


if __name__ == "__main__":
    main()
