"""One platform real, the other played. AWS_ACCESS_KEY_ID is tried for every bucket before an account's own keys, so
what the sandbox writes there must not keep a real account from its bucket."""

from platforms.sandbox.config import Config, bucket_keys_beside
from tests.accounts_for_platforms import BOTH

SECRETS = {
    name: f"sandbox-{name}"
    for name in (
        *("daily_api_key", "daily_webhook_secret", "whereby_api_key", "whereby_webhook_secret"),
        *("s3_key_id", "s3_secret"),
    )
}


def written(*played, environ, tmp_path):
    keys = bucket_keys_beside(played, environ)
    config = Config(
        state=tmp_path, base_url="http://localhost:8001", platforms=played, secrets=SECRETS, keys_beside=keys
    )
    return config.environment()


def test_beside_a_real_whereby_its_own_bucket_keys_are_written(tmp_path):
    found = written("daily", environ=BOTH, tmp_path=tmp_path)
    assert found["AWS_ACCESS_KEY_ID"] == BOTH["AWS_WHEREBY_ACCESS_KEY_ID"]
    assert found["AWS_SECRET_ACCESS_KEY"] == BOTH["AWS_WHEREBY_ACCESS_KEY_SECRET"]


def test_beside_a_real_daily_no_keys_of_ours_are_written(tmp_path):
    found = written("whereby", environ={}, tmp_path=tmp_path)
    assert "AWS_ACCESS_KEY_ID" not in found
    assert found["AWS_WHEREBY_ACCESS_KEY_ID"] == "sandbox-s3_key_id"


def test_where_both_are_played_the_keys_are_ours(tmp_path):
    assert written("daily", "whereby", environ=BOTH, tmp_path=tmp_path)["AWS_ACCESS_KEY_ID"] == "sandbox-s3_key_id"
    assert written("daily", environ={}, tmp_path=tmp_path)["AWS_ACCESS_KEY_ID"] == "sandbox-s3_key_id"
