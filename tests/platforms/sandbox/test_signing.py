"""Vectors: ``payloads/SOURCES.md``."""

from platforms.sandbox.signing import daily_headers, make_token, read_token, whereby_headers


def test_daily_signs_with_the_decoded_secret_in_milliseconds() -> None:
    headers = daily_headers("cmVmbGVjdG9yLXJvb21zLXN5bnRoZXRpYy1rZXktMDE=", b'{"test":"test"}', 1768018896.877)
    assert headers == {
        "X-Webhook-Timestamp": "1768018896877",
        "X-Webhook-Signature": "/ZOqqH9+41e6zkV0ebE8eD2Ts0cYLBmYL5M5Lmv2GZM=",
    }


def test_whereby_signs_with_the_secret_as_it_is_in_seconds() -> None:
    body = (
        '{"id":"evt-1","apiVersion":"1.0","createdAt":"2026-01-10T04:21:36.000Z","type":"room.client.joined",'
        '"data":{"meetingId":"134","roomName":"/demo-af0b7b66-c738-4981-887a-ad416754f32d","displayName":"Zoë",'
        '"numClients":1}}'
    ).encode()
    assert whereby_headers("synthetic-whereby-secret", body, 1768018896.9) == {
        "Whereby-Signature": "t=1768018896,v1=60d7c0d6fb7eca29d27cd8d7d5a60e0161e7d3f00dc8b9bc36d18f8ff7122f7d"
    }


def test_token_of_another_key_or_none_is_not_read() -> None:
    token = make_token("key", {"r": "demo"})
    assert read_token("key", token) == {"r": "demo"}
    assert read_token("other", token) is None
    assert read_token("key", "a.b") is None
    assert read_token("key", token[:-3] + "AAA") is None
