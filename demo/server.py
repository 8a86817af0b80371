"""The demo's server: its parts put together, started, checked and stopped."""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

STARTED = time.perf_counter()
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before Keras loads TensorFlow
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

import gradio as gr

from demo import api
from demo.serving import guards, request_log, routes, uploads
from demo.serving.analyses import Analyses
from demo.serving.batcher import WAITING, DynamicBatcher
from demo.serving.decoder import Decoder
from demo.serving.gate import Gate
from demo.serving.queue_guard import QueueGuard
from demo.serving.result_store import Results
from demo.serving.storage import SECONDS, Janitor, Storage, trim
from demo.serving.visitors import Proxies, Visitors, rate
from demo.tabs import audit as audit_tab
from demo.tabs import batch, explain
from demo.tabs.batch import Listening
from demo.views import about, saved_views, words
from demo.views.lists import tags_beside
from demo.views.similar import Shelf
from fashion_xai import BundleError, Catalogue, FashionClassifier
from fashion_xai.audit import tags
from fashion_xai.audit.annotations import read as read_annotations
from fashion_xai.audit.engine import read_summary
from fashion_xai.audit.results import SHIPPED, Audit
from fashion_xai.cli import schema
from fashion_xai.cli.renamed import in_todays_words
from fashion_xai.cli.streams import print_anything
from fashion_xai.data import images
from fashion_xai.data.schema import Table
from fashion_xai.data.sources import location

STYLE = Path(__file__).resolve().parent / "static" / "style.css"
PROG = "python demo/app.py"
SESSIONS = 20
"""That Gradio remembers, with what it showed them last, up to 1 MB each; we need none of them."""


def build(
    analyses: Analyses,
    results: Results,
    audit: Audit,
    shelf: Shelf,
    annotations_file: Path | None = None,
    listening: Listening | None = None,
) -> gr.Blocks:
    """The page and its endpoints, ``/predict``, ``/explain`` and ``/batch``.

    Args:
        analyses: photos and their forward passes, shared by all visitors.
        results: files behind the links to results.
        audit: what the audit tab opens on.
        shelf: photos of similar products.
        annotations_file: where the analyst's annotations go; None takes none.
        listening: whether somebody waits for a batch.
    """
    batcher = analyses.batcher
    with gr.Blocks(title="fashion_xai", analytics_enabled=False) as page:
        with gr.Tab("Explain", id="explain"):
            explain.build(analyses, results, shelf)
        with gr.Tab("Audit", id="audit"):
            audit_tab.build(page, audit, results, annotations_file)
        with gr.Tab("Batch", id="batch"):
            batch.build(batcher, analyses.decoder, results, listening or Listening())
        with gr.Tab("About", id="about"):
            gr.HTML(about.page(batcher.classifier))
    return page


def parse(argv: list[str] | None = None, prog: str = PROG) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Serve the demo. GRADIO_SERVER_NAME and GRADIO_SERVER_PORT work too; "
        "FASHION_AUTH=user:password asks for a log-in.",
    )
    add = parser.add_argument
    add("--host", help="address to listen on (default: 127.0.0.1; 0.0.0.0 for every network)")
    add("--port", type=int, help="port (default: the first free one from 7860)")
    add(
        "--share",
        action="store_true",
        help="also make a public link; it downloads Gradio's tunnel program and needs the network",
    )
    add(
        "--bundle",
        type=location,
        default=os.environ.get("FASHION_BUNDLE"),
        help="folder of a trained bundle, or hf://owner/name[@revision] (default: $FASHION_BUNDLE, "
        "else the one that ships)",
    )
    add(
        "--data",
        type=location,
        default=os.environ.get("FASHION_DATA"),
        help="folder, zip, table or address of the catalogue, for the audit's photos (default: "
        "$FASHION_DATA)",
    )
    add("--audit", type=Path, help="folder of an audit of your own (default: the one that ships)")
    add(
        "--mcp",
        action="store_true",
        help='also offer the endpoints to language models (MCP); needs pip install "gradio[mcp]"',
    )
    add("--annotations", type=Path, help="CSV that keeps the annotations given in the audit")
    group = parser.add_argument_group("on the open internet")
    add = group.add_argument
    add(
        "--limit",
        metavar="RATE",
        help="requests that one address may make, such as 60/min or 2/s (default: no limit)",
    )
    add(
        "--trust-proxy",
        metavar="ADDRESS,…",
        default=os.environ.get("FASHION_TRUST_PROXY"),
        help="addresses or networks of the proxies whose X-Forwarded-* headers are believed, or * "
        "for all (default: $FASHION_TRUST_PROXY, else none; all on a Hugging Face Space, which is "
        "behind one)",
    )
    add(
        "--keep",
        type=_seconds,
        default=SECONDS,
        metavar="SECONDS",
        help="how long uploads and results are kept (default: %(default).0f)",
    )
    add(
        "--max-memory",
        type=_gigabytes,
        metavar="GB",
        help="the most memory the server may take (RLIMIT_DATA); beyond it a request fails, and "
        "not the machine. It needs about 1.5; Linux and macOS",
    )
    schema.add_arguments(parser)
    return parser.parse_args(in_todays_words(argv, {"--verdicts": "--annotations"}))


def _seconds(text: str) -> float:
    value = float(text)
    if not value >= 1:
        raise argparse.ArgumentTypeError(f"expected a second or more; received {text}")
    return value


def _gigabytes(text: str) -> float:
    value = float(text)
    if not value >= 0.5:
        raise argparse.ArgumentTypeError(f"expected half a GB or more; received {text}")
    return value


def trusted(args: argparse.Namespace) -> list[str]:
    """The proxies that are believed."""
    if args.trust_proxy:
        return [x.strip() for x in args.trust_proxy.split(",")]
    if os.environ.get("SPACE_ID"):
        return ["*"]
    return ["127.0.0.1", "::1"] if args.share else []  # the tunnel's program runs here


def main(argv: list[str] | None = None, prog: str = PROG) -> int:
    """Exit code: 0 stopped by Ctrl-C, 1 failed, 2 wrong use."""
    print_anything()
    args = parse(argv, prog)
    try:
        limit_memory(args.max_memory)
        visitors = Visitors(rate(args.limit) if args.limit else None)
        proxies = Proxies(trusted(args))
        classifier = FashionClassifier.load(args.bundle, threads=1)  # a crowd is read soonest so
        catalogue = audited_catalogue(args, classifier.bundle.card)
        audit, shelf = Audit(args.audit, catalogue), Shelf(classifier, catalogue)
        login = api.login(os.environ.get("FASHION_AUTH"))
        if args.annotations is not None:
            # Another file is refused before anyone clicks.
            read_annotations(args.annotations)
            tags.read(tags_beside(args.annotations))
            saved_views.read(saved_views.beside(args.annotations))
    except (BundleError, ValueError, OSError) as error:  # CatalogueError is a ValueError
        print(f"error: {error}", file=sys.stderr)
        return 1
    if args.mcp and importlib.util.find_spec("mcp") is None:
        print('error: --mcp needs: pip install "gradio[mcp]"', file=sys.stderr)
        return 1
    storage = Storage(args.keep)
    try:
        return serve(args, classifier, audit, shelf, login, storage, visitors, proxies)
    finally:
        storage.close()


def audited_catalogue(args: argparse.Namespace, bundle_card: Mapping) -> Catalogue | None:
    """The catalogue of ``--data``: as the flags describe it, else as the audit read it, else as
    the bundle was trained on it; None where there is none."""
    if args.data is None:
        return None
    table = read_summary(args.audit or SHIPPED).get("table") or bundle_card.get("table")
    return schema.open_catalogue(args, Table.from_json(table))


