"""Regions: the official integers, and where to look."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fcfi_core.clicks import Click
from fcfi_core.regions import Region, first_region, next_region


def regions(height, width):
    rows = st.tuples(st.integers(0, height - 1), st.integers(0, height - 1)).map(sorted)
    columns = st.tuples(st.integers(0, width - 1), st.integers(0, width - 1)).map(sorted)
    return st.builds(lambda r, c: Region(*r, *c), rows, columns)


@given(regions(60, 80), st.floats(1, 4), st.integers(1, 100))
def test_an_expanded_region_stays_in_the_image_and_around_its_origin(region, ratio, smallest):
    expanded = region.expanded(ratio, smallest, 60, 80)
    assert 0 <= expanded.top <= region.top <= region.bottom <= expanded.bottom <= 59
    assert 0 <= expanded.left <= region.left <= region.right <= expanded.right <= 79


@given(regions(60, 80), regions(60, 80))
def test_overlap_is_symmetric_and_one_only_for_equals(first, second):
    assert first.overlap(second) == second.overlap(first)
    assert 0 <= first.overlap(second) <= 1
    assert (first.overlap(second) == 1) == (first == second)


def test_the_last_row_and_column_count_as_outside():
    region = Region(10, 20, 30, 40)
    assert region.contains(Click(30, 10))
    assert not region.contains(Click(40, 15))
    assert not region.contains(Click(35, 20))


@given(st.integers(0, 99), st.integers(0, 79), st.integers(0, 80), st.integers(0, 100))
def test_a_region_around_a_click_has_its_size_and_lies_in_the_image(x, y, height, width):
    region = Region.around(Click(x, y), height, width, (80, 100))
    assert (region.height, region.width) == (max(1, height), max(1, width))
    assert region.top >= 0 <= region.left
    assert region.bottom < 80
    assert region.right < 100
    assert region.top <= y <= region.bottom
    assert region.left <= x <= region.right


@given(st.integers(1, 900), st.integers(1, 900), st.floats(0, 0.999), st.floats(0, 0.999), st.floats(1, 4))
def test_the_first_look_is_at_all_of_a_photo_and_around_the_click_in_a_strip(height, width, x, y, aspect):
    click = Click(int(x * width), int(y * height))
    region = first_region(click, (height, width), 4.0, aspect)
    assert region.top <= click.y <= region.bottom
    assert region.left <= click.x <= region.right
    if max(height, width) <= 4 * min(height, width):
        assert region == Region.whole(height, width)
    else:
        assert min(region.height, region.width) == min(height, width)
        assert max(region.height, region.width) == round(aspect * min(height, width))
    assert first_region(None, (height, width), 4.0, aspect) == Region.whole(height, width)


def test_a_region_is_kept_while_it_serves():
    rules = {"ratio": 1.4, "smallest": 10, "keep_overlap": 0.5}
    kept = Region(5, 60, 5, 60)
    near = Region(12, 48, 12, 48)
    assert next_region(kept, near, [Click(30, 30)], (100, 100), **rules) == kept
    assert next_region(kept, near, [Click(60, 30)], (100, 100), **rules) != kept
    assert next_region(kept, Region(28, 32, 28, 32), [Click(30, 30)], (100, 100), **rules) != kept
    assert next_region(None, near, [Click(30, 30)], (100, 100), **rules) == near.expanded(1.4, 10, 100, 100)
