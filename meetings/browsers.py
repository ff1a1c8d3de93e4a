"""What can be told of a browser before a call."""

import re

from django.http import HttpRequest

#: browsers inside other apps, which mostly get no camera: words of their User-Agent
IN_APP = re.compile(
    r"FBAN|FBAV|FB_IAB|Instagram|Line/|MicroMessenger|LinkedInApp|Snapchat|Pinterest|TikTok|BytedanceWebview"
    r"|GSA/|; wv\)|Slack_SSB"
)


def is_in_app(request: HttpRequest) -> bool:
    return bool(IN_APP.search(request.headers.get("User-Agent", "")))
