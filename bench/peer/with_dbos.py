"""One DBOS workflow for each lead-step on PostgreSQL, whose one step is a transaction. Prints jobs a second."""

import sys
import time

import psycopg
from dbos import DBOS, SQLAlchemyDatasource
from sqlalchemy import text

address, leads = sys.argv[1], int(sys.argv[2])
DBOS(config={"name": "peer", "system_database_url": address, "log_level": "ERROR"})
data = SQLAlchemyDatasource.create(address)


@data.transaction(isolation_level="READ COMMITTED")
def write(lead: int, step: int) -> None:
    score = data.sql_session().execute(text("SELECT score FROM passages WHERE id = :lead"), {"lead": lead}).scalar_one()
    port = "a" if score >= 50 else "else"
    data.sql_session().execute(
        text("INSERT INTO journal VALUES (:lead, :step, :port)"), {"lead": lead, "step": step, "port": port}
    )
    data.sql_session().execute(
        text("UPDATE passages SET step = :step WHERE id = :lead"), {"lead": lead, "step": step + 1}
    )


@DBOS.workflow()
def move(lead: int, step: int) -> None:
    write(lead, step)
    if step < 2:
        DBOS.start_workflow(move, lead, step + 1)


with psycopg.connect(address, autocommit=True) as given:
    given.execute("CREATE TABLE passages (id INT PRIMARY KEY, score INT, step INT)")
    given.execute("CREATE TABLE journal (id INT, step INT, port TEXT, PRIMARY KEY (id, step))")
    given.execute("INSERT INTO passages SELECT n, n * 37 %% 100, 0 FROM generate_series(1, %s) n", (leads,))
    DBOS.launch()
    start = time.perf_counter()
    for n in range(1, leads + 1):
        DBOS.start_workflow(move, n, 0)
    while given.execute("SELECT count(*) FROM passages WHERE step = 3").fetchone() != (leads,):
        time.sleep(0.05)
    print(3 * leads / (time.perf_counter() - start))
DBOS.destroy(workflow_completion_timeout_sec=60)
