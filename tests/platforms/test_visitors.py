import pytest
from django.test import RequestFactory

from platforms.visitors import address_of


@pytest.mark.parametrize(
    ("told", "address"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("192.0.2.7:4711", "192.0.2.7"),
        ("203.0.113.1, 192.0.2.7:4711", "192.0.2.7"),
        ("2001:db8::7", "2001:db8::7"),
        ("[2001:db8::7]:4711", "2001:db8::7"),
        ("unknown", "127.0.0.1"),
        ("", "127.0.0.1"),
    ],
)
def test_what_a_proxy_tells(settings, told, address):
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    assert address_of(RequestFactory().get("/", headers={"x-forwarded-for": told})) == address


def test_without_a_proxy_of_ours_nobody_chooses_their_address(settings):
    settings.SECURE_PROXY_SSL_HEADER = None
    assert address_of(RequestFactory().get("/", headers={"x-forwarded-for": "192.0.2.7"})) == "127.0.0.1"
