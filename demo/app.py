"""The web demo: ``python demo/app.py``. Drop a photo, see six predictions and what they rest on."""

from __future__ import annotations

import argparse
import importlib.util
import os
import signal
import sys
import threading
import time
from pathlib import Path

STARTED = time.perf_counter()
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before Keras loads TensorFlow
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a script, from anywhere

import gradio as gr

from demo import about, audit_tab, batch_tab, explain_tab, log, service, uploads
from demo.crowd import WAITING, Crowd
from demo.results import Results
from fashion_xai import (
    BundleError,
    Catalogue,
    FashionClassifier,
    images,
    verdicts,
)
from fashion_xai.audited import Audit


def build(
    crowd: Crowd, results: Results, audit: Audit, verdicts_file: Path | None = None
) -> gr.Blocks:
    """The page and its endpoints, ``/predict``, ``/explain`` and ``/batch``.

    Args:
        crowd: the classifier whose answers are explained, shared by all visitors.
        results: pages behind the links to results.
        audit: what the audit tab opens on.
        verdicts_file: where the analyst's verdicts go; None takes none.
    """
    with gr.Blocks(title="fashion_xai", analytics_enabled=False, delete_cache=(600, 3600)) as page:
        with gr.Tab("Explain", id="explain"):
            explain_tab.build(crowd, results)
        with gr.Tab("Audit", id="audit"):
            audit_tab.build(page, audit, verdicts_file)
        with gr.Tab("Batch", id="batch"):
            batch_tab.build(crowd)
        with gr.Tab("About", id="about"):
            gr.HTML(about.page(crowd.classifier))
    return page


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python demo/app.py",
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
    add("--bundle", type=Path, help="folder of a trained bundle (default: the one that ships)")
    add(
        "--data",
        type=Path,
        default=os.environ.get("FASHION_DATA"),
        help="folder or zip of the catalogue, for the photos of the audit (default: $FASHION_DATA)",
    )
    add("--audit", type=Path, help="folder of an audit of your own (default: the one that ships)")
    add(
        "--mcp",
        action="store_true",
        help='also offer the endpoints to language models (MCP); needs pip install "gradio[mcp]"',
    )
    add("--verdicts", type=Path, help="CSV that keeps the verdicts given in the audit")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Exit code: 0 stopped by Ctrl-C, 1 failed, 2 wrong use."""
    args = parse(argv)
    try:
        classifier = FashionClassifier.load(args.bundle)
        catalogue = None if args.data is None else Catalogue(args.data)
        audit = Audit(args.audit, catalogue)
        login = service.login(os.environ.get("FASHION_AUTH"))
        if args.verdicts is not None:
            verdicts.read(args.verdicts)  # a file of something else is refused before anyone clicks
    except (BundleError, ValueError, OSError) as error:  # CatalogueError is a ValueError
        print(f"error: {error}", file=sys.stderr)
        return 1
    if args.mcp and importlib.util.find_spec("mcp") is None:
        print('error: --mcp needs: pip install "gradio[mcp]"', file=sys.stderr)
        return 1
    uploads.open_no_address()
    crowd = Crowd(classifier)
    results = Results()
    page = build(crowd, results, audit, args.verdicts)
    log.to_stderr()
    page.queue(max_size=WAITING)  # whoever waits sees the place; more are told to come back
    try:
        page.launch(
            server_name=args.host,
            server_port=args.port,
            share=args.share,
            css=explain_tab.CSS + audit_tab.CSS + batch_tab.CSS + about.CSS,
            head=explain_tab.script(),
            theme=gr.themes.Soft(),
            max_file_size=images.MAX_BYTES,
            state_session_capacity=500,  # a session holds about 1 MB of features and photo
            run_history=False,
            ssr_mode=False,
            footer_links=["api"],
            auth=login,
            mcp_server=args.mcp,
            app_kwargs=service.options(crowd, results, login),
            prevent_thread_lock=True,
        )
    except OSError as error:  # the port is taken
        print(f"error: {error}", file=sys.stderr)
        return 1
    end = asked_to_end()
    print(f"Ready after {time.perf_counter() - STARTED:.1f} s. Ctrl-C stops.", flush=True)
    while not end.wait(0.5):  # a wait without a limit would not see signals on every system
        pass
    print("Finishing what is in flight; Ctrl-C again stops at once.", flush=True)
    crowd.close()
    page.close(verbose=False)
    return 0


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


if __name__ == "__main__":
    sys.exit(main())
