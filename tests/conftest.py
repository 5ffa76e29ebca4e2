"""What every test starts from: no key, no endpoint, no proxy in the environment; and what may be skipped."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import ssl
import subprocess
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from nli_models import LABELS, write_nli_model
from servers import HOST, ScriptedJudge

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from kimera.live.session import ContradictionFinder

VARIABLES = (
    "OPENAI_API_KEY", "OPENAI_BASE_URL", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "SSL_CERT_FILE",
    "RAY_ADDRESS", "ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "GEMINI_API_KEY",
    "GOOGLE_GEMINI_BASE_URL", "SYSTEMONE_API_KEY", "SYSTEMONE_BASE_URL",
    "AZURE_OPENAI_API_KEY", "AZURE_OPENAI_ENDPOINT", "OPENAI_API_VERSION",
)  # fmt: skip
LONG = ("slow", "browser", "ray")
# What no installation mends: another operating system, a GPU, a user for whom files have no permissions. The
# providers' SDKs are installed beside, since they are no dependency.
LAWFUL_SKIP = re.compile(
    r"POSIX|Windows|macOS|root may write everywhere|no (cuda|mps) device|the provider's own SDK"
)

# The same examples each day, so that a failure is due to a change; `make fuzz` draws new ones.
settings.register_profile("same", derandomize=True, database=None, deadline=None, print_blob=True)
settings.register_profile("fuzz", derandomize=False, database=None, deadline=None, print_blob=True)
settings.load_profile("same")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whoever asks for the browser needs one: nobody has to say it twice. Long files come first."""
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker("browser")
    # A file is one process's work, and none should be left alone with a long one at the end.
    long = Counter(item.path for item in items if any(map(item.get_closest_marker, LONG)))
    items.sort(key=lambda item: -long[item.path])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config) -> None:
    """Files are worked off in this order, not in that of how many tests they hold."""
    config.option.loadscopereorder = False


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return _without_skips((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return _without_skips((yield))


def _without_skips(report: Any) -> Any:
    """Where CI=true a skip is a failure: what is missing there can be installed."""
    if os.environ.get("CI") != "true" or not report.skipped or hasattr(report, "wasxfail"):
        return report
    reason = report.longrepr[2].removeprefix("Skipped: ")
    if not LAWFUL_SKIP.search(reason):
        report.outcome = "failed"
        report.longrepr = f"skipped, which CI=true does not allow: {reason}"
    return report


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c_is_heard() -> None:
    """A shell starts what it puts in the background with SIGINT ignored, and children would inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _cache_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Models are prepared once for all tests, and nothing of the user's is read or written."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:  # each has a folder of its own, within one of them all
        folder = folder.parent
    os.environ.setdefault("KIMERA_CACHE_DIR", str(folder / "cache"))


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def serve() -> Iterator[Callable[[Any], ScriptedJudge]]:
    """Starts a `ScriptedJudge` with this script; it ends with the test."""
    with contextlib.ExitStack() as stack:
        yield lambda script: stack.enter_context(ScriptedJudge(script))


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, str]:
    """A server's context, and its certificate's file: nobody vouches for it who does not trust that file."""
    if not shutil.which("openssl"):
        pytest.skip("needs the openssl command to make a certificate")
    folder = tmp_path_factory.mktemp("tls")
    key, certificate = str(folder / "key.pem"), str(folder / "certificate.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={HOST}",
         "-addext", f"subjectAltName=IP:{HOST}", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context, certificate


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium")
    if not chromium:
        pytest.skip("needs chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="session")
def live_finder() -> ContradictionFinder:
    """Both stages, loaded once; each server has it for itself while it works."""
    from kimera.live.candidate_rule import CandidateRule
    from kimera.live.session import ContradictionFinder
    from kimera.reactor import Reactor

    finder = ContradictionFinder(Reactor(cache=None), CandidateRule())
    finder.load()
    return finder


@pytest.fixture(scope="session")
def nli_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """The folder of a model for natural language inference, made once, however many tests ask for it."""
    folders: dict[str, Path] = {}

    def make(architecture: str = "bert", labels: tuple[str, ...] | None = None, **how: Any) -> Path:
        key = repr((architecture, labels, how))
        if key not in folders:
            folder = tmp_path_factory.mktemp(architecture)
            folders[key] = write_nli_model(folder, architecture, labels or LABELS[architecture][0], **how)
        return folders[key]

    return make
