"""One client, one lab: right in whichever loop calls them, and nothing is left behind."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.kernels.conftest import PREPARE, Kernel
from tests.kernels.processes import Programs, ended, noise
from tests.scripted import Reply, Request, Scripted
from venlab.fleet import Fleet

TRANSPORTS = ["venlab.transport.HttpxTransport", "venlab.fasttransport.FastTransport"]
CLIENT = """
    from importlib import import_module

    home, _, name = "{transport}".rpartition(".")
    carrier = getattr(import_module(home), name)
    client = vl.Client(carrier("{url}"), vl.dialect("flat"))
"""
IN_ONE_CELL = """
    await lab.open()
    await lab.register()
    await lab.run()
    results = await lab.read_back()
    await lab.close()
    print(results.check())
"""
COMPLETE = "measured 360 = acknowledged 360 + rejected 0 + waiting 0; heard 360"


def quiet(programs: Programs, source: str) -> str:
    """Run a script that must say nothing on stderr; return what it printed."""
    code, out, err = ended(programs.script(PREPARE + source))
    assert (code, err) == (0, ""), err
    return out


@pytest.mark.parametrize("transport", TRANSPORTS, ids=lambda t: t.rpartition(".")[2])
def test_a_client_in_cells_tasks_and_threads(
    kernel: Kernel, counting: Scripted, transport: str
) -> None:
    """Made in one cell; used in later ones, in a task, in loops of threads one after another and
    at once, and in the first loop again."""
    kernel.run(CLIENT.format(transport=transport, url=counting.url))
    kernel.run("print(await client.greet())")
    kernel.run("task = asyncio.create_task(client.greet())")
    kernel.run("print(await task)")
    kernel.run("def once(): return asyncio.run(client.greet())")
    kernel.run("print(await asyncio.to_thread(once), await asyncio.to_thread(once))")
    together = "asyncio.to_thread(once), asyncio.to_thread(once), client.greet()"
    assert kernel.run(f"print(*await asyncio.gather({together}))") == "ok ok ok\n"
    kernel.run("print(await client.greet()); await client.close(); gc.collect();")
    assert len(counting.requests) == 8
    assert counting.connections <= 8


@pytest.mark.parametrize("transport", TRANSPORTS, ids=lambda t: t.rpartition(".")[2])
def test_a_client_in_a_script(programs: Programs, counting: Scripted, transport: str) -> None:
    """Twice `asyncio.run`, loops that are closed by hand, two loops at once in two threads, and
    nobody closes it."""
    lines = """
    def once(_):
        return asyncio.run(client.greet())

    def by_hand():
        loop = asyncio.new_event_loop()
        answer = loop.run_until_complete(client.greet())
        loop.close()
        return answer

    from concurrent.futures import ThreadPoolExecutor

    answers = [once(0), once(0), by_hand(), by_hand(), once(0)]
    with ThreadPoolExecutor(2) as threads:
        answers += threads.map(once, range(20))
    by_hand()
    print(*sorted(set(answers)))
    del client
    gc.collect()
    """
    out = quiet(programs, CLIENT.format(transport=transport, url=counting.url) + lines)
    assert out == "ok\n"
    assert len(counting.requests) == 26


def test_a_lab_in_cells_and_in_the_background(kernel: Kernel) -> None:
    """Each step in a cell of its own, the run beside them, and its results in the last."""
    kernel.run("lab = lab_of(speed=60.0)")
    kernel.run("await lab.open()")
    kernel.run("await lab.register()")
    kernel.run("lab.start()")
    assert kernel.run("print(lab.status.state)") == "running\n"
    kernel.run("results = await lab.wait()")
    kernel.run("await lab.read_back()")
    kernel.run("await lab.close()")
    assert COMPLETE in kernel.run("print(results.check()); del lab; gc.collect();")


def test_run_sync_in_cells_and_threads(kernel: Kernel) -> None:
    """In a plain cell, in a cell's thread, and with a lab that the kernel's loop has opened and
    goes on using."""
    assert COMPLETE in kernel.run("print(lab_of(out_dir='a').run_sync().check())")
    in_thread = "print((await asyncio.to_thread(lab_of(out_dir='b').run_sync)).check())"
    assert COMPLETE in kernel.run(in_thread)
    kernel.run("lab = lab_of(out_dir='c'); await lab.open(); await lab.register()")
    assert COMPLETE in kernel.run("print(lab.run_sync().check())")
    assert kernel.run("print(await lab.client.greet()); await lab.close();") == "ok\n"


def test_run_sync_in_scripts_and_threads(programs: Programs) -> None:
    """In a script, in two threads of it at once, and inside its `asyncio.run`."""
    out = quiet(
        programs,
        """
    from concurrent.futures import ThreadPoolExecutor

    def played(name):
        return lab_of(out_dir=name).run_sync().check()

    async def main():
        return played("d")

    checks = [played("a")]
    with ThreadPoolExecutor(2) as threads:
        checks += threads.map(played, "bc")
    checks.append(asyncio.run(main()))
    gc.collect()
    print(*checks, sep="\\n")
    """,
    )
    assert out.count(COMPLETE) == 4


def test_a_lab_over_three_asyncio_runs(programs: Programs) -> None:
    """Opened in one loop, run in the next, read back and closed in a third."""
    out = quiet(
        programs,
        """
    lab = lab_of()

    async def first():
        await lab.open()
        await lab.register()

    async def last():
        results = await lab.read_back()
        await lab.close()
        return results.check()

    asyncio.run(first())
    asyncio.run(lab.run())
    print(asyncio.run(last()))
    """,
    )
    assert COMPLETE in out


def test_loops_that_are_closed_by_hand(programs: Programs) -> None:
    """Nothing that a step leaves in its loop is missed when that loop goes without a word."""
    out = quiet(
        programs,
        """
    lab = lab_of()

    def by_hand(work):
        loop = asyncio.new_event_loop()
        try:
            return loop.run_until_complete(work)
        finally:
            loop.close()

    for step in (lab.open, lab.register, lab.run, lab.read_back, lab.close):
        results = by_hand(step())
        gc.collect()
    print(results.check())
    """,
    )
    assert COMPLETE in out


@pytest.mark.parametrize("patch", ["nest_asyncio", "nest_asyncio2"])
def test_with_a_patched_loop(kernel: Kernel, patch: str) -> None:
    """Between opening and running, and for labs that begin after; plain cells may nest too."""
    apply = f"import {patch}; {patch}.apply()"
    kernel.run("lab = lab_of(out_dir='a'); await lab.open(); await lab.register()")
    kernel.run(apply)
    assert COMPLETE in kernel.run(
        "await lab.run(); print((await lab.read_back()).check()); await lab.close();"
    )
    assert COMPLETE in kernel.run("print(lab_of(out_dir='b').run_sync().check())")
    in_thread = "print((await asyncio.to_thread(lab_of(out_dir='c').run_sync)).check())"
    assert COMPLETE in kernel.run(in_thread)
    kernel.run("lab = lab_of(out_dir='d')")
    kernel.run("for step in (lab.open, lab.register, lab.run): asyncio.run(step())")
    kernel.run("results = asyncio.run(lab.read_back()); asyncio.run(lab.close())")
    assert COMPLETE in kernel.run("print(results.check()); gc.collect();")


def test_patched_before_and_after(new_kernel: Callable[[], Kernel]) -> None:
    """Before venlab is imported; and after a run, which can still be read back and closed."""
    kernel = new_kernel()
    kernel.run("import nest_asyncio; nest_asyncio.apply()")
    kernel.run(PREPARE)
    kernel.run("lab = lab_of(out_dir='a')")
    assert COMPLETE in kernel.run(IN_ONE_CELL)
    kernel.run("nest_asyncio.apply()")
    assert COMPLETE in kernel.run("print(lab_of(out_dir='b').run_sync().check()); gc.collect();")


def test_a_patched_script(programs: Programs) -> None:
    """`asyncio.run` is then another: one loop that is never closed; `run_sync` does not mind."""
    code, out, err = ended(
        programs.script(
            PREPARE
            + """
    import nest_asyncio

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    nest_asyncio.apply()

    async def main():
        return lab_of(out_dir="b").run_sync().check()

    print(lab_of(out_dir="a").run_sync().check(), asyncio.run(main()))
    loop.close()
    """,
        )
    )
    assert (code, noise(err)) == (0, [])
    assert out.count(COMPLETE) == 2


def a_vtn(request: Request) -> Reply:
    """Take whatever is registered or reported; there are no programs, events or statuses."""
    listed = request.method == "GET" and request.path != "/health"
    return (200, b"[]") if listed else (201, b'{"id": "x", "auth_token": "y", "status": "ok"}')


# The fast library begins a connection while it waits for one to be free, and may have one too many.
@pytest.mark.parametrize(("transport", "most"), [("httpx", 8), ("fast", 12)])
def test_a_hundred_cycles_open_eight_connections(
    kernel: Kernel, counting: Scripted, transport: str, most: int
) -> None:
    """As many as may be in flight, counted at the server, and kept from cycle to cycle."""
    counting.reply = a_vtn
    fleet = Fleet.reference().only(1)
    fleet.to_csv(kernel.folder / "town.csv")
    lines = (kernel.folder / "town.csv").read_text("utf-8").splitlines()
    (kernel.folder / "town.csv").write_text("\n".join(lines[:4]), "utf-8")
    kernel.run(f"""
    values = {{"vtn_url": "{counting.url}", "transport": "{transport}"}}
    lab = lab_of(**values, fleet_csv="town.csv", simulated_hours=12.5)
    await lab.open()
    await lab.register()
    await lab.run()
    """)
    sent = sum(request.path == "/reports" for request in counting.requests)
    assert sent == 100 * 6 * 3
    assert 1 < counting.connections <= most
    kernel.run("await lab.close()")
