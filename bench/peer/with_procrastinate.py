"""One Procrastinate job for each lead-step on PostgreSQL: read the lead, journal the step, move it, ask for the next."""

import asyncio
import sys
import time

import procrastinate
from psycopg_pool import AsyncConnectionPool

address, leads = sys.argv[1], int(sys.argv[2])
app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=address))
pool = AsyncConnectionPool(address, open=False, min_size=4, max_size=10)
done = 0


@app.task(name="move")
async def move(lead: int, step: int) -> None:
    global done
    async with pool.connection() as data:
        found = await (await data.execute("SELECT score FROM passages WHERE id = %s", (lead,))).fetchone()
        port = "a" if found and found[0] >= 50 else "else"
        await data.execute("INSERT INTO journal VALUES (%s, %s, %s)", (lead, step, port))
        await data.execute("UPDATE passages SET step = %s WHERE id = %s", (step + 1, lead))
    if step < 2:
        await move.defer_async(lead=lead, step=step + 1)
    done += 1


async def main() -> None:
    await pool.open()
    async with pool.connection() as data:
        await data.execute("CREATE TABLE passages (id INT PRIMARY KEY, score INT, step INT)")
        await data.execute("CREATE TABLE journal (id INT, step INT, port TEXT, PRIMARY KEY (id, step))")
        await data.execute("INSERT INTO passages SELECT n, n * 37 %% 100, 0 FROM generate_series(1, %s) n", (leads,))
    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        start = time.perf_counter()
        await move.batch_defer_async(*({"lead": n, "step": 0} for n in range(1, leads + 1)))
        while done < 3 * leads:
            await app.run_worker_async(wait=False, concurrency=10, install_signal_handlers=False)
        print(done / (time.perf_counter() - start))
    await pool.close()


asyncio.run(main())
