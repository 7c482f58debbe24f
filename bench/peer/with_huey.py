"""One huey job for each lead-step on SQLite: read the lead, journal the step, move it, ask for the next. Prints jobs a second."""

import sqlite3
import sys
import tempfile
import time
from pathlib import Path

from huey import SqliteHuey

folder = Path(tempfile.mkdtemp())
queue = SqliteHuey(filename=str(folder / "queue.sqlite"), results=False)
data = sqlite3.connect(folder / "data.sqlite", isolation_level=None)
data.execute("PRAGMA journal_mode=WAL")
data.execute("CREATE TABLE enrollments (id INTEGER PRIMARY KEY, score INT, step INT)")
data.execute("CREATE TABLE decisions (id INT, step INT, port TEXT, PRIMARY KEY (id, step))")


@queue.task()
def move(lead: int, step: int) -> None:
    data.execute("BEGIN IMMEDIATE")
    (score,) = data.execute("SELECT score FROM enrollments WHERE id = ?", (lead,)).fetchone()
    data.execute("INSERT INTO decisions VALUES (?, ?, ?)", (lead, step, "a" if score >= 50 else "else"))
    data.execute("UPDATE enrollments SET step = ? WHERE id = ?", (step + 1, lead))
    data.execute("COMMIT")
    if step < 2:
        move(lead, step + 1)


leads = int(sys.argv[2])
data.execute("BEGIN")
data.executemany("INSERT INTO enrollments VALUES (?, ?, 0)", [(n, n * 37 % 100) for n in range(leads)])
data.execute("COMMIT")
start = time.perf_counter()
for n in range(leads):
    move(n, 0)
done = 0
while (job := queue.dequeue()) is not None:  # no consumer around it: this is the most it can do
    queue.execute(job)
    done += 1
assert done == 3 * leads, done
print(done / (time.perf_counter() - start))