def serve(args, classifier, audit, shelf, login, storage, visitors, proxies) -> int:
    """Serve until Ctrl-C; as :func:`main`."""
    os.environ["GRADIO_TEMP_DIR"] = str(storage.folder)
    os.environ["FORWARDED_ALLOW_IPS"] = ""  # demo.serving.gate decides whom to believe
    uploads.open_no_address()
    batcher = DynamicBatcher(classifier, workers=classifier.passes)
    decoder, results = Decoder(), Results(args.keep)
    beside = ThreadPoolExecutor(1, "start")
    started = beside.submit(decoder.warm_up)  # while the page is built
    beside.shutdown(wait=False)
    analyses = Analyses(decoder, batcher, args.keep)
    reading: Counter[str] = Counter()
    listening = Listening()
    page = build(analyses, results, audit, shelf, args.annotations, listening)
    uploads.only_uploads(page)
    request_log.to_stderr()
    page.queue(max_size=WAITING)  # whoever waits sees the place; more are told to come back
    guard = listening.guard = QueueGuard(page, reading, batch.ID)
    table = routes.Table(routes.ROUTES + routes.MCP if args.mcp else routes.ROUTES)
    gate = partial(
        Gate,
        routes=table,
        visitors=visitors,
        storage=storage,
        login=login,
        reading=reading,
    )
    started.result()
    try:
        app, _, _ = page.launch(
            server_name=args.host,
            server_port=args.port,
            share=args.share,
            css=STYLE.read_text(encoding="utf-8"),
            head=explain.script(),
            theme=gr.themes.Soft(),
            max_file_size=images.MAX_BYTES,
            state_session_capacity=SESSIONS,
            run_history=False,
            ssr_mode=False,
            i18n=gr.I18n(en=words.GRADIO),
            footer_links=["api"],
            auth=login,
            mcp_server=args.mcp,
            app_kwargs=api.options(analyses, results, gate, proxies),
            prevent_thread_lock=True,
        )
    except OSError as error:  # the port is taken
        hint = f" Another one: --port {args.port + 1}" if args.port else ""
        print(f"error: {str(error).split(' You can')[0]}{hint}", file=sys.stderr)
        decoder.close()
        return 1
    open_doors = asyncio.run(guards.missing(app, guard, str(storage.folder), login is not None))
    storage.keep_what_is_there()
    chores = (storage.sweep, results.sweep, analyses.sweep, trim)
    janitor = Janitor(min(30.0, args.keep / 4), *chores)
    if open_doors:
        print(
            f"error: not started, for this version of Gradio ({gr.__version__}) leaves open: "
            f"{'; '.join(open_doors)}",
            file=sys.stderr,
        )
    else:
        end = asked_to_end()
        say(f"Ready after {time.perf_counter() - STARTED:.1f} s. Ctrl-C stops.")
        while not end.wait(0.5):  # a wait without a limit would not see signals on every system
            pass
        say("Finishing what is in flight; Ctrl-C again stops at once.")
    batcher.close()
    page.close(verbose=False)
    janitor.close()
    decoder.close()
    return 1 if open_doors else 0


def say(sentence: str) -> None:
    """Print a line in one write, so that no request's line comes in between.

    ``print`` writes the end of the line apart where output is not buffered, as in a container.
    """
    sys.stdout.write(f"{sentence}\n")
    sys.stdout.flush()


def limit_memory(gigabytes: float | None) -> None:
    """Let the process take no more memory than this; None for no limit.

    Raises:
        ValueError: the system has no such limit.
    """
    if gigabytes is None:
        return
    try:
        import resource
    except ImportError:
        raise ValueError("--max-memory: this system has no such limit.") from None
    most = int(gigabytes * 1e9)
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def asked_to_end() -> threading.Event:
    """Set by the first Ctrl-C or SIGTERM from now on; a second one ends the process at once."""
    end = threading.Event()

    def asked(number, frame):
        if end.is_set():
            os._exit(1)
        end.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, asked)
    return end
