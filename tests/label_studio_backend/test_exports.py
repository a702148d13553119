from __future__ import annotations

import json
from urllib.parse import quote

import cv2
import numpy as np
import pytest

from fcfi_core.clicks import Box, Click
from fcfi_core.datasets.opening import open_annotations, open_dataset
from fcfi_core.errors import DataError
from fcfi_core.masks import label_studio

WIDTH, HEIGHT = 40, 30


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos" / "deep"
    folder.mkdir(parents=True)
    cv2.imwrite(str(folder / "cat one.png"), np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    return tmp_path / "photos"


def brush(mask, **changes):
    result = {
        "type": "brushlabels",
        "original_width": WIDTH,
        "original_height": HEIGHT,
        "value": {"format": "rle", "rle": label_studio.encode(mask), "brushlabels": ["cat"]},
    }
    return {**result, **changes}


def export(tmp_path, results, **task):
    content = {
        "id": 7,
        "data": {"image": "/data/upload/1/0a1b2c3d-cat%20one.png"},
        "annotations": [{"result": results, "updated_at": "2026-01-02"}],
        **task,
    }
    path = tmp_path / "export.json"
    path.write_text(json.dumps([content]), encoding="utf-8")
    return path


def rectangle():
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[10:20, 8:30] = True
    return mask


def test_brush_and_polygon_become_regions(tmp_path, photos):
    points = [[20, 100 * 10 / 30], [75, 100 * 10 / 30], [75, 100 * 20 / 30], [20, 100 * 20 / 30]]
    polygon = brush(rectangle(), type="polygonlabels", value={"points": points, "polygonlabels": ["cat"]})
    dataset = open_dataset(export(tmp_path, [brush(rectangle()), polygon]), photos)
    (name,) = dataset.image_names
    assert dataset.areas(name) == {1: 220, 2: 220}
    photo = dataset.read(name)
    assert photo.pixels.shape == (HEIGHT, WIDTH, 3)
    assert np.array_equal(photo.mask(1), rectangle())
    assert np.array_equal(photo.mask(2), rectangle())


def test_the_newest_annotation_that_was_not_cancelled_counts(tmp_path, photos):
    small = np.zeros((HEIGHT, WIDTH), bool)
    small[3, 3] = True
    annotations = [
        {"result": [brush(rectangle())], "updated_at": "2026-01-01"},
        {"result": [brush(small)], "updated_at": "2026-01-03"},
        {"result": [brush(~small)], "updated_at": "2026-01-04", "was_cancelled": True},
    ]
    dataset = open_dataset(export(tmp_path, [], annotations=annotations), photos)
    assert dataset.areas(dataset.image_names[0]) == {1: 1}


def test_clicks_that_hold_a_mask_are_left_out(tmp_path, photos):
    dataset = open_dataset(
        export(tmp_path, [brush(rectangle()), brush(rectangle(), type="keypointlabels")]), photos
    )
    assert len(dataset.areas(dataset.image_names[0])) == 1


def test_an_export_without_regions_is_refused(tmp_path, photos):
    with pytest.raises(DataError, match="no brush or polygon region"):
        open_dataset(export(tmp_path, []), photos)


def test_a_missing_photo_is_named(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    with pytest.raises(DataError, match=r"cat one\.png"):
        open_dataset(export(tmp_path, [brush(rectangle())]), tmp_path / "elsewhere")


def test_a_photo_of_another_size_is_refused(tmp_path, photos):
    cv2.imwrite(str(photos / "deep" / "cat one.png"), np.zeros((HEIGHT, WIDTH + 1, 3), np.uint8))
    dataset = open_dataset(export(tmp_path, [brush(rectangle())]), photos)
    with pytest.raises(DataError, match="41 x 30"):
        dataset.read(dataset.image_names[0])


def test_folders_tell_photos_of_the_same_name_apart(tmp_path, photos):
    for camera, brightness in (("cam1", 0), ("cam2", 90)):
        (photos / camera).mkdir()
        cv2.imwrite(str(photos / camera / "frame.png"), np.full((HEIGHT, WIDTH, 3), brightness, np.uint8))
    task = {"data": {"image": "/data/local-files/?d=somewhere/cam2/frame.png"}}
    dataset = open_dataset(export(tmp_path, [brush(rectangle())], **task), photos)
    assert (dataset.read(dataset.image_names[0]).pixels == 90).all()
    unclear = export(tmp_path, [brush(rectangle())], data={"image": "/data/upload/1/0a1b2c3d-frame.png"})
    with pytest.raises(DataError, match=r"may be .*cam1.* or .*cam2"):
        open_dataset(unclear, photos)


def test_copies_of_one_photo_are_one_photo(tmp_path, photos):
    copy = photos / "copy" / "cat one.png"
    copy.parent.mkdir()
    copy.write_bytes((photos / "deep" / "cat one.png").read_bytes())
    assert len(open_dataset(export(tmp_path, [brush(rectangle())]), photos).image_names) == 1


@pytest.mark.parametrize(
    ("results", "data"),
    [
        ([brush(rectangle(), to_name="left"), brush(rectangle(), to_name="right")], {"image": "a.png"}),
        ([brush(rectangle(), to_name="image")], {"left": "a.png", "right": "b.png"}),
        ([brush(rectangle(), item_index=0), brush(rectangle(), item_index=1)], {"pages": ["a.png", "b.png"]}),
    ],
)
def test_several_pictures_in_a_task_are_refused(tmp_path, photos, results, data):
    for index, name in enumerate(("a.png", "b.png")):
        cv2.imwrite(str(photos / name), np.full((HEIGHT, WIDTH, 3), index, np.uint8))
    with pytest.raises(DataError, match=r"photo is not clear .*task 7 shows several pictures"):
        open_dataset(export(tmp_path, results, data=data), photos)


@pytest.mark.parametrize(
    "data",
    [
        {"left": "/data/a.png", "right": "/data/b.png"},
        {"thumbnail": "https://example.org/thumbnails/1.png", "image": "s3://bucket/b.png"},
        {"image": "s3://bucket/b.png", "filename": "b.png", "id": "b"},
    ],
)
def test_one_picture_among_other_entries_is_found(tmp_path, photos, data):
    for name, brightness in (("a.png", 0), ("b.png", 90)):
        cv2.imwrite(str(photos / name), np.full((HEIGHT, WIDTH, 3), brightness, np.uint8))
    to_name = "right" if "right" in data else "image"
    dataset = open_dataset(export(tmp_path, [brush(rectangle(), to_name=to_name)], data=data), photos)
    assert (dataset.read(dataset.image_names[0]).pixels == 90).all()


def test_one_photo_is_not_given_to_two_tasks(tmp_path, photos):
    tasks = [
        {
            "id": number,
            "data": {"image": f"/data/upload/1/{number}a1b2c3d-cat_one.png"},
            "annotations": [{"result": [brush(rectangle())]}],
        }
        for number in (0, 1)
    ]
    path = tmp_path / "two.json"
    path.write_text(json.dumps(tasks), encoding="utf-8")
    with pytest.raises(DataError, match=r"0a1b2c3d-cat_one\.png.* would both be .*cat one\.png"):
        open_dataset(path, photos)
    path.write_text(json.dumps([tasks[0], {**tasks[0], "id": 5}]), encoding="utf-8")
    assert open_dataset(path, photos).image_names == ("task-0", "task-5")


@pytest.mark.parametrize(
    ("there", "exported"),
    [
        ("my cow (2).png", "my_cow_2.png"),
        ("Käse Straße.png", "Käse_Straße.png"),
        ("Ka\u0308se.png", "K\u00e4se.png"),
        ("IMG#3.png", "IMG3.png"),
        ("x&y=z.png", "xyz.png"),
        ("100%.png", "100.png"),
    ],
)
def test_names_that_label_studio_changed_are_found(tmp_path, photos, there, exported):
    (photos / "deep" / "cat one.png").rename(photos / there)
    data = {"image": f"/data/upload/1/0a1b2c3d-{quote(exported)}"}
    assert open_dataset(export(tmp_path, [brush(rectangle())], data=data), photos).image_names


@pytest.mark.parametrize(
    "reference",
    [
        "s3://bucket/deep/cat%20one.png",
        "s3://bucket/cat one.png",
        "azure-blob://container/cat one.png",
        "https://example.org/a/cat%20one.png?X-Amz-Signature=1&d=x",
        "https://example.org/get?file=cat%20one.png",
        "/data/local-files/?d=deep%2Fcat%20one.png",
    ],
)
def test_photos_of_storages_are_found_by_name(tmp_path, photos, reference):
    data = {"image": reference, "caption": "other.png"}
    assert open_dataset(
        export(tmp_path, [brush(rectangle(), to_name="image")], data=data), photos
    ).image_names


def test_a_key_may_hold_what_ends_a_url(tmp_path, photos):
    (photos / "deep" / "cat one.png").rename(photos / "IMG#7.png")
    data = {"image": "s3://bucket/IMG#7.png"}
    assert open_dataset(export(tmp_path, [brush(rectangle())], data=data), photos).image_names


def test_the_very_name_comes_before_a_changed_one(tmp_path, photos):
    cv2.imwrite(str(photos / "cat_one.png"), np.full((HEIGHT, WIDTH, 3), 90, np.uint8))
    data = {"image": "/data/upload/1/0a1b2c3d-cat_one.png"}
    dataset = open_dataset(export(tmp_path, [brush(rectangle())], data=data), photos)
    assert (dataset.read("task-7").pixels == 90).all()


def test_what_is_left_out_is_counted(tmp_path, photos):
    box = brush(rectangle(), type="rectanglelabels", value={"x": 1, "y": 1, "width": 9, "height": 9})
    path = export(tmp_path, [brush(rectangle()), box, box, {"type": "choices", "value": {"choices": ["a"]}}])
    (task,) = json.loads(path.read_text())
    path.write_text(json.dumps([task, {**task, "id": 8, "annotations": []}]), encoding="utf-8")
    dataset = open_dataset(path, photos)
    assert dataset.left_out == {
        "regions of type rectanglelabels": 2,
        "tasks without a submitted annotation": 1,
    }
    with pytest.raises(DataError, match=r"but regions of type rectanglelabels \(1\)"):
        open_dataset(export(tmp_path, [box]), photos)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ([], "holds no task"),
        ([{"id": 1, "image": "a.png", "annotation_id": 3, "label": []}], "JSON-MIN"),
        ([{"id": 7, "data": {}, "annotations": [5]}], "not as Label Studio exports them .*task 7"),
        ([{"id": 7, "data": {}, "annotations": None}], "not as Label Studio exports them .*task 7"),
        ([{"id": 7, "data": {}, "annotations": [{"result": None}]}], "not as Label Studio .*task 7"),
        ([{"id": 7, "data": {}, "annotations": [{"result": [{"type": "brush", "value": None}]}]}], "task 7"),
    ],
)
def test_what_is_no_proper_export_is_one_sentence(tmp_path, content, told):
    path = tmp_path / "export.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(DataError, match=told):
        open_dataset(path)


