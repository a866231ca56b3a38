# Copyright (c) mmfba authors.
"""Write a data set once, so that an interrupted run never looks complete."""

import json
import shutil
from pathlib import Path

RECORD = 'mmfba_dataset.json'


def count_files(folder):
    """Counts the files below a folder, the record itself left out.

    Args:
        folder (Path): An existing folder.

    Returns:
        int: Number of files, at any depth.
    """
    files = (p for p in folder.rglob('*') if p.is_file())
    return sum(p != folder / RECORD for p in files)


def read_record(out):
    """Reads the record that ``write_once`` left in a data set.

    Args:
        out (Path | str): The data set's folder.

    Returns:
        dict | None: ``settings``, ``summary`` and ``num_files``; None where
        there is no record.
    """
    try:
        return json.loads((Path(out) / RECORD).read_text())
    except (FileNotFoundError, NotADirectoryError):
        return None


def write_once(out, settings, write):
    """Calls ``write`` unless the same data set is already there, whole.

    ``write`` fills ``<out>.partial``, which is renamed to ``out`` only once
    it is complete. What an interrupted run left is thrown away. A data set
    of other settings, or with files missing, is replaced.

    Args:
        out (Path | str): The data set's folder.
        settings (dict): What determines the data; JSON types.
        write (Callable[[Path], dict]): Fills the folder it is given and
            returns a summary; JSON types.

    Returns:
        tuple[dict, bool]: The summary, and whether the set was written now.

    Raises:
        FileExistsError: If ``out`` holds something that is no data set of
            ours; it is left as it is.
    """
    out = Path(out).resolve()  # a link to another disk stays a link
    # compare what JSON makes of them: tuples become lists
    settings = json.loads(json.dumps(settings))
    record = read_record(out)
    if record is not None:
        whole = record['num_files'] == count_files(out)
        if whole and record['settings'] == settings:
            return record['summary'], False
    elif out.is_file() or out.is_dir() and any(out.iterdir()):
        raise FileExistsError(
            f'{out} exists and holds no {RECORD}, so it was not written by '
            'this script; remove it or give another --out.'
        )

    partial = out.with_name(out.name + '.partial')
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    summary = write(partial)
    record = dict(
        settings=settings, summary=summary, num_files=count_files(partial)
    )
    (partial / RECORD).write_text(json.dumps(record, indent=2) + '\n')
    if out.exists():
        shutil.rmtree(out)
    partial.rename(out)
    return summary, True
