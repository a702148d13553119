"""Every form of image reference, and what must not get through."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fcfi_core.errors import FcfiError, ImageError
from label_studio_backend.image_resolver import ImageResolver
from label_studio_backend.settings import Settings

TOKEN = "5f0c1e2d3b4a59687786950413223140aabbccdd"


def jwt(**claims):
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"e30.{payload}.signature"


@pytest.fixture
def png(picture):
    return picture(8, 6)[0]


@pytest.fixture
def make(site):
    def make(path="", **more):
        return ImageResolver(
            Settings(**{"label_studio_url": site.url + path, "label_studio_token": TOKEN, **more})
        )

    return make


def test_uploads_and_local_files_come_from_label_studio_with_the_token(make, site, png):
    for path in (
        "/data/upload/3/a%20b.png",
        "/data/local-files/?d=set/x%20y.png",
        "/storage-data/uploaded/?filepath=upload/1/x.png",
    ):
        site.answers[path] = (200, {}, png)
        image, _ = make().load(path)
        assert (image.width, image.height) == (8, 6)
    assert site.authorisations() == [f"Token {TOKEN}"] * 3


def test_the_same_by_its_full_address(make, site, png):
    site.answers["/data/upload/3/x.png"] = (200, {}, png)
    make().load(f"{site.url}/data/upload/3/x.png")
    assert site.authorisations() == [f"Token {TOKEN}"]


def test_below_a_sub_path(make, site, png):
    site.answers["/ls/data/upload/3/x.png"] = (200, {}, png)
    for reference in (
        "/data/upload/3/x.png",
        "/ls/data/upload/3/x.png",
        f"{site.url}/ls/data/upload/3/x.png",
    ):
        assert make("/ls").load(reference)[0].width == 8
    assert site.authorisations() == [f"Token {TOKEN}"] * 3


def test_a_sub_path_before_a_label_studio_that_is_reached_directly(make, site, png):
    site.answers["/data/upload/3/x.png"] = (200, {}, png)
    assert make().load("/labelstudio/data/upload/3/x.png")[0].width == 8
    with pytest.raises(
        ImageError, match=f"lies below /labelstudio, let LABEL_STUDIO_URL .{site.url}. end in it"
    ):
        make().load("/labelstudio/data/upload/3/other.png")


def test_another_application_on_the_same_server_never_sees_the_token(make, site, png):
    for path in ("/other/data/upload/1/x.png", "/data/upload/1/x.png", "/other/tasks/1/presign/x"):
        site.answers[path] = (200, {}, png)
    make().load(f"{site.url}/other/data/upload/1/x.png")
    make("/ls").load(f"{site.url}/data/upload/1/x.png")
    make("/ls").load(f"{site.url}/other/tasks/1/presign/x")
    assert site.authorisations() == [None] * 3


def test_the_forms_that_label_studio_s_sdk_reads(make, site, png):
    site.answers["/data/upload/3/x.png"] = (200, {}, png)
    site.answers["/data/local-files/?d=set/x.png"] = (200, {}, png)
    for reference in ("upload/3/x.png", "/upload/3/x.png", "/data/local-files?d=set/x.png"):
        assert make().load(reference)[0].width == 8
    assert site.authorisations() == [f"Token {TOKEN}"] * 3


def test_label_studio_under_another_name(make, site, png):
    site.answers["/ls/data/local-files/?d=x.png"] = (200, {}, png)
    public = "https://label-studio.example/public/data/local-files/?d=x.png"
    names = ("https://label-studio.example/public",)
    local = f"http://localhost:{site.host.split(':')[1]}/ls/data/local-files/?d=x.png"
    for reference in (public, local):
        assert make("/ls", label_studio_names=names).load(reference)[0].width == 8
    assert site.authorisations() == [f"Token {TOKEN}"] * 2


def test_an_address_that_looks_like_label_studio_s_is_named_beside_ours(make, site, other_site):
    there = f"http://localhost:{other_site.host.split(':')[1]}"
    with pytest.raises(ImageError, match="FCFI_LABEL_STUDIO_NAMES") as refused:
        make().load(f"{there}/data/local-files/?d=x.png")
    assert site.url in str(refused.value)
    assert f"FCFI_LABEL_STUDIO_NAMES={there}." in str(refused.value)
    with pytest.raises(ImageError, match=f"FCFI_LABEL_STUDIO_NAMES={other_site.url}/sub."):
        make(allowed_hosts=("127.0.0.1",)).load(f"{other_site.url}/sub/data/upload/1/x.png")
    assert other_site.authorisations()[:1] == [None]


def test_a_redirect_to_label_studio_s_other_name_is_followed_at_home(make, site, png):
    there = "https://label-studio.example"
    site.answers["/data/upload/1/x.png"] = (302, {"Location": f"{there}/data/upload/1/y.png"}, b"")
    site.answers["/data/upload/1/y.png"] = (200, {}, png)
    assert make(label_studio_names=(there,)).load("/data/upload/1/x.png")[0].width == 8


def test_an_upload_kept_in_a_cloud_is_found_by_its_other_route(make, site, png):
    site.answers["/storage-data/uploaded/?filepath=upload/3/x.png"] = (200, {}, png)
    assert make().load("/data/upload/3/x.png")[0].width == 8


@pytest.mark.parametrize("scheme", ["s3", "gs", "azure-blob"])
def test_cloud_addresses_are_signed_by_label_studio_and_fetched_without_token(
    make, site, other_site, png, scheme
):
    reference = f"{scheme}://bucket/ä b.png"
    coded = quote(base64.urlsafe_b64encode(reference.encode()).decode())
    site.answers[f"/tasks/7/presign/?fileuri={coded}"] = (
        303,
        {"Location": f"{other_site.url}/signed?x=1"},
        b"",
    )
    other_site.answers["/signed?x=1"] = (200, {}, png)
    assert make(allowed_hosts=("127.0.0.1",)).load(reference, 7)[0].width == 8
    assert site.authorisations() == [f"Token {TOKEN}"]
    assert other_site.authorisations() == [None]
    with pytest.raises(ImageError, match="task id"):
        make().load(reference)


def test_a_redirect_to_a_private_address_is_not_followed(make, site, other_site, png):
    site.answers["/data/upload/1/x.png"] = (302, {"Location": f"{other_site.url}/x.png"}, b"")
    other_site.answers["/x.png"] = (200, {}, png)
    with pytest.raises(ImageError, match="private address"):
        make().load("/data/upload/1/x.png")
    assert other_site.asked == []


def test_other_hosts_never_see_the_token(make, site, other_site, png):
    other_site.answers["/data/upload/1/x.png"] = (302, {"Location": f"{site.url}/api/projects"}, b"")
    site.answers["/api/projects"] = (200, {}, b"{}")
    with pytest.raises(ImageError):
        make(allowed_hosts=("127.0.0.1",)).load(f"{other_site.url}/data/upload/1/x.png")
    assert site.authorisations() + other_site.authorisations() == [None, None]


@pytest.mark.parametrize(
    "reference",
    [
        "/api/current-user/token",
        "/data/upload/../../api/projects",
        "/data/upload/%2e%2e/%2e%2e/api/projects",
        "/data/upload/%252e%252e/x",
        "/data/upload/..\\..\\api",
        "//evil.example/data/upload/1/x.png",
        "/\\evil.example/data/upload/1/x.png",
        "/etc/passwd",
        "etc/passwd",
        "file:///etc/passwd",
        "ftp://host/x.png",
        "gopher://host/x",
        "C:\\x.png",
        "http://",
        "http://user:pw@host/x.png",
        "x" * 10000,
    ],
)
def test_what_is_no_image_address_is_refused_without_asking_anyone(make, site, reference):
    with pytest.raises(ImageError):
        make().load(reference)
    assert site.asked == []


@pytest.mark.parametrize(
    "reference",
    [
        "/data/upload/1/\ud800.png", "http://half\ud800.example.invalid/x.png", "http://127.0.0.1:1/\udfff.png",
        "s3://bucket/\ud800.png", "/data/local-files/?d=\ud800.png", "data:image/png;base64,\ud800",
        "\ud800.png",
    ],
)  # fmt: skip
def test_half_a_character_is_refused_in_a_sentence(make, site, reference):
    with pytest.raises(ImageError):
        make().load(reference, 1)


def test_too_many_redirects_end(make, site):
    site.answers["/data/upload/1/x.png"] = (302, {"Location": "/data/upload/1/x.png"}, b"")
    with pytest.raises(ImageError, match="redirects more than 5 times"):
        make().load("/data/upload/1/x.png")


@pytest.mark.parametrize(
    ("status", "token", "says"),
    [
        (401, "", "set LABEL_STUDIO_API_KEY"),
        (401, TOKEN, "legacy token"),
        (403, TOKEN, "user may see the project"),
        (500, TOKEN, "status 500"),
    ],
)
def test_refusals_name_what_to_set(make, site, status, token, says):
    site.answers["/data/upload/1/x.png"] = (status, {}, b"")
    with pytest.raises(ImageError, match=says) as refused:
        make(label_studio_token=token).load("/data/upload/1/x.png")
    assert not token or token not in str(refused.value)


def test_a_redirect_to_the_login_page_is_a_missing_token(make, site):
    site.answers["/data/upload/1/x.png"] = (302, {"Location": "/user/login/?next=/data/upload/1/x.png"}, b"")
    with pytest.raises(ImageError, match="set LABEL_STUDIO_API_KEY"):
        make(label_studio_token="").load("/data/upload/1/x.png")


def test_a_personal_token_is_exchanged_and_renewed_when_refused(make, site, png):
    exchanged = []

    def refresh(handler):
        exchanged.append(json.loads(handler.sent)["refresh"])
        return 200, {}, json.dumps({"access": jwt(token_type="access", exp=4e9, n=len(exchanged))}).encode()

    def serve(handler):
        known = handler.headers["Authorization"] == "Bearer " + jwt(token_type="access", exp=4e9, n=2)
        return (200, {}, png) if known else (401, {}, b"")

    site.answers["/api/token/refresh/"] = refresh
    site.answers["/data/upload/1/x.png"] = serve
    personal = jwt(token_type="refresh")
    assert make(label_studio_token=personal).load("/data/upload/1/x.png")[0].width == 8
    assert exchanged == [personal, personal]


def test_a_personal_token_that_label_studio_refuses_is_said(make, site):
    site.answers["/api/token/refresh/"] = (401, {}, b"{}")
    with pytest.raises(ImageError, match="valid one into LABEL_STUDIO_API_KEY"):
        make(label_studio_token=jwt(token_type="refresh")).load("/data/upload/1/x.png")


def test_without_an_address_the_variable_is_named():
    with pytest.raises(ImageError, match="LABEL_STUDIO_URL"):
        ImageResolver(Settings()).load("/data/upload/1/x.png")


def test_a_changed_image_is_seen_and_an_unchanged_one_not_sent_again(make, site, picture):
    contents = [picture(8, 6)[0], picture(9, 6)[0]]

    def serve(handler):
        if handler.headers["If-None-Match"] == f'"{len(contents)}"':
            return 304, {}, b""
        return 200, {"ETag": f'"{len(contents)}"'}, contents[0]

    site.answers["/data/upload/1/x.png"] = serve
    resolver = make(image_fresh_seconds=1e-9)
    first, _ = resolver.load("/data/upload/1/x.png")
    assert resolver.load("/data/upload/1/x.png")[0] is first
    del contents[0]
    assert resolver.load("/data/upload/1/x.png")[0].width == 9


def test_a_fresh_image_is_not_asked_for(make, site, png):
    site.answers["/data/upload/1/x.png"] = (200, {}, png)
    resolver = make()
    assert resolver.load("/data/upload/1/x.png")[0] is resolver.load("/data/upload/1/x.png")[0]
    assert len(site.asked) == 1


def test_limits_of_bytes_and_pixels(make, site, png):
    site.answers["/data/upload/1/x.png"] = (200, {}, png)
    with pytest.raises(ImageError, match="FCFI_IMAGE_MEGABYTES"):
        make(image_bytes=10).load("/data/upload/1/x.png")
    with pytest.raises(ImageError, match="megapixels"):
        make(max_pixels=47).load("/data/upload/1/x.png")


def test_embedded_images(png):
    resolver = ImageResolver(Settings(image_bytes=5000))
    coded = base64.b64encode(png).decode()
    assert resolver.load(f"data:image/png;base64,{coded}")[0].width == 8
    assert resolver.load(f"DATA:image/png;charset=utf-8;base64,{quote(coded)}")[0].width == 8
    for bad in (
        "data:text/html;base64,eA==",
        "data:image/png,x",
        "data:image/png;base64,!",
        "data:",
        "data:image/png;base64," + "A" * 8000,
    ):
        with pytest.raises(ImageError):
            resolver.load(bad)


def test_local_files_served_by_ourselves_stay_inside_their_folder(tmp_path, make, site, png):
    folder = tmp_path / "root"
    (folder / "set").mkdir(parents=True)
    (folder / "set" / "a b.png").write_bytes(png)
    (tmp_path / "secret.png").write_bytes(png)
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    resolver = make(local_files_root=str(folder))
    assert resolver.load("/data/local-files/?d=set/a%20b.png")[0].width == 8
    for wanted in ("../secret.png", "link.png", "/etc/passwd", "", ".", "no.png", "a%00b", "x" * 5000):
        with pytest.raises(ImageError):
            resolver.load(f"/data/local-files/?d={wanted}")
    with pytest.raises(ImageError, match="MB"):
        make(local_files_root=str(folder), image_bytes=10).load("/data/local-files/?d=set/a%20b.png")
    assert site.asked == []


@given(st.text(max_size=60))
@settings(max_examples=200, deadline=None)
def test_no_text_does_anything_but_a_clean_error(reference):
    resolver = ImageResolver(Settings(label_studio_url="http://label-studio.invalid"))
    with pytest.raises(FcfiError):
        resolver.address(reference, 1) and resolver.load("file:" + reference)