def test_a_damaged_mask_names_its_task(tmp_path, photos):
    damaged = brush(rectangle(), value={"rle": [0, 0, 1]})
    dataset = open_dataset(export(tmp_path, [damaged, brush(rectangle())]), photos)
    assert dataset.areas("task-7") == {2: 220}
    assert "cat one.png, object 1: the Label Studio rle" in str(dataset.left_out)


def test_a_single_task_and_a_byte_order_mark_are_read(tmp_path, photos):
    path = export(tmp_path, [brush(rectangle())])
    (task,) = json.loads(path.read_text())
    path.write_text(json.dumps(task), encoding="utf-8-sig")
    assert open_dataset(path, photos).image_names == ("task-7",)


def test_a_region_without_its_size_is_of_the_photo_s(tmp_path, photos):
    result = brush(rectangle())
    del result["original_width"]
    assert open_dataset(export(tmp_path, [result]), photos).areas("task-7") == {1: 220}


def test_one_bad_task_costs_itself_alone(tmp_path, photos):
    path = export(tmp_path, [brush(rectangle())])
    (task,) = json.loads(path.read_text())
    path.write_text(
        json.dumps([{"id": 3, "data": {}, "annotations": [5]}, task, {"odd": 1}]), encoding="utf-8"
    )
    dataset = open_dataset(path, photos)
    assert dataset.image_names == ("task-7",)
    assert dataset.left_out == {"tasks that are not as Label Studio exports them": 2}


