"""The report as one HTML file: tables, curves as inline SVG, the worst cases as embedded pictures.

Nothing is loaded from elsewhere, there is no script, and both colour schemes of the reader's system are
served.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from importlib.resources import files

import numpy as np

from fcfi_core.evaluation import metrics
from fcfi_core.evaluation.runner import DatasetResult, Report, WorstCase

_SERIES = 6  # distinguishable colours in report.css

Curve = tuple[str, Sequence[float]]
"""Name of a segmenter, and a value 0..1 for each click."""


def to_html(report: Report) -> str:
    """Return ``report`` as a complete HTML document."""
    style = files("fcfi_core.evaluation").joinpath("report.css").read_text(encoding="utf-8")
    sections = [
        _dataset_section(report, [entry.datasets[index] for entry in report.entries])
        for index in range(len(report.main.datasets))
    ]
    title = f"Evaluation of {escape(report.main.model)}"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n"
        f"<h1>{title}</h1>\n{_introduction(report)}\n{_overview(report)}\n"
        f"{''.join(sections)}\n{_details(report)}\n</main>\n</body>\n</html>\n"
    )


def _introduction(report: Report) -> str:
    rules = report.rules
    objects = sum(len(result.traces) for result in report.main.datasets)
    stop = (
        "and never stops before"
        if rules.stop_at is None
        else f"and stops at IoU {rules.stop_at:g}, when nothing is left to correct, or"
    )
    noise = f" Clicks are moved by {escape(repr(rules.noise))}." if rules.noise else ""
    return (
        f'<p class="lead">A simulated annotator clicks on the deepest error of the mask {stop} '
        f"after {rules.max_clicks} clicks. {objects} objects in {len(report.main.datasets)} data "
        f"set{'s' if len(report.main.datasets) != 1 else ''}.{noise}</p>"
    )


def _overview(report: Report) -> str:
    """Return the table of the figures people compare: one row per data set and segmenter."""
    names = [f"{100 * target:g}" for target in report.rules.targets]
    columns = [
        *((f"noc@{name}", f"NoC@{name}", _clicks) for name in names),
        *((f"missed@{name}", f"never {name}", _count) for name in names[-2:]),
        *((f"iou@{k}", f"IoU@{k}", _percent) for k in (1, 3, 5, 10) if k <= report.rules.max_clicks),
        *((key, title, _percent) for key, title in _edges(report)),
        ("pq", "PQ", _percent),
        *((("best@1", "best of IoU@1", _percent),) if _has_choice(report) else ()),
        ("ms_per_click", "ms / click", _milliseconds),
        ("ms_per_click_network", "network", _milliseconds),
        ("ms_per_click_rest", "rest", _milliseconds),
    ]
    rows = []
    for index, result in enumerate(report.main.datasets):
        for number, entry in enumerate(report.entries):
            figures = entry.datasets[index].metrics()
            first = (
                f'<th scope="rowgroup" rowspan="{len(report.entries)}">{escape(result.name)}'
                f"<small>{len(result.traces)} objects</small></th>"
                if number == 0
                else ""
            )
            cells = "".join(f"<td>{form(figures.get(key, math.nan))}</td>" for key, _, form in columns)
            rows.append(f'<tr>{first}<th scope="row">{_swatch(number)}{escape(entry.model)}</th>{cells}</tr>')
    head = "".join(f"<th>{title}</th>" for _, title, _ in columns)
    return (
        f'<div class="wide"><table><thead><tr><th>data set</th><th>model</th>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
        '<p class="note">NoC@t: mean clicks until the IoU reaches t percent, the limit if it never does. '
        "Never t: objects that do not reach it. IoU@k: mean after k clicks; whoever is content stops, "
        "and the mask stays. Edges: boundary IoU, the band 2 % of the diagonal or 2 pixels "
        "wide. PQ: panoptic quality of the last masks of each photo, without classes.</p>"
    )


def _edges(report: Report) -> tuple[tuple[str, str], ...]:
    """Return names and titles of the figures of edges, where they were measured."""
    if not report.rules.boundaries:
        return ()
    click = min(3, report.rules.max_clicks)
    return ((f"biou@{click}", f"edges@{click}"), (f"biou2px@{click}", f"2 px@{click}"))


def _dataset_section(report: Report, results: Sequence[DatasetResult]) -> str:
    entries = [entry.model for entry in report.entries]
    target = max((t for t in report.rules.targets if t <= 0.9), default=min(report.rules.targets))
    quality = [
        (name, [metrics.mean_at(result.ious, k) for k in range(1, report.rules.max_clicks + 1)])
        for name, result in zip(entries, results, strict=True)
    ]
    arrived = [(name, _arrived(result, target)) for name, result in zip(entries, results, strict=True)]
    charts = [
        _chart("Mean IoU after k clicks", quality),
        _chart(f"Share of objects at IoU {100 * target:g} or better within k clicks", arrived),
    ]
    if report.rules.boundaries:
        limit = report.rules.max_clicks
        edges = [
            (name, [metrics.mean_at(table, k) for k in range(1, limit + 1)])
            for name, table in (
                (name, metrics.table((one.bious for one in result.traces), limit))
                for name, result in zip(entries, results, strict=True)
            )
        ]
        charts.append(_chart("Mean boundary IoU after k clicks", edges))
    legend = "".join(f"<li>{_swatch(index)}{escape(name)}</li>" for index, name in enumerate(entries))
    main = results[0]
    pictures = "".join(map(_figure, main.worst))
    gallery = (
        f"<h3>Where {escape(entries[0])} is worst</h3>"
        '<p class="note"><span class="missed">blue</span>: missed; <span class="excess">red</span>: too '
        "much; green outline: right. Numbered disks are the clicks, green positive, red negative.</p>"
        f'<div class="gallery">{pictures}</div>'
        if pictures
        else ""
    )
    return (
        f'<section><h2>{escape(main.name)}</h2><ul class="legend">{legend}</ul>'
        f'<div class="charts">{"".join(charts)}</div>{gallery}</section>'
    )


def _arrived(result: DatasetResult, target: float) -> list[float]:
    """Return the share of objects that reached ``target`` by each click."""
    ious = metrics.known(result.ious)
    if not len(ious):
        return []
    reached = np.maximum.accumulate(ious >= target, axis=1)
    return [float(share) for share in reached.mean(axis=0)]


def _figure(case: WorstCase) -> str:
    one = case.trace
    name = escape(f"{one.image_name} #{one.object_id}")
    data = base64.b64encode(case.jpeg).decode("ascii")
    return (
        f'<figure><img loading="lazy" alt="{name} with its last mask and clicks" '
        f'src="data:image/jpeg;base64,{data}"><figcaption>{name}<br>'
        f"IoU {_percent(one.ious[0])} → {_percent(one.ious[-1])} in {len(one.clicks)} clicks, "
        f"{one.area} pixels</figcaption></figure>"
    )


def _details(report: Report) -> str:
    blocks = []
    for index, entry in enumerate(report.entries):
        differing = {
            key: value
            for key, value in entry.protocol.items()
            if index == 0 or report.main.protocol.get(key) != value
        }
        rows = "".join(map(_row, differing, differing.values())) or _row("settings", "as above")
        blocks.append(
            f"<div><h3>{_swatch(index)}{escape(entry.model)}</h3>"
            f"<table class='pairs'><tbody>{rows}</tbody></table></div>"
        )
    machine = ", ".join(f"{key} {value}" for key, value in report.machine.items())
    made = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return (
        f'<section><h2>Settings</h2><div class="settings">{"".join(blocks)}</div>'
        f'<p class="note">Made {made} on: {escape(machine)}.</p></section>'
    )


def _row(key: str, value: object) -> str:
    return f'<tr><th scope="row">{escape(key)}</th><td>{escape(str(value))}</td></tr>'


def _chart(title: str, curves: Iterable[Curve]) -> str:
    """Return an SVG line chart of values 0..1 over clicks, with the figures as tool tips."""
    curves = [(name, values) for name, values in curves if any(map(math.isfinite, values))]
    count = max((len(values) for _, values in curves), default=1)
    lowest = min((v for _, values in curves for v in values if math.isfinite(v)), default=0.0)
    floor = max(0.0, math.floor(lowest * 10 - 0.001) / 10)
    width, height, left, right, top, bottom = 460, 260, 40, 12, 12, 34

    def x_of(click: int) -> float:
        return left + (width - left - right) * (click - 1) / max(count - 1, 1)

    def y_of(value: float) -> float:
        return height - bottom - (height - top - bottom) * (value - floor) / (1 - floor or 1)

    parts = [*_grid(floor, y_of, left, width - right), *_ticks(count, x_of, height - bottom)]
    for index, (name, values) in enumerate(curves):
        places = [(x_of(k), y_of(v), k, v) for k, v in enumerate(values, start=1) if math.isfinite(v)]
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y, _, _ in places)
        parts.append(f'<polyline class="line s{index % _SERIES}" points="{points}"/>')
        parts += [
            f'<circle class="dot s{index % _SERIES}" cx="{x:.1f}" cy="{y:.1f}" r="3">'
            f"<title>{escape(name)}, {k} click{'s' * (k > 1)}: {_percent(v)}</title></circle>"
            for x, y, k, v in places
        ]
    parts.append(f'<text class="axis" x="{(left + width) / 2}" y="{height - 4}">clicks</text>')
    return (
        f'<figure class="chart"><figcaption>{escape(title)}</figcaption>'
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}">'
        f"{''.join(parts)}</svg></figure>"
    )


def _grid(floor: float, y_of: Callable[[float], float], left: float, right: float) -> list[str]:
    """Return horizontal lines and their labels, in tenths from ``floor`` to 1."""
    step = 0.1 if floor >= 0.5 else 0.2
    values = [1 - step * index for index in range(round((1 - floor) / step + 0.5))]
    return [
        f'<line class="grid" x1="{left}" x2="{right}" y1="{y_of(v):.1f}" y2="{y_of(v):.1f}"/>'
        f'<text class="value" x="{left - 6}" y="{y_of(v) + 4:.1f}">{100 * v:.0f}</text>'
        for v in values
        if v >= floor - 1e-9
    ]


def _ticks(count: int, x_of: Callable[[int], float], y: float) -> list[str]:
    """Return the labels of the clicks: 1, then every fifth (every one if there are few)."""
    shown = [k for k in range(1, count + 1) if count <= 8 or k == 1 or k % 5 == 0]
    return [f'<text class="tick" x="{x_of(k):.1f}" y="{y + 14}">{k}</text>' for k in shown]


def _swatch(index: int) -> str:
    return f'<i class="swatch s{index % _SERIES}"></i>'


def _clicks(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else "-"


def _count(value: float) -> str:
    return f"{value:.0f}"


def _percent(value: float) -> str:
    return f"{100 * value:.1f}" if math.isfinite(value) else "-"


def _milliseconds(value: float) -> str:
    return f"{value:.1f}" if math.isfinite(value) else "-"


def _has_choice(report: Report) -> bool:
    """Return whether an annotator looked at several answers to the first click."""
    return any("best@1" in result.metrics() for entry in report.entries for result in entry.datasets)


def summary(report: Report) -> str:
    """Return the main figures as a text table for the terminal."""
    names = [f"{100 * target:g}" for target in report.rules.targets]
    ks = [k for k in (1, 3, 5) if k <= report.rules.max_clicks]
    columns: Mapping[str, Callable[[float], str]] = {
        **{f"noc@{name}": _clicks for name in names},
        **{f"missed@{name}": _count for name in names[-2:]},
        **{f"iou@{k}": _percent for k in ks},
        **{key: _percent for key, _ in _edges(report)},
        "pq": _percent,
        **({"best@1": _percent} if _has_choice(report) else {}),
        "ms_per_click": _milliseconds,
        "ms_per_click_network": _milliseconds,
    }
    rows = [["data set", "objects", "model", *columns]]
    for index, result in enumerate(report.main.datasets):
        for entry in report.entries:
            figures = entry.datasets[index].metrics()
            cells = [form(figures.get(key, math.nan)) for key, form in columns.items()]
            rows.append([result.name, str(len(result.traces)), entry.model, *cells])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if position in (0, 2) else cell.rjust(width)
            for position, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )
