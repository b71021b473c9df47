#!/usr/bin/env bash
# run.sh [NOTEBOOK...]  - execute notebooks of this folder headless (default: all)
#
# Leaves NAME.ipynb with its outputs and NAME.html in target/notebooks; the notebooks
# here are not touched.  Exit status 1 if a cell fails.  The first run builds the
# project's crates for the notebook and takes minutes, later ones seconds.
#
# Needs: python3 with venv, and the Rust kernel, which it finds on PATH or in $EVCXR_JUPYTER:
#   cargo install evcxr_jupyter --version 0.22.0 --locked
#
# Environment: PYTHON (default python3), EVCXR_JUPYTER, NOTEBOOK_TARGET (default target/notebooks)
set -euo pipefail
case "${1:-}" in -h|--help) sed -n '2,/^set -/p' "$0" | sed '$d;s/^# \{0,1\}//'; exit 0;; esac
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
work=${NOTEBOOK_TARGET:-$root/target/notebooks}
kernel=${EVCXR_JUPYTER:-$(command -v evcxr_jupyter || true)}
if [ -z "$kernel" ]; then
  echo "run.sh: evcxr_jupyter is not installed; run: cargo install evcxr_jupyter --version 0.22.0 --locked" >&2
  exit 1
fi
mkdir -p "$work/kernels" "$work/evcxr"
work=$(cd "$work" && pwd)

if ! "$work/venv/bin/python" -c 'import nbclient, nbconvert' 2>/dev/null; then
  echo "run.sh: installing nbclient and nbconvert into $work/venv"
  "${PYTHON:-python3}" -m venv "$work/venv"
  "$work/venv/bin/pip" install --quiet --disable-pip-version-check 'nbclient==0.11.*' 'nbformat==5.*' 'nbconvert==7.*'
fi

# The kernel's own description of itself, kept out of the user's home.
JUPYTER_PATH=$work/kernels "$kernel" --install >/dev/null

# The kernel compiles each cell in a small crate of its own; kept in one place, the
# crates that the notebook depends on are built once.
export EVCXR_TMPDIR=$work/evcxr

[ $# -gt 0 ] || set -- "$here"/*.ipynb
"$work/venv/bin/python" "$here/execute.py" --kernels "$work/kernels" --out "$work" "$@"