@pytest.mark.parametrize("task", [None, 7, "x", [], {}, {"id": 3, "data": None, "annotations": []}])
def test_what_stands_among_tasks_and_is_none_costs_itself_alone(tmp_path, photos, task):
    path = export(tmp_path, [brush(rectangle())])
    path.write_text(json.dumps([task, *json.loads(path.read_text())]), encoding="utf-8")
    dataset = open_dataset(path, photos)
    assert dataset.areas("task-7") == {1: 220}
    assert dataset.left_out == {"tasks that are not as Label Studio exports them": 1}


@pytest.mark.parametrize("annotation", [None, 7, "x", {"result": None}, {"result": "x"}, {"result": 7}])
def test_a_bad_annotation_costs_itself_alone(tmp_path, photos, annotation):
    good = {"result": [brush(rectangle())], "updated_at": "2026-01-01"}
    dataset = open_dataset(export(tmp_path, [], annotations=[annotation, good]), photos)
    assert dataset.areas("task-7") == {1: 220}
    assert dataset.left_out == {"annotations that are none": 1}


@pytest.mark.parametrize("entry", [None, 7, "x", [[]]])
def test_what_stands_among_regions_and_is_none_costs_itself_alone(tmp_path, photos, entry):
    dataset = open_dataset(export(tmp_path, [brush(rectangle()), entry]), photos)
    assert dataset.areas("task-7") == {1: 220}
    assert dataset.left_out == {"entries that are no regions": 1}


