"""Made-up accounts at both providers: what ``settings.PLATFORM_ENVIRON`` holds when both are configured."""

BOTH = {
    "WHEREBY_API_URL": "https://api.whereby.dev/v1",
    "WHEREBY_API_KEY": "whereby-key-made-up",
    "WHEREBY_WEBHOOK_SECRET": "whereby-secret-made-up",
    "AWS_WHEREBY_S3_BUCKET": "whereby-bucket",
    "AWS_WHEREBY_ACCESS_KEY_ID": "AKIAMADEUPWHEREBY000",
    "AWS_WHEREBY_ACCESS_KEY_SECRET": "made-up",
    "DAILY_API_URL": "https://api.daily.co/v1",
    "DAILY_API_KEY": "daily-key-made-up",
    "DAILY_WEBHOOK_SECRET": "bWFkZS11cC1zZWNyZXQtb2YtMzItYnl0ZXMtb2Y=",
    "DAILY_SUBDOMAIN": "reflector",
    "AWS_DAILY_S3_BUCKET": "daily-bucket",
    "AWS_DAILY_ROLE_ARN": "arn:aws:iam::123456789012:role/daily",
    "AWS_REGION": "us-west-2",
    "AWS_ACCESS_KEY_ID": "AKIAMADEUPOURS000000",
    "AWS_SECRET_ACCESS_KEY": "made-up",
}
ONLY_WHEREBY = {name: value for name, value in BOTH.items() if "DAILY" not in name}
