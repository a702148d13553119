"""How photos come in: files of every kind, and links dropped from other pages."""

from __future__ import annotations

import pytest
from PIL import Image

from tests.fcfi_core.serving.playground.assets.visitor import SAMPLES


def test_refused_file_leaves_a_sentence_and_the_photo(visitor, tmp_path):
    visitor.open_sample("cat.jpg")
    visitor.click(0.5, 0.5, clicks=1)
    (tmp_path / "notes.jpg").write_text("no picture at all")
    visitor["file"].send_keys(str(tmp_path / "notes.jpg"))
    visitor.until(lambda: visitor["message"].is_displayed())
    assert "notes.jpg" in visitor["message"].text
    assert "not a picture" in visitor["message"].text
    visitor["dismiss"].click()
    assert not visitor["message"].is_displayed()
    visitor.click(0.4, 0.4, clicks=2)


@pytest.mark.parametrize("kind", ["AVIF", "HEIC"])
def test_photos_of_phones_are_shown_whether_the_browser_knows_them_or_not(visitor, tmp_path, kind):
    with Image.open(SAMPLES / "cat.jpg") as cat:
        size = cat.size
        if kind == "HEIC":
            pillow_heif = pytest.importorskip("pillow_heif")
            pillow_heif.from_pillow(cat).save(tmp_path / "cat.heic", quality=80)
        else:
            cat.save(tmp_path / "cat.avif", quality=80)
    name = f"cat.{kind.lower()}"
    visitor["file"].send_keys(str(tmp_path / name))
    visitor.until(lambda: visitor["photo-facts"].is_displayed() and name in visitor["photo-facts"].text)
    assert all(str(side) in visitor["photo-facts"].text for side in size)
    shown = visitor.until(
        lambda: visitor.driver.execute_script(
            "const photo = document.getElementById('photo');"
            "return photo.naturalWidth ? [photo.naturalWidth, photo.naturalHeight, photo.src] : null"
        )
    )
    assert shown[0] / shown[1] == pytest.approx(size[0] / size[1], rel=0.01)
    assert shown[2].startswith(
        "blob:" if kind == "AVIF" else "http:"
    )  # by the browser itself, or by the server
    visitor.click(0.5, 0.5, clicks=1)
    assert visitor.masks() == [True]


@pytest.mark.parametrize("name", ["broken.avif", "broken.heic", "broken.jpg"])
def test_a_photo_that_cannot_be_read_is_called_by_its_name(visitor, tmp_path, name):
    (tmp_path / name).write_bytes(b"\0\0\0\x1cftyp" + name.split(".")[1].encode() + b"\0" * 60)
    visitor["file"].send_keys(str(tmp_path / name))
    visitor.until(lambda: visitor["message"].is_displayed())
    assert name in visitor["message"].text


def dropped(visitor, kinds):
    """Drop text of some kinds on the page, as dragging from another page does."""
    visitor.driver.execute_script(
        "const transfer = new DataTransfer();"
        "for (const [kind, text] of Object.entries(arguments[0])) transfer.setData(kind, text);"
        "document.dispatchEvent(new DragEvent('drop', { dataTransfer: transfer, bubbles: true }));",
        kinds,
    )


def test_a_link_from_another_page(visitor, site):
    photo = (SAMPLES / "rocket.jpg").read_bytes()
    open_to_all = {"Access-Control-Allow-Origin": "*", "Content-Type": "image/jpeg"}
    site.answers["/pictures/rocket.jpg"] = 200, open_to_all, photo
    site.answers["/closed/rocket.jpg"] = 200, {"Content-Type": "image/jpeg"}, photo
    site.answers["/page.html"] = 200, {**open_to_all, "Content-Type": "text/html"}, b"<p>no picture</p>"
    visitor.until(lambda: visitor["model"].text)
    dropped(visitor, {"text/html": f'<a href="{site.url}"><img src="{site.url}/pictures/rocket.jpg"></a>'})
    visitor.until(lambda: "rocket.jpg" in visitor["photo-facts"].text)
    for address, sentence in (
        (f"{site.url}/closed/rocket.jpg", "does not hand its pictures"),
        (f"{site.url}/page.html", "leads to no picture"),
        ("http://127.0.0.1:1/far.jpg", "127.0.0.1:1 cannot be reached"),
        ("ftp://example.org/old.jpg", "begins with ftp:"),
        ("file:///home/me/cat.jpg", "drop the file of cat.jpg"),
    ):
        dropped(visitor, {"text/uri-list": address})
        visitor.until(lambda sentence=sentence: sentence in visitor["message"].text)
    dropped(visitor, {"text/plain": "words"})
    visitor.until(lambda: "no picture" in visitor["message"].text)
    visitor.driver.get_log("browser")  # the browser complains of what the closed site refused
