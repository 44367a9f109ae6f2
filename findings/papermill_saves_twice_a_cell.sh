#!/usr/bin/env bash
# papermill 2.7.0 writes the whole notebook before and after every cell, Markdown cells included, whatever
# autosave_cell_every says. One would guess that autosave_cell_every=0 ("how often to save in the middle of long cell
# executions") turns saving off, or that text is not worth a save. Its cost grows with cells x size: with pictures stored in
# it, a notebook of 240 cells is serialised and validated almost 500 times. request_save_on_cell_execute=False is the option
# that leaves one write at the end.
# Seen: 10 cells, 8 of them Markdown: 23 writes with autosave_cell_every=0, 1 with request_save_on_cell_execute=False.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet papermill==2.7.0 ipykernel==7.4.0
cd "$folder"
venv/bin/python - <<'EOF'
import nbformat
import papermill
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from papermill import engines, execute

cells = [new_code_cell("1 + 1") if i % 5 == 0 else new_markdown_cell("text") for i in range(10)]
nbformat.write(new_notebook(cells=cells), "in.ipynb")
write, written = engines.write_ipynb, []
for module in (engines, execute):
    module.write_ipynb = lambda notebook, path: written.append(path) or write(notebook, path)


def writes(**options):
    written.clear()
    papermill.execute_notebook("in.ipynb", "out.ipynb", kernel_name="python3", progress_bar=False, **options)
    return sum(path == "out.ipynb" for path in written)


seen = writes(autosave_cell_every=0), writes(request_save_on_cell_execute=False)
print("writes with autosave_cell_every=0, and with request_save_on_cell_execute=False:", seen)
assert seen == (23, 1), seen
EOF
