#!/usr/bin/env bash
# Copyright (c) mmfba authors.
# Makes .venv hold what requirements/lock.txt says, with mmcv's ops compiled,
# and mmfba installed from this checkout. Starts from nothing, from a finished
# .venv (then it returns at once) and from one that was interrupted anywhere.
# PYTHON picks the interpreter, MAX_JOBS the number of compilers at a time.
set -euo pipefail
cd "$(dirname "$0")/.."
unset PYTHONPATH PYTHONHOME  # pip would count what lies there as installed

py=.venv/bin/python
stamp=.venv/.mmfba-stamp
lock=requirements/lock.txt
site=.venv/lib/python3.11/site-packages
log=.venv/mmcv-build.log
mmcv=$(grep '^mmcv==' $lock)

say() { echo "[set-up] $*"; }
die() { echo "[set-up] error: $*" >&2; exit 1; }

# What a finished .venv was made from, its place included: it cannot be moved.
state() {
    cat $lock tools/setup_env.sh setup.py | cksum
    pwd
    $py -V
}

is_python311() {
    "$1" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null
}

# Without its pyvenv.cfg, .venv/bin/python would be the system's.
is_venv() {
    $py -c 'import sys; sys.exit(sys.prefix == sys.base_prefix)' 2>/dev/null
}

is_finished() { [ "$(cat $stamp 2>/dev/null)" = "$(state 2>/dev/null)" ]; }

find_python() {
    local name
    for name in "${PYTHON:-python3.11}" "${PYTHON:-python3}"; do
        if is_python311 "$name"; then
            echo "$name"
            return
        fi
    done
    die "found no Python 3.11 as ${PYTHON:-python3.11 or python3}. Install" \
        'it, or name it: make PYTHON=/path/to/python3.11 ...'
}

check_compiler() {
    command -v "${CXX:-c++}" >/dev/null ||
        die 'no C++ compiler, which mmcv needs. Install g++, then try again.'
    "$1" -c 'import os, sys, sysconfig
sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))' ||
        die "$1 has no Python.h, which mmcv needs. Install its headers" \
            '(python3.11-dev), then try again.'
}

make_venv() {
    local hint='Install its venv module (python3.11-venv), then try again.'
    if ! is_venv; then
        "$1" -m venv --clear .venv || die "$1 cannot make .venv. $hint"
    elif ! is_python311 $py; then
        die '.venv is not of Python 3.11. Move it away, then try again.'
    fi
    # pip writes INSTALLER after a package's files: without it, they are not
    # all there, though pip would call the package installed.
    local info
    for info in $site/*.dist-info; do
        [ -e "$info/INSTALLER" ] || rm -rf "$info"
    done
    rm -rf $site/~*  # put aside by pip before an upgrade
    if ! ls $site/pip-*.dist-info >/dev/null 2>&1; then
        "$1" -m venv .venv || die "$1 cannot make .venv. $hint"
    fi
}

install_locked() {
    say "Installing $lock (gigabytes of downloads, the first time)"
    grep -v '^mmcv==' $lock |
        $py -m pip install --no-deps --progress-bar off -r /dev/stdin |
        { grep --line-buffered -v '^Requirement already' || true; } ||
        die 'pip failed, see above. If the network failed, try again.'
}

# A crash counts as well as an ImportError: mmcv may stem from another torch.
ops_work() {
    $py - "$mmcv" >/dev/null 2>&1 <<'END'
import sys

import mmcv
import torch
from mmcv.ops import nms

boxes = torch.tensor([[0., 0., 4., 4.], [0., 0., 4., 5.]])
kept = nms(boxes, torch.tensor([.9, .8]), .5)[1]
sys.exit('mmcv==' + mmcv.__version__ != sys.argv[1] or kept.tolist() != [0])
END
}

show_progress() {
    local line
    while IFS= read -r line; do
        if [[ $line =~ \[([0-9]+)/([0-9]+)\] ]] &&
            ((BASH_REMATCH[1] % 7 == 0)); then
            say "mmcv ${BASH_REMATCH[0]}"
        fi
    done
}

install_mmcv() {
    MMCV_WITH_OPS=1 MAX_JOBS=${MAX_JOBS:-$(getconf _NPROCESSORS_ONLN)} \
        CFLAGS='-g0 -w -O1' $py -m pip install -v --no-deps \
        --no-build-isolation "$@" "$mmcv" 2>&1 | tee $log | show_progress || {
        tail -n 20 $log
        die "$mmcv was not built, see above and $log." \
            'If the network failed, try again.'
    }
}

build_mmcv() {
    say "Building $mmcv with its ops: about 6 minutes on two cores, once" \
        '(none if pip has a wheel from an earlier build in its cache)'
    if ! command -v nvcc >/dev/null && [ -z "${CUDA_HOME:-}" ]; then
        # mmcv would insist on nvcc where it sees a GPU.
        say 'No nvcc: the ops are built for the CPU only'
        export CUDA_VISIBLE_DEVICES=
    fi
    install_mmcv
    ops_work && return
    say "That mmcv does not fit this torch: building it without pip's cache"
    install_mmcv --no-cache-dir --force-reinstall
    ops_work || die "mmcv's ops do not work. See $log; then remove .venv."
}

is_finished && exit
if command -v flock >/dev/null; then
    exec 9<tools/setup_env.sh
    flock -n 9 || say 'Waiting for another set-up of this .venv'
    flock 9
    is_finished && exit
fi
python=$(find_python)
say 'Making .venv ready: about 10 minutes and 6 GB, the first time'
rm -f $stamp
make_venv "$python"
[ -d $site/mmcv/ops ] || check_compiler "$python"
install_locked
ops_work || build_mmcv
$py -m pip install -q --no-deps --no-build-isolation -e . ||
    die 'mmfba itself could not be installed, see above.'
state >$stamp
say 'Done: .venv is ready'
