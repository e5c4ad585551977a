from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from eprimg.model.case import Finding, Severity
from eprimg.model.study_record import BatchSummary, CaseDigest, Light, Status, StudyRecord
from eprimg.report.batch_page import render_batch_page
from tests.report.batch_factory import record, summary

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


def _rows(page: str) -> list[str]:
    return re.findall(r"<tr>(.*?)</tr>", page.split("<tbody>")[1], re.DOTALL)


def test_every_study_has_one_row_with_its_links() -> None:
    batch = summary(60, waiting=3)
    rows = _rows(render_batch_page(batch))
    assert len(rows) == 63
    for number, study in enumerate(batch.records):
        row = rows[number]
        done = study.status == Status.OK
        assert study.key in row
        assert (f'href="studies/{study.key}/report.html"' in row) == done
        assert (f'src="thumbs/{study.key}.webp"' in row) == done
        assert f'href="logs/{study.key}.log"' in row


def test_status_and_tiers_are_words_with_symbols_not_colours_alone() -> None:
    page = render_batch_page(summary(60, waiting=1))
    for symbol, word in (("✔", "ok"), ("■", "refused"), ("✖", "failed"), ("…", "waiting")):
        assert re.search(rf">{symbol}</i> {word}<", page)
    for symbol, word in (("▲", "high"), ("◆", "moderate"), ("▼", "low"), ("?", "indeterminate")):
        assert f">{symbol}</i> {word}<" in page


def test_a_refused_study_says_why_and_what_to_do() -> None:
    study = StudyRecord(
        "S-1", Status.REFUSED, "E_SUV_WEIGHT", "the body weight is missing", "enter weight_kg"
    )
    (row,) = _rows(render_batch_page(BatchSummary((study,))))
    assert "E_SUV_WEIGHT" in row
    assert "the body weight is missing" in row
    assert "<u>Next:</u> enter weight_kg" in row
    assert "report.html" not in row


def test_the_counts_of_the_head_are_those_of_the_rows() -> None:
    batch = summary(60)
    page = render_batch_page(batch)
    for word, number in batch.counts.items():
        if number:
            assert re.search(rf"{word}</b>\s*{number}</button>", page)
    high = sum(r.digest.tiers[0].label == "high" for r in batch.records if r.digest.tiers)
    assert f"high <b>{high}</b>" in page


def test_texts_from_outside_cannot_become_markup_or_script() -> None:
    evil = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'"
    digest = CaseDigest(evil, Light.LOOK, findings=((evil, "warning", evil),))
    studies = (
        StudyRecord("S-1", Status.OK, digest=digest),
        StudyRecord("S-2", Status.REFUSED, evil, evil, evil),
    )
    finding = Finding("W_BATCH_RECORD", Severity.WARNING, evil, evil)
    page = render_batch_page(BatchSummary(studies, findings=(finding,), version=evil, created=evil))
    assert page.count("<script>") == 1
    assert "<img src=x" not in page


def test_only_the_script_of_the_page_may_run() -> None:
    page = render_batch_page(summary(3))
    script = re.search(r"<script>(.*?)</script>", page, re.DOTALL)
    assert script is not None
    digest = base64.b64encode(hashlib.sha256(script.group(1).encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page
    assert not re.findall(r"(?:https?:)?//[a-z]", page)  # nothing from a network
    assert not re.findall(r"\son\w+=", page)


def test_dates_of_the_patient_are_not_shown() -> None:
    text = "The injection (2024-05-17T10:00:00) lies after the scan of 20240516."
    digest = CaseDigest("P-1", Light.LOOK, findings=(("W_X", "warning", text),))
    studies = (
        StudyRecord("S-1", Status.OK, digest=digest),
        StudyRecord("S-2", Status.REFUSED, "E_SUV_TIME", text, text),
    )
    page = render_batch_page(BatchSummary(studies))
    assert "2024-05-17" not in page
    assert "20240516" not in page
    assert page.count("(date not shown)") == 6


def test_long_texts_are_cut_at_a_word() -> None:
    digest = CaseDigest("P", Light.LOOK, findings=(("W_X", "warning", "word " * 200),))
    (row,) = _rows(render_batch_page(BatchSummary((StudyRecord("S", Status.OK, digest=digest),))))
    assert "word …" in row
    assert len(row) < 1500


def test_unaccepted_registrations_are_said() -> None:
    good = record(0)
    digest = replace(good.digest, n_registrations=2, n_accepted=1, light=Light.LOOK)
    page = render_batch_page(BatchSummary((replace(good, digest=digest),)))
    assert "1 registration not accepted" in page


def test_a_batch_of_nothing_is_a_page() -> None:
    page = render_batch_page(BatchSummary())
    assert "0 studies" in page
    assert "Research use only" in page


def test_two_thousand_studies_stay_below_three_megabytes() -> None:
    assert len(render_batch_page(summary(2000)).encode()) < 3_000_000


_DRIVE = """
<script>
window.addEventListener("load", function () {
  var said = {};
  function shown() { return document.getElementById("shown").textContent; }
  function first() { return document.querySelector("tbody tr:not([hidden]) th").dataset.v; }
  function choose(id, value) {
    var select = document.getElementById(id);
    select.value = value;
    select.dispatchEvent(new Event("change"));
  }
  said.all = shown();
  choose("f-status", "refused");
  said.refused = shown();
  choose("f-status", "");
  choose("f-tier-0", "high");
  said.high = shown();
  document.getElementById("clear").click();
  said.cleared = shown();
  var buttons = document.querySelectorAll("thead button");
  buttons[0].click(); buttons[0].click();
  said.last_key = first();
  buttons[buttons.length - 1].click(); buttons[buttons.length - 1].click();
  said.slowest = first();
  document.querySelector("#tiles button").click();
  said.tile = shown();
  document.getElementById("clear").click();
  var search = document.getElementById("search");
  search.value = "E_EMPTY holds";
  search.dispatchEvent(new Event("input"));
  setTimeout(function () {
    said.search = shown();
    document.title = JSON.stringify(said);
  }, 400);
});
</script>
</body>"""


@pytest.mark.skipif(CHROMIUM is None, reason="no browser to run the page's script")
def test_the_page_searches_filters_and_sorts(tmp_path: Path) -> None:
    batch = summary(60)
    page = render_batch_page(batch)
    # the test drives the page with a script of its own, which the page's policy would stop
    page = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)
    path = tmp_path / "index.html"
    path.write_text(page.replace("</body>", _DRIVE), encoding="utf-8")
    command = [
        str(CHROMIUM),
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        f"--user-data-dir={tmp_path / 'profile'}",
        "--virtual-time-budget=5000",
        "--dump-dom",
        path.as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    title = re.search(r"<title>(.*?)</title>", done.stdout)
    assert title is not None, done.stderr[-500:]
    said = json.loads(title.group(1))
    counts = batch.counts
    high = sum(r.digest.tiers[0].label == "high" for r in batch.records if r.digest.tiers)
    empty = sum(r.code == "E_EMPTY" for r in batch.records)
    assert said == {
        "all": "all 60 studies",
        "refused": f"{counts['refused']} of 60 studies",
        "high": f"{high} of 60 studies",
        "cleared": "all 60 studies",
        "last_key": batch.records[-1].key,
        "slowest": max(batch.records, key=lambda r: r.seconds).key,
        "tile": f"{counts['ok']} of 60 studies",
        "search": f"{empty} of 60 studies",
    }