def test_a_dot_of_an_unknown_polarity_costs_itself_alone(tmp_path, photos):
    results = [brush(rectangle(), to_name="i"), dot("1", 50, 50, "perhaps"), dot("2", 50, 50)]
    path = export(tmp_path, results)
    _, (_, (label, prompt)) = asked(path, photos)
    assert (label, len(prompt.clicks)) == ("dog", 1)
    assert "is_positive = 'perhaps'" in str(open_annotations(path, photos).left_out)


def test_dots_that_are_too_many_cost_their_class_alone(tmp_path, photos):
    dots = [dot(str(number), number / 20, 50) for number in range(1001)]
    path = export(tmp_path, [brush(rectangle(), to_name="i"), *dots])
    _, ((label, _),) = asked(path, photos)
    assert label == "cat"
    assert "1001 clicks; at most 1000" in str(open_annotations(path, photos).left_out)


def dot(ident, x, y, positive=True):
    value = {"x": x, "y": y, "width": 1, "keypointlabels": ["dog"]}
    return brush(rectangle(), id=ident, type="keypointlabels", is_positive=positive, value=value, to_name="i")


def asked(path, images=None):
    (photo,) = open_annotations(path, images).photos
    return photo, [(one.label, one.marks.prompt(WIDTH, HEIGHT, print)) for one in photo.objects]


def test_rectangles_and_dots_are_prompts(tmp_path, photos):
    value = {"x": 25, "y": 50, "width": 50, "height": 20, "rotation": 0, "rectanglelabels": ["cat"]}
    box = brush(rectangle(), type="rectanglelabels", value=value, to_name="i")
    results = [box, brush(rectangle(), to_name="i"), dot("1", 50, 50), dot("2", 10, 10, False)]
    photo, ((first, boxed), (second, drawn), (third, dotted)) = asked(export(tmp_path, results), photos)
    assert (photo.id, photo.file_name) == (7, "cat one.png")
    assert (first, second, third) == ("cat", "cat", "dog")
    assert boxed.box == Box(10, 15, 29, 20)
    assert drawn.mask.sum() == 220
    assert dotted.clicks == (Click(20, 15), Click(4, 3, False))


def test_negative_dots_alone_are_no_object(tmp_path, photos):
    _, objects = asked(export(tmp_path, [brush(rectangle(), to_name="i"), dot("1", 5, 5, False)]), photos)
    assert [label for label, _ in objects] == ["cat"]


def test_other_entries_of_a_task_do_not_matter(tmp_path, photos):
    data = {
        "caption": "//[a cat",
        "n": 3,
        "link": "https://example.org/?d=1",
        "photo": "s3://b/cat%20one.png",
    }
    dataset = open_dataset(export(tmp_path, [brush(rectangle())], data=data), photos)
    assert dataset.read(dataset.image_names[0]).pixels.shape == (HEIGHT, WIDTH, 3)
